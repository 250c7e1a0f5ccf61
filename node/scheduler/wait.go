package scheduler

import (
	"context"
	"slices"

	"github.com/belfryhq/belfry/eventlog"
)

// WaitRun returns when a run has ended and that is stored, or when ctx ends. It
// returns at once if there is no such run.
func (s *Scheduler) WaitRun(ctx context.Context, run string) {
	for {
		ended := make(chan struct{})
		s.mu.Lock()
		i := s.state.Run(run)
		over := i == nil || i.Status.Final()
		horizon := Horizon{s.open}
		if !over {
			s.waiters[run] = append(s.waiters[run], ended)
		}
		s.mu.Unlock()
		if over && !displaced(horizon.Wait(ctx, s.stopped)) {
			return // whoever reads next waits for it too
		}
		if over {
			continue // that end was never stored
		}
		select {
		case <-ended: // or the log was folded again: look
		case <-ctx.Done():
			s.waitNoMore(run, ended)
			return
		case <-s.stopped:
			s.waitNoMore(run, ended)
			return
		}
	}
}

func (s *Scheduler) waitNoMore(run string, ended chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := slices.DeleteFunc(s.waiters[run], func(c chan struct{}) bool { return c == ended })
	if s.waiters[run] = rest; len(rest) == 0 {
		delete(s.waiters, run)
	}
}

// wakeEnded tells those who wait for runs that stored events have ended.
func (s *Scheduler) wakeEnded(events []eventlog.Event) {
	if len(s.waiters) == 0 {
		return
	}
	for n := range events {
		i := s.state.Item(events[n].Subject)
		if i == nil || !i.Status.Final() {
			continue
		}
		for _, ended := range s.waiters[i.RunID()] {
			close(ended)
		}
		delete(s.waiters, i.RunID())
	}
}

// wakeAll has everybody who waits for a run look again.
func (s *Scheduler) wakeAll() {
	for run, waiting := range s.waiters {
		for _, ended := range waiting {
			close(ended)
		}
		delete(s.waiters, run)
	}
}
