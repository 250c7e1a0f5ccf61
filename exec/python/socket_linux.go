package python

import (
	"os"

	"golang.org/x/sys/unix"
)

// socketPair makes two ends of a socket that keeps the bounds of messages.
func socketPair() (ours, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(pair[0]), "python"), os.NewFile(uintptr(pair[1]), "python"), nil
}
