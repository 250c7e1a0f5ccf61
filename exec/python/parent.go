package python

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"
)

// errClosed says that the runtime was closed.
var errClosed = errors.New("python: the runtime is closed")

// parent is the Python process that forks all workers, kills them and says when
// they are gone: shim/belfry_shim/parent.py, where the messages are described.
// Its methods are safe for concurrent use.
type parent struct {
	cmd  *exec.Cmd
	conn *net.UnixConn
	told hello

	mu       sync.Mutex
	number   uint64
	children map[uint64]*process
	over     bool          // it is gone, and so are all that it had
	ended    chan struct{} // closed when it is reaped
}

// hello is what the parent says of itself when it is ready.
type hello struct {
	Protocol   int               `json:"hello"`
	Python     string            `json:"python"`
	Executable string            `json:"executable"`
	Levels     map[string]string `json:"levels"` // with why a level cannot be had, or ""
}

// request is a message to the parent.
type request struct {
	Fork uint64 `json:"fork,omitzero"`
	Tell uint64 `json:"tell,omitzero"`
	Kill uint64 `json:"kill,omitzero"`

	Signal int `json:"signal,omitzero"`
	*bounds
}

// bounds are what a worker is kept to.
type bounds struct {
	Level     string            `json:"level"`
	Dir       string            `json:"dir"`
	UID       *int              `json:"uid"` // nil: the executor's own
	Env       map[string]string `json:"env"`
	Processes int               `json:"processes"`
	Files     int               `json:"files"`
}

// notice is a message of the parent.
type notice struct {
	Forked uint64  `json:"forked"`
	PID    int     `json:"pid"`
	Gone   *uint64 `json:"gone"`
	Status int     `json:"status"`
	Why    string  `json:"why"`
}

// messageBytesMax bounds a message; a larger one is cut off.
const messageBytesMax = 128 << 10

// startParent starts an interpreter on the shim and waits for its hello. What it
// prints goes to said.
func (r *Runtime) startParent(ctx context.Context, said *tail) (*parent, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("python: no socket for the parent of workers: %w", err)
	}
	conn, err := net.FileConn(ours)
	_ = ours.Close()
	if err != nil {
		_ = theirs.Close()
		return nil, fmt.Errorf("python: no socket for the parent of workers: %w", err)
	}
	text, err := json.Marshal(r.sand)
	if err != nil {
		return nil, errors.Join(err, theirs.Close(), conn.Close())
	}
	p := &parent{conn: conn.(*net.UnixConn), children: map[uint64]*process{}, ended: make(chan struct{})}
	p.cmd = exec.Command(r.python, "-I", "-X", "utf8", r.entry, "3", string(text))
	p.cmd.Dir = "/"
	p.cmd.Env = r.environment()
	p.cmd.Stdout, p.cmd.Stderr = said, said
	p.cmd.WaitDelay = exitMax // what a script has started may hold its output
	p.cmd.ExtraFiles = []*os.File{theirs}
	if r.users != nil {
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, r.users.held)
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's interrupt is for us
	err = p.cmd.Start()
	_ = theirs.Close() // so that its end is seen
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	stop := context.AfterFunc(ctx, func() {
		p.kill()
		_ = conn.SetReadDeadline(time.Now())
	})
	err = p.greet()
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		p.kill()
		<-p.ended
		_ = conn.Close()
		return nil, err
	}
	go p.listen()
	return p, nil
}

// greet reads the hello.
func (p *parent) greet() error {
	buf := make([]byte, messageBytesMax)
	n, err := p.conn.Read(buf)
	if err != nil || n == 0 {
		p.kill()
		<-p.ended // its exit status tells more
		return fmt.Errorf("it ended before its hello: %s", p.cmd.ProcessState)
	}
	if err := json.Unmarshal(buf[:n], &p.told); err != nil {
		return errors.New("it began with another thing than a hello")
	}
	return nil
}

// fork asks for a worker. The process is there at once for requests to be written
// to; whether it could be forked its gone says. files are requests, responses,
// clock, stdout, stderr.
func (p *parent) fork(of *process, b *bounds, files []*os.File) error {
	rights := make([]int, len(files))
	for i, f := range files {
		rights[i] = int(f.Fd())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return errParent
	}
	p.number++
	of.parent, of.number = p, p.number
	if err := p.write(request{Fork: of.number, bounds: b}, unix.UnixRights(rights...)); err != nil {
		return err
	}
	p.children[of.number] = of
	return nil
}

// errParent says that the parent of workers was gone.
var errParent = errors.New("python: the parent of workers is gone")

// tell sends a signal to a worker, kill ends it with all that it has started. Both
// do nothing once it is gone.
func (p *parent) tell(number uint64, sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.write(request{Tell: number, Signal: int(sig)}, nil)
}

func (p *parent) killWorker(number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.write(request{Kill: number}, nil)
}

// write needs mu, for the order of the messages.
func (p *parent) write(r request, rights []byte) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if len(text) > messageBytesMax {
		return fmt.Errorf("python: the environment of a function has %d bytes, which is too much", len(text))
	}
	if _, _, err = p.conn.WriteMsgUnix(text, rights, nil); err != nil {
		return fmt.Errorf("%w: %w", errParent, err)
	}
	return nil
}

// listen takes notices until the parent is gone.
func (p *parent) listen() {
	buf := make([]byte, messageBytesMax)
	for {
		n, err := p.conn.Read(buf)
		var said notice
		if err != nil || n == 0 || json.Unmarshal(buf[:n], &said) != nil {
			break
		}
		p.mu.Lock()
		switch {
		case said.Gone != nil:
			if child := p.children[*said.Gone]; child != nil {
				delete(p.children, *said.Gone)
				child.left(exit{status: syscall.WaitStatus(said.Status), why: said.Why})
			}
		case p.children[said.Forked] != nil:
			p.children[said.Forked].pid.Store(int64(said.PID))
		}
		p.mu.Unlock()
	}
	p.kill()
	<-p.ended
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	for _, child := range p.children { // the kernel ends them with it
		child.left(exit{why: "its parent was killed"})
	}
	p.children = nil
	_ = p.conn.Close()
}

// kill ends the parent at once. Its workers end with it.
func (p *parent) kill() {
	select {
	case <-p.ended:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // a script may have started it
		_ = p.cmd.Process.Kill()
	}
}

// close lets the parent end its workers and itself, and returns when it is gone.
func (p *parent) close() {
	_ = p.conn.CloseWrite()
	late := time.NewTimer(reapMax)
	defer late.Stop()
	select {
	case <-p.ended:
	case <-late.C:
		p.kill()
		<-p.ended
	}
}

func (p *parent) isOver() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

// exit is how a process ended.
type exit struct {
	status syscall.WaitStatus
	why    string // in place of a status: that is not known
}

// killed says that it was ended by SIGKILL: by the kernel for want of memory, or
// by somebody's hand.
func (e exit) killed() bool {
	return e.why != "" || e.status.Signaled() && e.status.Signal() == syscall.SIGKILL
}

func (e exit) String() string {
	switch {
	case e.why != "":
		return e.why
	case e.status.Signaled():
		return "signal: " + e.status.Signal().String()
	}
	return "exit status " + strconv.Itoa(e.status.ExitStatus())
}

// tail keeps the beginning of what a process prints that should print nothing.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b[:min(len(b), errorTypeBytesMax-len(t.text))]...)
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
