package python

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

// freshTriesMax is how often a run tries another new worker when one is gone
// before it was given the run.
const freshTriesMax = 3

// Runtime runs Python functions in worker processes.
type Runtime struct {
	cfg     Config
	python  string // the interpreter that workers start
	version string
	dir     string
	work    string // below dir: the workers' directories
	entry   string // below dir: the shim's
	sand    sandConfig
	users   *users // nil: workers are who we are
	levels  map[string]string
	level   Level
	pool    *pool
	checker chan *worker // holds one place: the warm checker, or nil

	ctx    context.Context //nolint:containedctx // the lifetime: ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // runs and checks under way

	starting sync.Mutex // one start of a parent at a time
	mu       sync.Mutex
	closed   bool
	parent   *parent
}

var (
	_ exec.Runtime = (*Runtime)(nil)
	_ io.Closer    = (*Runtime)(nil)
)

// New finds Python, unpacks the shim, and starts the first worker to see that
// all of it works. The error says in one line what to do.
func New(cfg Config) (*Runtime, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	python, err := find(cfg.Python)
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	r := &Runtime{
		cfg: cfg, python: python, dir: dir,
		pool: newPool(cfg.Idle, cfg.IdleFor), checker: make(chan *worker, 1),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.checker <- nil
	if err := r.open(); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

// makeDir returns the directory of a runtime, empty.
func makeDir(dir string) (string, error) {
	if dir == "" {
		dir, err := os.MkdirTemp("", "belfry-python-")
		if err != nil {
			return "", fmt.Errorf("python: no temporary directory: set TMPDIR to one that can be written: %w", err)
		}
		return dir, nil
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("python: cannot use %s: make it writable: %w", dir, err)
	}
	return dir, nil
}

func (r *Runtime) open() (err error) {
	if r.users, err = newUsers(); err != nil {
		return err
	}
	if r.users != nil {
		r.sand.OwnUser = &r.users.first
	}
	if r.work, err = workDir(r.dir, r.users); err != nil {
		return fmt.Errorf("python: cannot use %s: make it writable: %w", r.dir, err)
	}
	r.sand.Work = r.work
	if r.entry, err = unpackShim(r.dir); err != nil {
		return err
	}
	if err := r.probe(); err != nil {
		return err
	}
	return r.chooseLevel()
}

// Version of Python.
func (r *Runtime) Version() string { return r.version }

// Run executes one attempt; see exec.Runtime. The time-out runs from the call,
// so it includes the start of a worker and the loading of the module.
func (r *Runtime) Run(ctx context.Context, job *exec.Job, line func(wire.LogLine)) exec.Ended {
	if !r.enter() {
		return lost(errClosed)
	}
	defer r.wg.Done()
	if job.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, job.Timeout, errTimeout)
		defer cancel()
	}
	wants, missing := r.wants(job)
	if missing != nil {
		return exec.Ended{Kind: wire.Failed, Error: missing, Finished: time.Now()}
	}
	for fresh := 0; fresh < freshTriesMax; {
		w := r.pool.take(wants)
		if w == nil {
			var err error
			if w, err = r.fresh(ctx, wants); ctx.Err() != nil {
				ended := interrupted(ctx, job)
				ended.Finished = time.Now()
				return ended
			} else if err != nil {
				return lost(err)
			}
			fresh++
		}
		ended, fit, err := w.run(ctx, job, line)
		if fit && !w.wants.alone && w.number < uint64(r.cfg.RunsMax) && !w.grown() {
			r.pool.put(w)
		} else {
			w.proc.stop()
		}
		switch {
		case errors.Is(err, errStale):
			r.cfg.Logger.Warn("a python worker ended while idle", "function", job.Function, "run", job.Run)
		case r.isClosed() && ended.Kind == wire.Failed && !fit:
			return lost(errClosed)
		default:
			return ended
		}
	}
	return lost(errStale)
}

func lost(err error) exec.Ended {
	return exec.Ended{Kind: wire.Lost, Error: &wire.Error{Type: errorStartFailed, Message: err.Error()}}
}

// Close kills every process of the runtime, waits for runs and checks to
// return, and removes what was unpacked. May be called more than once.
func (r *Runtime) Close() error {
	r.mu.Lock()
	r.closed = true
	parent := r.parent
	r.mu.Unlock()
	r.cancel()
	r.pool.close()
	if parent != nil {
		parent.close()
	}
	r.wg.Wait()
	select {
	case w := <-r.checker:
		if w != nil {
			w.proc.stop()
		}
		r.checker <- nil
	default:
	}
	r.pool.wait()
	r.users.close()
	if r.work != "" {
		_ = removeAll(r.work)
	}
	if err := os.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("python: cannot remove %s: %w", r.dir, err)
	}
	return nil
}

// enter counts a run or check that Close waits for. False after Close.
func (r *Runtime) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.wg.Add(1)
	return true
}

func (r *Runtime) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}
