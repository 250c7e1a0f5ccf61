package cluster_test

import (
	"os"

	"golang.org/x/sys/unix"
)

// mustRestrict says that the level "restricted" can be had here: we are root, and
// the kernel has Landlock. A node that does not offer it then is at fault.
func mustRestrict() bool {
	const version = 1 // LANDLOCK_CREATE_RULESET_VERSION asks for the version alone
	abi, _, failed := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, version)
	return failed == 0 && abi > 0 && os.Geteuid() == 0
}
