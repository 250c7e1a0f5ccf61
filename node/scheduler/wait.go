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
	leave(s.waiters, run, ended)
}

// WatchRun gives a channel that is closed by the next stored event of a run, or
// when the log is folded again: look then, and watch anew. Stop ends it. Watch
// before you look.
func (s *Scheduler) WatchRun(run string) (changed <-chan struct{}, stop func()) {
	c := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[run] = append(s.watchers[run], c)
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		leave(s.watchers, run, c)
	}
}

// leave takes a channel out of those who wait for a run.
func leave(waiting map[string][]chan struct{}, run string, c chan struct{}) {
	rest := slices.DeleteFunc(waiting[run], func(other chan struct{}) bool { return other == c })
	if waiting[run] = rest; len(rest) == 0 {
		delete(waiting, run)
	}
}

// wakeWaiting tells those who watch runs that events of them are stored, and
// those who wait for their ends which have ended.
func (s *Scheduler) wakeWaiting(events []eventlog.Event) {
	if len(s.waiters)+len(s.watchers) == 0 {
		return
	}
	for n := range events {
		i := s.state.Item(events[n].Subject)
		if i == nil {
			continue
		}
		for _, changed := range s.watchers[i.RunID()] {
			close(changed)
		}
		delete(s.watchers, i.RunID())
		if !i.Status.Final() {
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
	for _, all := range []map[string][]chan struct{}{s.waiters, s.watchers} {
		for run, waiting := range all {
			for _, c := range waiting {
				close(c)
			}
			delete(all, run)
		}
	}
}
