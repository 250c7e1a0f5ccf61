package cluster

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Disk is a small ext4 on a loop device, which can be full, and whose power can
// be cut. Linux only, and root's.
type Disk struct {
	image string
	Dir   string // where it is mounted
}

// NewDisk makes a disk of so many megabytes; the test's end takes it away. The
// error says what this machine does not allow.
func NewDisk(t testing.TB, megabytes int64) (*Disk, error) {
	t.Helper()
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("mounting a file system needs root")
	}
	d := &Disk{image: filepath.Join(t.TempDir(), "disk"), Dir: t.TempDir()}
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
	d.cleanUp(t)
	return d, nil
}

// cleanUp takes the disk away when the test ends, or is ended: a signal leaves no
// time for cleanups, and a mount with a node that writes to it would stay.
func (d *Disk) cleanUp(t testing.TB) {
	t.Helper()
	signals, over := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			for _, pid := range Children(os.Getpid()) {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			}
			d.unmount()
			fmt.Fprintf(os.Stderr, "ended by a signal (%s), %s is unmounted\n", s, d.Dir)
			os.Exit(1)
		case <-over:
		}
	}()
	t.Cleanup(func() {
		signal.Stop(signals)
		close(over)
		d.unmount()
	})
}

// unmount needs nobody to have left the disk; the loop device goes with the last.
func (d *Disk) unmount() { _ = exec.Command("umount", "--lazy", d.Dir).Run() }

func (d *Disk) mount() error {
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.Dir).CombinedOutput(); err != nil {
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

// Cut cuts the power of a process and its disk, and plugs the disk in again. The
// process stands still before the disk does, as the processor would: what it said
// after its last write failed, or seemed not to, would be of another world.
func (d *Disk) Cut(p *Process) error {
	if err := syscall.Kill(p.Pid(), syscall.SIGSTOP); err != nil {
		return err
	}
	if err := stands(p.Pid()); err != nil {
		return err
	}
	dir, err := os.Open(d.Dir)
	if err != nil {
		return err
	}
	err = unix.IoctlSetPointerInt(int(dir.Fd()), shutdown, shutdownNow)
	if closed := dir.Close(); err == nil {
		err = closed
	}
	p.Kill()
	if err != nil {
		return err
	}
	return d.plug()
}

// stands returns when all threads of a process are stopped.
func stands(pid int) error {
	for range 1000 {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(tasks) == 0 {
			return fmt.Errorf("threads of %d: %v, %w", pid, tasks, err)
		}
		if !slices.ContainsFunc(tasks, moves) {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("process %d does not stand still", pid)
}

// moves says that a thread is not stopped. One that is inside the kernel may end
// what it does there, and stops before it returns.
func moves(stat string) bool {
	raw, err := os.ReadFile(stat)
	_, rest, _ := strings.Cut(string(raw), ") ")
	return err == nil && !strings.HasPrefix(rest, "T") && !strings.HasPrefix(rest, "D")
}

// plug mounts the disk anew, which forgets what only memory held.
func (d *Disk) plug() error {
	var out []byte
	var err error
	for range 100 { // processes that were killed may take a moment to be gone
		if out, err = exec.Command("umount", d.Dir).CombinedOutput(); err == nil {
			return d.mount()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("umount: %w: %s", err, out)
}

// Ballast is the file that fills the disk.
func (d *Disk) Ballast() string { return filepath.Join(d.Dir, "ballast") }

// Fill leaves nothing free, and may be repeated.
func (d *Disk) Fill() error {
	f, err := os.OpenFile(d.Ballast(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(d.Dir, &fs); err != nil {
		return err
	}
	// Others write meanwhile, and the file system keeps books: what does not fit as
	// a whole is taken in halves.
	for size := int64(fs.Bfree) * fs.Bsize; size >= fs.Bsize; {
		switch err := syscall.Fallocate(int(f.Fd()), 0, end, size); err {
		case nil:
			end += size
		case syscall.ENOSPC:
			size /= 2
		default:
			return err
		}
	}
	return nil
}

// Free takes the ballast away.
func (d *Disk) Free() error { return os.Remove(d.Ballast()) }

// Children are the processes that a process has started itself.
func Children(of int) (pids []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(raw), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(of) {
			pids = append(pids, pid)
		}
	}
	return pids
}
