//go:build !(linux || darwin || freebsd)

package broker

import (
	"errors"
	"os"
)

// lock does nothing: this system is not served by a lock on files.
func lock(*os.File) error { return nil }

func diskFree(string) (int64, error) {
	return 0, errors.New("the free disk is not known on this system: set MaxStore")
}
