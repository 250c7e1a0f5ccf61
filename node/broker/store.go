package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	// lockFile is held locked by the broker whose store it is.
	lockFile = "broker.lock"
	// jetstreamDir is the server's name for its folder in the store.
	jetstreamDir = "jetstream"
	// freeTenths of the free disk may be filled.
	freeTenths = 9
)

// openStore makes the directory, takes its lock and finds out whether it can be
// written to. Two servers on one store would destroy it.
func openStore(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, notWritable(dir, err)
	}
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, notWritable(dir, err)
	}
	release := func() {
		// Nothing was written to it: closing gives up the lock, and that is all.
		_ = file.Close()
	}
	if err := lock(file); err != nil {
		release()
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("nats store %s is used by another process: stop it or choose another directory with --data", dir)
		}
		return nil, fmt.Errorf("nats store %s: lock: %w", dir, err)
	}
	return release, nil
}

func notWritable(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("nats store %s: %w: make room", dir, err)
	}
	return fmt.Errorf("nats store %s is not writable: %w; mend it or choose another directory with --data", dir, err)
}

var errLocked = errors.New("locked by another process")

// storeLimit is what JetStream holds in dir plus nine tenths of the free disk.
func storeLimit(dir string) (int64, error) {
	held, err := sizeOf(filepath.Join(dir, jetstreamDir))
	if err != nil {
		return 0, err
	}
	free, err := diskFree(dir)
	if err != nil {
		return 0, err
	}
	return held + free/10*freeTenths, nil
}

// sizeOf is the number of bytes in the files under dir; none where dir is not.
func sizeOf(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		total += info.Size()
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return total, nil
	}
	return total, err
}
