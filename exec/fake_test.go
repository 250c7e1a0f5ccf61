package exec_test

import (
	"context"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

// runtime is a Runtime whose runs end when the test says so.
type runtime struct {
	mu     sync.Mutex
	began  []*call
	auto   func(job *exec.Job, line func(wire.LogLine)) exec.Ended // if set, ends runs at once
	check  func(ctx context.Context, code string) (*wire.CodeError, error)
	deaf   bool // does not end what is canceled
	forget bool // does not note what began
}

// call is a run under way.
type call struct {
	job  exec.Job
	line func(wire.LogLine)
	done chan exec.Ended
}

func (r *runtime) Version() string { return "3.99" }

func (r *runtime) Check(ctx context.Context, _, code string) (*wire.CodeError, error) {
	return r.check(ctx, code)
}

func (r *runtime) Run(ctx context.Context, job *exec.Job, line func(wire.LogLine)) exec.Ended {
	r.mu.Lock()
	auto, deaf := r.auto, r.deaf
	if r.forget {
		r.mu.Unlock()
		return auto(job, line)
	}
	c := &call{job: *job, line: line, done: make(chan exec.Ended, 1)}
	r.began = append(r.began, c)
	r.mu.Unlock()
	if auto != nil {
		return auto(job, line)
	}
	canceled := ctx.Done()
	if deaf {
		canceled = nil
	}
	select {
	case ended := <-c.done:
		return ended
	case <-canceled:
		return exec.Ended{Kind: wire.Canceled}
	}
}

// started are the runs that have begun, in order.
func (r *runtime) started() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, c := range r.began {
		out = append(out, c.job.Run)
	}
	return out
}

func (r *runtime) call(id string) *call {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.began {
		if c.job.Run == id {
			return c
		}
	}
	return nil
}

// complete ends a run under way with success.
func (b *bench) complete(id string) {
	b.t.Helper()
	c := b.runtime.call(id)
	if c == nil {
		b.t.Fatalf("%s has not begun", id)
	}
	c.done <- success()
	b.settle()
}

func success() exec.Ended {
	now := time.Now()
	return exec.Ended{Kind: wire.Completed, Started: now, Finished: now, Result: jsontext.Value(`{"ok":true}`)}
}
