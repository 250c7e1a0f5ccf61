package python

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/exec/wire"
)

// process is a Python process with its pipes, its process group and its
// directory. It ends when stop is called, never by itself in good order.
type process struct {
	cmd       *exec.Cmd
	dir       string
	requests  *os.File
	responses *os.File
	frames    *bufio.Reader // of responses
	clock     *os.File      // the shim writes here when the function's first line begins
	out       *output
	drains    [2]*drain
	pipes     []*os.File // stdout, stderr
	drained   sync.WaitGroup

	mu     sync.Mutex
	reaped bool          // Invariant: the group is signaled only while false
	gone   chan struct{} // closed once reaped
	after  func()        // called when reaped
	once   sync.Once
}

// startProcess starts an interpreter on the shim. It does not wait for its
// hello; what is printed until then goes to line.
func startProcess(s *spawner, python, entry, work string, env []string, line func(wire.LogLine)) (_ *process, err error) {
	dir, err := os.MkdirTemp(work, "worker-")
	if err != nil {
		return nil, fmt.Errorf("python: no directory for a worker: %w", err)
	}
	p := &process{dir: dir, out: newOutput(), gone: make(chan struct{}), after: func() {}}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			_ = f.Close()
		}
		if err != nil {
			p.closeFiles()
			_ = os.RemoveAll(dir)
		}
	}()
	if theirs, err = p.openFiles(); err != nil {
		return nil, fmt.Errorf("python: no pipes for a worker: %w", err)
	}
	// In the child: 3 requests, 4 responses, 5 clock.
	p.cmd = exec.Command(python, "-I", "-X", "utf8", entry, "3", "4", "5")
	p.cmd.Dir = dir
	p.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LANG=C.UTF-8", "TZ=UTC",
	}, env...)
	p.cmd.Stdout, p.cmd.Stderr = theirs[0], theirs[1]
	p.cmd.ExtraFiles = []*os.File{theirs[2], theirs[3], p.clock}
	p.cmd.SysProcAttr = childAttr()
	p.out.begin(line)
	if err = s.start(p.cmd); err != nil {
		return nil, err
	}
	for _, d := range p.drains {
		p.drained.Go(d.follow)
	}
	return p, nil
}

// openFiles opens all files of the process and returns those that only the
// child keeps: stdout, stderr, requests, responses.
func (p *process) openFiles() (theirs []*os.File, err error) {
	for i := range p.drains {
		r, w, err := os.Pipe()
		if err != nil {
			return theirs, err
		}
		theirs, p.pipes = append(theirs, w), append(p.pipes, r)
		conn, err := r.SyscallConn()
		if err != nil {
			return theirs, err
		}
		p.drains[i] = &drain{conn: conn, out: p.out, which: i}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return theirs, err
	}
	theirs, p.requests = append(theirs, r), w
	r, w, err = os.Pipe()
	if err != nil {
		return theirs, err
	}
	theirs, p.responses = append(theirs, w), r
	p.frames = bufio.NewReaderSize(r, 4096)
	path := filepath.Join(p.dir, "clock")
	if p.clock, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return theirs, err
	}
	return theirs, errors.Join(os.Remove(path), p.clock.Truncate(clockBytes))
}

func (p *process) closeFiles() {
	for _, f := range append([]*os.File{p.requests, p.responses, p.clock}, p.pipes...) {
		if f != nil {
			_ = f.Close()
		}
	}
}

// signal kills the process group. Safe at any time, from any goroutine.
func (p *process) signal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// stop kills the process group and frees all that belongs to the process. It
// returns when the process is gone, at the latest after reapMax. May be
// called more than once.
func (p *process) stop() {
	p.once.Do(func() {
		p.signal()
		go p.reap()
	})
	late := time.NewTimer(reapMax)
	defer late.Stop()
	select {
	case <-p.gone:
	case <-late.C:
	}
}

func (p *process) reap() {
	awaitExit(p.cmd.Process.Pid)
	p.signal() // what was forked meanwhile
	p.mu.Lock()
	_ = p.cmd.Wait()
	p.reaped = true
	p.mu.Unlock()
	p.closeFiles()
	p.drained.Wait()
	_ = os.RemoveAll(p.dir)
	p.after()
	close(p.gone)
}

// whenGone has f called when the process is reaped. To be called before stop.
func (p *process) whenGone(f func()) { p.after = f }

// exit says how a process ended that broke off by itself, and stops it. One
// that lives on without its pipe is killed.
func (p *process) exit() string {
	ended := make(chan struct{})
	go func() {
		awaitExit(p.cmd.Process.Pid)
		close(ended)
	}()
	late := time.NewTimer(exitMax)
	defer late.Stop()
	byItself := true
	select {
	case <-ended:
	case <-late.C:
		byItself = false
	}
	p.stop()
	if !byItself {
		return "it closed its channel to Belfry"
	}
	select {
	case <-p.gone:
		return p.cmd.ProcessState.String()
	default:
		return "it cannot be reaped"
	}
}

// killed says, after exit, that it was ended by SIGKILL: by the kernel for want of
// memory, or by somebody's hand.
func (p *process) killed() bool {
	select {
	case <-p.gone:
		status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
		return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
	default:
		return false
	}
}

// started is when the function's first line began, if it did: what the shim
// noted in the clock. For runs that did not live to report it.
func (p *process) started() time.Time {
	var b [clockBytes]byte
	if _, err := p.clock.ReadAt(b[:], 0); err != nil {
		return time.Time{}
	}
	nanos := int64(binary.BigEndian.Uint64(b[:]))
	if nanos <= 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

// empty takes what the process has printed so far past Python.
func (p *process) empty() {
	for _, d := range p.drains {
		d.empty()
	}
}

// clockBytes is the size of the clock: one number of nanoseconds.
const clockBytes = 8
