package scheduler

import (
	"context"
	"slices"
)

// WaitRun returns when a run has ended and that is stored, or when ctx ends. It
// returns at once if there is no such run.
func (s *Scheduler) WaitRun(ctx context.Context, run string) {
	ended := make(chan struct{})
	s.mu.Lock()
	i := s.state.Run(run)
	over := i == nil || i.Status.Final()
	horizon := Horizon{s.open}
	if !over {
		s.waiters[run] = append(s.waiters[run], ended)
	}
	s.mu.Unlock()
	if over {
		_ = horizon.Wait(ctx, s.stopped) // whoever reads next waits for it too
		return
	}
	select {
	case <-ended:
		return
	case <-ctx.Done():
	case <-s.stopped:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := slices.DeleteFunc(s.waiters[run], func(c chan struct{}) bool { return c == ended })
	if s.waiters[run] = rest; len(rest) == 0 {
		delete(s.waiters, run)
	}
}

// wake tells those who wait for runs that a stored commit has ended.
func (s *Scheduler) wake(c *commit) {
	if len(s.waiters) == 0 {
		return
	}
	for n := range c.events {
		i := s.state.Item(c.events[n].Subject)
		if i == nil || !i.Status.Final() {
			continue
		}
		for _, ended := range s.waiters[i.RunID()] {
			close(ended)
		}
		delete(s.waiters, i.RunID())
	}
}
