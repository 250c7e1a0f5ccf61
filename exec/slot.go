package exec

import (
	"context"
	"errors"
	"time"

	"github.com/belfryhq/belfry/exec/wire"
)

// slot executes one run after the other.
func (s *session) slot() {
	for {
		h, ctx := s.take()
		if h == nil {
			return
		}
		s.execute(ctx, h)
	}
}

// take waits for a run and makes it running. Nil means that the session is closed.
func (s *session) take() (*held, context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.closed {
			return nil, nil
		}
		if h := s.hold.begin(time.Now()); h != nil {
			ctx, cancel := context.WithCancelCause(s.ctx)
			h.stop = cancel
			s.taken = h.began
			return h, ctx
		}
		s.ready.Wait()
	}
}

// execute runs an attempt, which is this goroutine's alone until it ended.
func (s *session) execute(ctx context.Context, h *held) {
	r := h.run
	defer h.stop(nil)
	out := newOutput(func(chunk []byte) {
		s.publish(s.cfg.Prefix.LogsSubject(s.cfg.Name, r.Run, r.Attempt), chunk)
	}, r.OutputLimit)
	ended := s.runtime.Run(ctx, &Job{
		Run: r.Run, Attempt: r.Attempt, Source: r.Source, ScheduledFor: r.ScheduledFor,
		Function: r.Function, FunctionName: r.FunctionName, Version: r.Version, Code: h.code,
		User: r.User, UserID: r.UserID, Data: r.Data,
		Timeout: time.Duration(r.TimeoutMS) * time.Millisecond, MemoryLimit: r.MemoryLimit,
		Fresh: r.Fresh, Sandbox: r.Sandbox, CPULimit: time.Duration(r.CPULimitMS) * time.Millisecond,
		ProcessLimit: r.ProcessLimit, FileLimit: r.FileLimit, OutputLimit: r.OutputLimit, Env: r.Env,
		Schedule: func(ctx context.Context, item wire.Item) (wire.ScheduleAnswer, error) {
			return s.schedule(ctx, h, item)
		},
	}, out.add)
	out.close(ended.Dropped)
	if ended.Kind == wire.Canceled {
		ended = stopped(ended, context.Cause(ctx))
	}
	s.finish(h, ended, out)
}

// stopped says why a run was stopped: only its owner cancels it, everything
// else is the executor's loss.
func stopped(ended Ended, cause error) Ended {
	if errors.Is(cause, errCanceled) {
		return ended
	}
	ended.Kind = wire.Lost
	ended.Error = &wire.Error{Type: "ExecutorStopped", Message: errStopping.Error()}
	return ended
}

// finish reports how a run ended.
func (s *session) finish(h *held, ended Ended, out *output) {
	r, now := h.run, time.Now()
	if ended.Finished.IsZero() {
		ended.Finished = now
	}
	report := s.report(r, ended, out)
	s.mu.Lock()
	s.pace.ran(now.Sub(h.began))
	if s.hold.all[h.key] != h { // forgotten with its stream
		report = nil
	} else {
		s.ended(h, report, ended.Kind, now)
	}
	s.mu.Unlock()
	s.publishReport(r.Partition, report)
}

// end reports an attempt that never ran. The caller publishes what it returns.
func (s *session) end(h *held, ended Ended, out *output, now time.Time) []byte {
	ended.Finished = now
	report := s.report(h.run, ended, out)
	s.ended(h, report, ended.Kind, now)
	return report
}

// ended moves an attempt on to those that wait to be stored.
func (s *session) ended(h *held, report []byte, kind wire.OutcomeKind, now time.Time) {
	h.owner.freed(s.window(h.owner), now)
	s.hold.end(h, report, now)
	s.stats.count(kind)
	s.alarmBy(now.Add(s.cfg.ReportEvery))
	if s.short || now.Sub(s.divided) >= windowsEvery {
		s.rewindow(now)
	}
	s.move()
}

func (s *session) window(o *owner) int {
	if o == nil {
		return 0
	}
	return s.windows[o.name]
}

// move tells a Stop that waits that something has changed.
func (s *session) move() {
	if s.leaving {
		select {
		case s.moved <- struct{}{}:
		default:
		}
	}
}
