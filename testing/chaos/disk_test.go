//go:build linux

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// disk is a small ext4 on a loop device, whose power can be cut.
type disk struct {
	image, dir string
}

// leftOut says on standard error, whatever go test shows, which fault is not
// thrown and why.
func leftOut(fault string, err error) {
	fmt.Fprintf(os.Stderr, "\n*** chaos: %s is LEFT OUT: %v ***\n\n", fault, err)
}

// newDisk makes a disk of so many megabytes; the test's end takes it away. The
// error says what this machine does not allow.
func newDisk(t *testing.T, megabytes int64) (*disk, error) {
	t.Helper()
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("mounting a file system needs root")
	}
	d := &disk{image: filepath.Join(t.TempDir(), "disk"), dir: t.TempDir()}
	image, err := os.Create(d.image)
	if err != nil {
		return nil, err
	}
	err = image.Truncate(megabytes << 20)
	if closed := image.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-m", "0", d.image).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	if err := d.mount(); err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = exec.Command("umount", "--lazy", d.dir).Run() })
	return d, nil
}

func (d *disk) mount() error {
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("mount: %w: %s", err, out)
	}
	return nil
}

// shutdownNow is EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: nothing more
// reaches the disk, not even the journal that is in memory.
const (
	shutdown    = 0x8004587d
	shutdownNow = 2
)

// cut cuts the power. What runs on the disk must be killed, and the disk be
// plugged in again.
func (d *disk) cut() error {
	dir, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.IoctlSetPointerInt(int(dir.Fd()), shutdown, shutdownNow)
}

// plug mounts the disk anew, which forgets what only memory held.
func (d *disk) plug() error {
	var out []byte
	var err error
	for range 100 { // processes that were killed may take a moment to be gone
		if out, err = exec.Command("umount", d.dir).CombinedOutput(); err == nil {
			return d.mount()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("umount: %w: %s", err, out)
}

// ballast is the file that fills the disk.
func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// fill leaves nothing free.
func (d *disk) fill() error {
	f, err := os.Create(d.ballast())
	if err != nil {
		return err
	}
	defer f.Close()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &fs); err != nil {
		return err
	}
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, int64(fs.Bfree)*fs.Bsize); err != nil && err != syscall.ENOSPC {
		return err
	}
	block := make([]byte, 4096)
	for { // what the estimate left
		if _, err := f.Write(block); err != nil {
			return nil
		}
	}
}

// free takes the ballast away.
func (d *disk) free() error { return os.Remove(d.ballast()) }
