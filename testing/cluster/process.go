package cluster

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/client"
)

// Process is one belfry up, or one belfry exec: see Executor.
type Process struct {
	t    testing.TB
	Dir  string // its data directory
	URL  string // of NATS
	HTTP string // host:port
	Raft string
	// Args are given to belfry up besides addresses and directory, to belfry exec
	// besides the node and the name.
	Args []string
	// Program is the binary, Binary if "".
	Program string

	// Name is that of a member of a cluster; "" for others.
	Name   string
	routes string // where the NATS servers of members meet

	line   []string // of belfry exec and belfry node; nil for belfry up
	cmd    *exec.Cmd
	stderr *lines
	ended  chan error
	begun  time.Time
	ready  <-chan string
	// Startup is how long the last start took, from exec to the line "ready".
	Startup time.Duration
}

var build struct {
	once sync.Once
	path string
	err  error
}

// Binary is the belfry program, built once for all tests of a package.
func Binary(t testing.TB) string {
	t.Helper()
	build.once.Do(func() {
		dir, err := os.MkdirTemp("", "belfry-build")
		if err != nil {
			build.err = err
			return
		}
		build.path = filepath.Join(dir, "belfry")
		args := []string{"build", "-o", build.path}
		if raceEnabled {
			args = append(args, "-race")
		}
		out, err := exec.Command("go", append(args, "github.com/belfryhq/belfry/cli/belfry")...).CombinedOutput()
		if err != nil {
			build.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.path
}

// New prepares a process with addresses of its own and an empty directory.
func New(t testing.TB, args ...string) *Process {
	t.Helper()
	Binary(t)
	p := &Process{t: t, Dir: filepath.Join(t.TempDir(), "data"), Args: args}
	addrs := freeAddrs(t, 3)
	p.URL, p.HTTP, p.Raft = "nats://"+addrs[0], addrs[1], addrs[2]
	return p
}

// Executor prepares an executor of this node, as a process of its own.
func (p *Process) Executor(name string, args ...string) *Process {
	return &Process{
		t: p.t, Dir: p.Dir, URL: p.URL, HTTP: p.HTTP, Raft: p.Raft, Args: args, Program: p.Program,
		line: []string{"exec", "--nats", p.URL, "--data", p.Dir, "--name", name, "--sandbox", "process"},
	}
}

// ExecutorAt prepares an executor that comes by another way, as its NATS wants it.
func (p *Process) ExecutorAt(url, name string, args ...string) *Process {
	e := p.Executor(name, args...)
	e.URL, e.line = url, []string{"exec", "--nats", url, "--name", name, "--sandbox", "process"}
	return e
}

// freeAddrs finds loopback addresses that nobody listens on, and that no other
// test was given: tests run side by side.
func freeAddrs(t testing.TB, n int) []string {
	t.Helper()
	var addrs []string
	for len(addrs) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:errcheck // it was only asked for its port
		if addr := l.Addr().String(); given.take(addr) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// given are the addresses that tests of this process have.
var given addresses

type addresses struct {
	mu  sync.Mutex
	all map[string]bool
}

// take is false for an address that was taken before.
func (a *addresses) take(addr string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = map[string]bool{}
	}
	before := a.all[addr]
	a.all[addr] = true
	return !before
}

// command is a belfry process that was not started yet.
func (p *Process) command() *exec.Cmd {
	args := append(slices.Clone(p.line), p.Args...)
	if p.line == nil {
		args = p.up()
	}
	if p.Program != "" {
		return exec.Command(p.Program, args...)
	}
	return exec.Command(Binary(p.t), args...)
}

func (p *Process) up() []string {
	return append([]string{
		"up", "--data", p.Dir, "--sandbox", "process", // functions of tests keep a journal outside
		"--nats-addr", strings.TrimPrefix(p.URL, "nats://"),
		"--http-addr", p.HTTP, "--raft-addr", p.Raft,
	}, p.Args...)
}

// startTimeout bounds a start; a loaded machine with the race detector is slow.
const startTimeout = 60 * time.Second

// Start runs the process and returns when it is ready. The test's end stops it.
func (p *Process) Start() {
	p.t.Helper()
	if err := p.Try(); err != nil {
		p.t.Fatal(err)
	}
}

// Try is Start for whoever expects that it may be refused: the error holds what
// the process said.
func (p *Process) Try() error {
	p.t.Helper()
	if err := p.Begin(); err != nil {
		return err
	}
	return p.Ready()
}

// Begin runs the process, which Ready waits for.
func (p *Process) Begin() error {
	p.t.Helper()
	p.cmd = p.command()
	p.stderr = &lines{}
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.begun = time.Now()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	ready := make(chan string, 1)
	p.ready, p.ended = ready, make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan<- error) {
		scanner := bufio.NewScanner(stdout)
		for scanner.Scan() {
			if strings.HasPrefix(scanner.Text(), "ready ") {
				ready <- scanner.Text()
			}
		}
		ended <- cmd.Wait()
	}(p.cmd, p.ended)
	p.t.Cleanup(p.Kill)
	return nil
}

// Ready returns when the process that Begin ran is ready, or has ended: the error
// holds what it said.
func (p *Process) Ready() error {
	p.t.Helper()
	select {
	case <-p.ready:
		p.Startup = time.Since(p.begun)
		return nil
	case err := <-p.ended:
		p.cmd = nil
		return fmt.Errorf("belfry ended with %w: %s", err, p.stderr)
	case <-time.After(startTimeout):
		return fmt.Errorf("belfry is not ready after %v: %s", startTimeout, p.stderr)
	}
}

// Refused runs the process, which must not start but end with this status, and
// returns its one line.
func (p *Process) Refused(status int) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	c := p.command()
	cmd := exec.CommandContext(ctx, c.Path, c.Args[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != status {
		p.t.Errorf("exit status %d (%v), not %d; it said %s%s", code, err, status, &stdout, &stderr)
	}
	var said []string
	for line := range strings.Lines(stderr.String()) {
		if !strings.HasPrefix(line, "time=") { // the log
			said = append(said, strings.TrimSuffix(line, "\n"))
		}
	}
	if len(said) != 1 || stdout.Len() > 0 {
		p.t.Errorf("it said %q and on standard output %q, not one line", said, &stdout)
	}
	return strings.Join(said, "\n")
}

// KilledAt runs the process and kills it when it has said a text on standard
// error, and a while after that. It returns all that it said.
func (p *Process) KilledAt(text string, later time.Duration) string {
	p.t.Helper()
	cmd, said := p.command(), new(lines)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.After(startTimeout); !strings.Contains(said.String(), text); {
		select {
		case err := <-ended:
			p.t.Fatalf("belfry ended with %v and never said %q: %s", err, text, said)
		case <-deadline:
			_ = cmd.Process.Kill() // it may have ended by itself
			p.t.Fatalf("belfry did not say %q in %v: %s", text, startTimeout, said)
		case <-time.After(time.Millisecond):
		}
	}
	time.Sleep(later)      // real processes, real time
	_ = cmd.Process.Kill() // it may have ended by itself
	if err := <-ended; err == nil {
		p.t.Fatalf("belfry had ended by itself after %q: %s", text, said)
	}
	return said.String()
}

// Kill ends the process with SIGKILL. It may be called again.
func (p *Process) Kill() { _ = p.end(syscall.SIGKILL) } // it did not end well

// Stop ends the process with SIGTERM and says with which status.
func (p *Process) Stop() error { return p.end(syscall.SIGTERM) }

func (p *Process) end(sig syscall.Signal) error {
	if p.cmd == nil || p.cmd.Process == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(sig) // it may have ended by itself
	defer func() { p.cmd = nil }()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(startTimeout):
		_ = p.cmd.Process.Kill()
		return fmt.Errorf("belfry had not ended %v after %v: %w", startTimeout, sig, <-p.ended)
	}
}

// Freeze stops the process without a word (SIGSTOP): it hears, says and sees
// nothing until Thaw, and does not know that time went by.
func (p *Process) Freeze() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) } // it may have ended by itself

// Thaw lets a frozen process go on.
func (p *Process) Thaw() { _ = p.cmd.Process.Signal(syscall.SIGCONT) } // likewise

// Wait returns when the process has ended by itself.
func (p *Process) Wait(timeout time.Duration) error {
	p.t.Helper()
	select {
	case err := <-p.ended:
		p.cmd = nil
		return err
	case <-time.After(timeout):
		p.t.Fatalf("belfry goes on after %v", timeout)
		return nil
	}
}

// Runs says whether the process was started and has not ended.
func (p *Process) Runs() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case err := <-p.ended:
		p.ended <- err
		return false
	default:
		return true
	}
}

// Pid is the process's.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stderr is what the process has said on standard error.
func (p *Process) Stderr() string { return p.stderr.String() }

// Conn connects as any program on this machine does.
func (p *Process) Conn() *nats.Conn {
	p.t.Helper()
	nc, err := nats.Connect(p.URL, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(nc.Close)
	return nc
}

// Client asks as a user.
func (p *Process) Client(user string) *client.Client {
	p.t.Helper()
	return client.New(p.Conn(), user)
}

// Belfry runs a client command of the binary and returns what it printed and
// its exit status.
func (p *Process) Belfry(args ...string) (stdout, stderr string, status int) {
	p.t.Helper()
	cmd := exec.Command(Binary(p.t), args...)
	cmd.Env = append(os.Environ(), "BELFRY_NATS="+p.URL)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// lines gathers output that is written and read at the same time.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// LeftOut says on standard error, whatever go test shows, which fault is not
// thrown and why.
func LeftOut(fault string, err error) {
	fmt.Fprintf(os.Stderr, "\n*** %s is LEFT OUT: %v ***\n\n", fault, err)
}
