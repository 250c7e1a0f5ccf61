package sim

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/testing/check"
)

// host is a machine with an executor, through all its incarnations.
type host struct {
	w    *World
	name string

	mu   sync.Mutex
	exec *exec.Executor
	life *life
}

// start begins an incarnation of the real executor.
func (h *host) start() {
	l := h.w.newLife(h.name)
	scale := h.w.plan.scale
	heard := &overheard{Bus: h.w.net.endpoint(l)}
	e, err := exec.NewOn(exec.Config{
		Name: h.name, Slots: h.w.plan.slots, Grace: scale, FlushMax: scale,
		AnnounceEvery: scale, ReportEvery: scale / 2, HandBackAfter: scale, OwnerSilence: 5 * scale,
		Logger: h.w.logger(h.name),
	}, heard, &runtime{h, heard})
	if err == nil {
		err = e.Start(context.Background())
	}
	if err != nil {
		h.w.broken("executor %s does not start: %v", h.name, err)
		return
	}
	h.mu.Lock()
	h.exec, h.life = e, l
	h.mu.Unlock()
}

// kill ends the incarnation and what it runs as kill -9 does.
func (h *host) kill() {
	h.mu.Lock()
	e, l := h.exec, h.life
	h.exec, h.life = nil, nil
	h.mu.Unlock()
	if e == nil {
		return
	}
	l.die()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = e.Stop(ctx) // dead, it cannot tell anybody
}

// stop ends the incarnation in good order.
func (h *host) stop() {
	h.mu.Lock()
	e := h.exec
	h.exec, h.life = nil, nil
	h.mu.Unlock()
	if e != nil {
		if err := e.Stop(context.Background()); err != nil {
			h.w.broken("executor %s does not stop: %v", h.name, err)
		}
	}
}

// running returns how the incarnation fares, nil if there is none.
func (h *host) running() *life {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.life
}

// runtime is the functions' code: it writes the journal, takes a while, and
// ends in one of the ways in which code ends.
type runtime struct {
	h     *host
	heard *overheard
}

// overheard is the connection of one incarnation, which tells its name in its
// first sign of life, before it gets a run.
type overheard struct {
	exec.Bus
	incarnation atomic.Value
}

// Publish implements exec.Bus.
func (o *overheard) Publish(subject string, data []byte) error {
	if o.incarnation.Load() == nil && subject == wire.DefaultPrefix.AnnounceSubject(wire.Sender(subject)) {
		var a wire.Announce
		if err := json.Unmarshal(data, &a); err != nil {
			return err
		}
		o.incarnation.Store(a.Incarnation)
	}
	return o.Bus.Publish(subject, data)
}

// Version implements exec.Runtime.
func (*runtime) Version() string { return "3.99" }

// Check implements exec.Runtime.
func (*runtime) Check(context.Context, string, string) (*wire.CodeError, error) { return nil, nil }

// Run implements exec.Runtime.
func (r *runtime) Run(ctx context.Context, job *exec.Job, _ func(wire.LogLine)) exec.Ended {
	w := r.h.w
	select {
	case <-ctx.Done():
		return exec.Ended{Kind: wire.Canceled, Finished: time.Now()}
	case <-time.After(w.plant.dawdle):
	}
	id := job.Source.ID
	if job.Source.Kind != "item" {
		id = job.Run
	}
	line := w.journal.begin(check.Line{
		ID: id, Run: job.Run, Attempt: job.Attempt, Start: time.Now(),
		Executor: r.h.name, Incarnation: r.heard.incarnation.Load().(string),
	})
	began, o := time.Now(), w.oddsOf(fmt.Sprint(job.Run, job.Attempt))
	if calm, _ := w.mood.get(); !calm && o.chance(5) {
		w.journal.scheduled(line, r.next(ctx, job, o))
	}
	select {
	case <-ctx.Done():
		return exec.Ended{Kind: wire.Canceled, Started: began, Finished: time.Now()}
	case <-time.After(w.plan.takes(o)):
	}
	w.journal.end(line, time.Now())
	ended := exec.Ended{Kind: wire.Completed, Started: began, Finished: time.Now(), Result: []byte(fmt.Sprintf(`{"version":%d}`, job.Version))}
	if o.chance(8) {
		ended.Kind, ended.Result = wire.Failed, nil
		ended.Error = &wire.Error{Type: "ValueError", Message: "no"}
	}
	return ended
}

// next has the code schedule an item, one of two, and returns its id; "" if it
// was refused, or the run has to end.
func (r *runtime) next(ctx context.Context, job *exec.Job, o *odds) string {
	answer, err := job.Schedule(ctx, wire.Item{
		Name: fmt.Sprintf("step-%d", o.below(2)), Function: jsontext.Value(fmt.Sprintf(`{"id":%q}`, job.Function)),
		After: fmt.Sprintf("%dms", o.span(0, 10*r.h.w.plan.scale).Milliseconds()),
	})
	if err != nil || answer.Error != nil {
		return ""
	}
	return answer.ID
}

// journal is what functions write outside Belfry.
type journal struct {
	mu    sync.Mutex
	lines []*check.Line
}

func (j *journal) begin(l check.Line) *check.Line {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, &l)
	return &l
}

// scheduled notes an item that the function was told is stored.
func (j *journal) scheduled(l *check.Line, item string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if item != "" {
		l.Scheduled = append(l.Scheduled, item)
	}
}

func (j *journal) end(l *check.Line, at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l.End, l.Ended = at, true
}

// all are the lines in the order of their begins.
func (j *journal) all() []check.Line {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := make([]check.Line, len(j.lines))
	for n, l := range j.lines {
		lines[n] = *l
	}
	return lines
}
