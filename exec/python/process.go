package python

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/exec/wire"
)

// process is a forked worker with its pipes, its session and its directory. It
// ends when stop is called, never by itself in good order.
type process struct {
	parent *parent
	number uint64       // among those of the parent
	pid    atomic.Int64 // 0 until it is known

	dir       string
	requests  *os.File
	responses *os.File
	frames    *bufio.Reader // of responses
	clock     *os.File      // the shim writes here when the function's first line begins
	out       *output
	drains    [2]*drain
	pipes     []*os.File // stdout, stderr
	drained   sync.WaitGroup

	end   exit          // set before gone is closed
	gone  chan struct{} // closed once it is reaped, and all that it left with it
	after func()        // called when its files and directory are freed
	freed chan struct{} // closed then
	once  sync.Once
}

// newProcess has a worker forked. What is printed until its first run goes nowhere.
func newProcess(p *parent, work string, b *bounds, after func()) (_ *process, err error) {
	dir, err := os.MkdirTemp(work, "worker-")
	if err != nil {
		return nil, fmt.Errorf("python: no directory for a worker: %w", err)
	}
	w := &process{dir: dir, out: newOutput(), gone: make(chan struct{}), freed: make(chan struct{}), after: after}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			_ = f.Close()
		}
		if err != nil {
			w.closeFiles()
			_ = os.RemoveAll(dir)
		}
	}()
	if theirs, err = w.openFiles(); err != nil {
		return nil, fmt.Errorf("python: no pipes for a worker: %w", err)
	}
	if b.UID != nil {
		if err = os.Chown(dir, *b.UID, *b.UID); err != nil {
			return nil, fmt.Errorf("python: a worker's directory cannot be given away: %w", err)
		}
	}
	b.Dir = dir
	b.Env["HOME"], b.Env["TMPDIR"] = dir, dir
	if err = p.fork(w, b, append(theirs[:4:4], w.clock)); err != nil {
		return nil, err
	}
	for _, d := range w.drains {
		w.drained.Go(d.follow)
	}
	return w, nil
}

// openFiles opens all files of the process and returns those that only the
// child keeps: requests, responses, stdout, stderr.
func (p *process) openFiles() (theirs []*os.File, err error) {
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

// left is called once, by its parent, when the process is gone.
func (p *process) left(how exit) {
	p.end = how
	close(p.gone)
}

// signal kills the process and all that it has started. Safe at any time, from
// any goroutine.
func (p *process) signal() { p.parent.killWorker(p.number) }

// tell sends the process itself a signal.
func (p *process) tell(sig syscall.Signal) { p.parent.tell(p.number, sig) }

// stop kills the process and all that it has started, and frees what belongs to
// it. It returns when all is gone, at the latest after reapMax. May be called
// more than once.
func (p *process) stop() {
	p.once.Do(func() {
		p.signal()
		go p.free()
	})
	late := time.NewTimer(reapMax)
	defer late.Stop()
	select {
	case <-p.freed:
	case <-late.C:
	}
}

func (p *process) free() {
	<-p.gone
	p.closeFiles()
	p.drained.Wait()
	_ = removeAll(p.dir)
	p.after()
	close(p.freed)
}

// removeAll removes a directory, whatever the code in it made of its modes.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if entry != nil && entry.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// exit says how a process ended that broke off by itself, and stops it. One
// that lives on without its pipe is killed.
func (p *process) exit() (how string, killed bool) {
	late := time.NewTimer(exitMax)
	defer late.Stop()
	select {
	case <-p.gone:
	case <-late.C:
		p.stop()
		return "it closed its channel to Belfry", false
	}
	p.stop()
	return p.end.String(), p.end.killed()
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

// discard is where output goes that belongs to no run.
func discard(wire.LogLine) {}
