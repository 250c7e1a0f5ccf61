package cluster

import (
	"testing"
	"time"
)

// A leader whose process has ended is followed before it has been silent for long,
// by one that has a vote; of who runs nobody says that it is gone.
func TestALeaderThatEndedIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3).steady()
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	first := s.leader().cfg.Name
	for _, c := range s.all() {
		if c.Gone(t.Context(), first) {
			t.Errorf("for %s the leader is gone", c.cfg.Name)
		}
	}
	s.kill(first)
	from := time.Now()
	s.leader()
	if took := time.Since(from); took >= steadyHeartbeat {
		t.Errorf("another leads after %s", took)
	}
	if !s.leader().Gone(t.Context(), first) || s.leader().Gone(t.Context(), "nobody") {
		t.Error("who is gone is not known")
	}
}
