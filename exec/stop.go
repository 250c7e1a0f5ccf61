package exec

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/belfryhq/belfry/exec/wire"
)

// shutdown ends a session in good order, as Executor.Stop says.
func (s *session) shutdown(ctx context.Context) error {
	s.leave()
	s.await(ctx, s.cfg.Grace, func() bool { return s.hold.running == 0 })
	s.stopAll()
	// The runtime must end what it was told to end, whatever ctx says.
	s.await(context.WithoutCancel(ctx), killMax, func() bool { return s.hold.running == 0 })
	s.await(ctx, s.cfg.FlushMax, func() bool { return s.hold.unstored.Len() == 0 || len(s.owners) == 0 })

	s.mu.Lock()
	last := s.announcement()
	stuck := s.names(wire.HeldRunning)
	unstored := s.hold.unstored.Len()
	s.mu.Unlock()
	s.announce(last)
	_ = s.flush(context.WithoutCancel(ctx)) // without a connection there is nobody to tell
	if len(stuck) > 0 {
		s.disconnect()
		return fmt.Errorf("exec: the runtime did not end %s: kill this process", strings.Join(stuck, ", "))
	}
	s.close()
	s.log.Info("executor stopped", "reports_not_stored", unstored)
	return nil
}

// leave takes no more runs and hands back what is queued.
func (s *session) leave() {
	now := time.Now()
	var out []message
	s.mu.Lock()
	s.leaving = true
	for h := s.hold.head(); h != nil; h = s.hold.head() {
		out = append(out, message{h.run.Partition, s.end(h, Ended{Kind: wire.HandedBack}, nil, now)})
	}
	s.rewindow(now)
	s.announceBy(now)
	s.mu.Unlock()
	for _, m := range out {
		s.publishReport(m.partition, m.report)
	}
}

// stopAll ends the runs under way.
func (s *session) stopAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hold.all {
		if h.state == wire.HeldRunning {
			h.stop(errStopping)
		}
	}
}

// await waits until what it is given holds, under the lock, at most max.
func (s *session) await(ctx context.Context, max time.Duration, done func() bool) {
	late := time.NewTimer(max)
	defer late.Stop()
	for {
		s.mu.Lock()
		ok := done()
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-s.moved:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// names lists attempts in a state, for people.
func (s *session) names(state wire.HeldState) []string {
	var out []string
	for key, h := range s.hold.all {
		if h.state == state {
			out = append(out, fmt.Sprintf("attempt %d of %s", key.Attempt, key.Run))
		}
	}
	return out
}
