package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/address"
	"github.com/belfryhq/belfry/exec/python"
)

// joinPatience is how long a start waits before it says that no node has taken
// the executor in; it goes on waiting.
const joinPatience = 10 * time.Second

// Process is one executor.
type Process struct {
	cfg      Config
	runtime  *python.Runtime
	nc       *nats.Conn
	executor *exec.Executor
	undo     []func(context.Context) error // what Stop does, in reverse

	done  chan struct{}
	ended sync.Once
	err   error // set before done is closed
}

// New makes a process that does nothing yet.
func New(cfg Config) (*Process, error) {
	cfg = cfg.WithDefaults()
	return &Process{cfg: cfg, done: make(chan struct{})}, cfg.Validate()
}

// Start finds Python, connects, and returns once a node has taken the executor
// in. It waits for the node for as long as ctx lasts. After an error, Stop takes
// down what had been started.
func (p *Process) Start(ctx context.Context) error {
	// 1. What is wrong on this machine is said at once.
	identify, err := p.identify()
	if err != nil {
		return err
	}
	p.runtime, err = python.New(python.Config{
		Python: p.cfg.Python, Sandbox: python.Level(p.cfg.Sandbox), Env: p.cfg.FunctionEnv, Logger: p.cfg.Logger,
	})
	if err != nil {
		return err
	}
	p.later(func(context.Context) error { return p.runtime.Close() })

	// 2. The node may come later, but then it must know us.
	if p.nc, err = p.connect(ctx, identify); err != nil {
		return err
	}
	p.later(func(context.Context) error { p.nc.Close(); return nil })

	// 3. From here on runs may come.
	if p.executor, err = exec.New(p.cfg.executor(), p.nc, p.runtime); err != nil {
		return err
	}
	if err := p.executor.Start(ctx); err != nil {
		return err
	}
	p.later(p.executor.Stop)
	if err := p.join(ctx); err != nil {
		return err
	}
	go p.watch(p.executor.Refused())
	return nil
}

func (p *Process) later(undo func(context.Context) error) { p.undo = append(p.undo, undo) }

// join waits until a node has taken the executor in.
func (p *Process) join(ctx context.Context) error {
	patience := time.NewTimer(joinPatience)
	defer patience.Stop()
	for {
		select {
		case <-p.executor.Joined():
			return nil
		case <-p.executor.Refused():
			return p.taken()
		case <-patience.C:
			p.cfg.Logger.Warn("no node has taken this executor in yet: see that one runs, and what its log says", "executor", p.cfg.Name)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watch ends the process when its name is another's; that shows when the node
// restarts and hears the other one first.
func (p *Process) watch(refused <-chan struct{}) {
	select {
	case <-refused:
		p.end(p.taken())
	case <-p.done:
	}
}

func (p *Process) taken() error {
	return fmt.Errorf("another executor named %s is alive: choose another name with --name, or stop that one", p.cfg.Name)
}

// end notes why the process ended by itself, or that it was stopped.
func (p *Process) end(why error) {
	p.ended.Do(func() {
		p.err = why
		close(p.done)
	})
}

// Ready is what the line "ready …" says.
func (p *Process) Ready() string {
	cfg := p.cfg.executor().WithDefaults()
	return fmt.Sprintf("name=%s pool=%s slots=%d python=%s nats=%s", cfg.Name, cfg.Pool, cfg.Slots, p.runtime.Version(), address.Shown(p.nc.ConnectedUrl()))
}

// Done is closed when the process has ended by itself: see Err.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is why the process ended by itself; nil if it did not.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Stop takes no more runs, gives those under way a moment to end, and takes down
// what was started. It may be called twice.
func (p *Process) Stop(ctx context.Context) error {
	p.end(nil)
	var all error
	for i := len(p.undo) - 1; i >= 0; i-- {
		all = errors.Join(all, p.undo[i](ctx))
	}
	p.undo = nil
	return all
}
