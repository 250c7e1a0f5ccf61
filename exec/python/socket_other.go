//go:build !linux

package python

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketPair makes two ends of a socket that keeps the bounds of messages. Only
// Linux tells at once that the other end is gone.
func socketPair() (ours, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, nil, err
	}
	for _, fd := range pair {
		unix.CloseOnExec(fd)
	}
	return os.NewFile(uintptr(pair[0]), "python"), os.NewFile(uintptr(pair[1]), "python"), nil
}
