package cluster

import (
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// A founder of one, whose cluster grew, learns like any other that it was removed
// while it was cut off.
func TestAFounderOfOneLearnsOfItsRemoval(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.up(0, "n1")
	s.expect = 0
	for _, name := range []string{"n2", "n3"} {
		s.place(name)
		s.up(0, name)
	}
	s.agrees("n1", "n2", "n3")
	first := s.node("n1")
	s.eventually("another leads", func() bool {
		if first.IsLeader() {
			_ = first.Transfer(t.Context(), "")
		}
		return s.leader() != first
	})
	first.port.close() // nobody reaches it any more; it reaches others
	s.eventually("another removes it", func() bool {
		for _, c := range []*Cluster{s.node("n2"), s.node("n3")} {
			if c.Remove(t.Context(), "n1") == nil && c.Removed(t.Context(), "n1") == nil {
				return true
			}
		}
		return false
	})
	s.eventually("it knows", func() bool { return errors.Is(first.Expulsion(), ErrRefused) })
}

// A node alone that came back at another address, where its old one is taken by a
// node of another release, has nobody to ask and is not expelled.
func TestANodeAloneAsksNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.up(0, "n1")
	s.kill("n1")
	old, err := net.Listen("tcp", s.cfgs["n1"].Addr)
	no(t, err)
	var asked atomic.Int64
	p := openPort(old, old.Addr().String(), slog.New(slog.DiscardHandler))
	p.serve(func(greeting) error { return nil }, func(question) answer {
		asked.Add(1)
		return answer{V: wireVersion + 1}
	})
	t.Cleanup(p.close)
	moved := s.config("n1")
	moved.listener, moved.Join, moved.Expect = s.listen(), nil, 0
	moved.Addr = moved.listener.Addr().String()
	c, err := s.try(moved)
	no(t, err)
	no(t, c.WaitLeader(t.Context()))
	c.shut(false)
	if err := c.Expulsion(); err != nil || asked.Load() > 0 {
		t.Fatalf("it asked %d times: %v", asked.Load(), err)
	}
}

func TestARemovedNodeNeverReturns(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3).steady()
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	leader := s.leader()
	gone := map[bool]string{true: "n2", false: "n3"}[leader.cfg.Name == "n3"]
	if err := leader.Removed(t.Context(), gone); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "is not leaving") {
		t.Fatalf("removed without an intent: %v", err)
	}
	for range 2 {
		no(t, leader.Remove(t.Context(), gone))
	}
	if !leader.State().Leaving[gone] || !slices.Contains(voters(leader), gone) {
		t.Fatal("an intent is more, or less, than that")
	}
	no(t, leader.PutPlan(t.Context(), Plan{7: gone}))
	if err := leader.Removed(t.Context(), gone); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "partition 7") {
		t.Fatalf("removed what still owns: %v", err)
	}
	no(t, leader.PutPlan(t.Context(), Plan{}))
	for range 2 {
		no(t, leader.Removed(t.Context(), gone))
	}
	no(t, leader.Remove(t.Context(), gone))
	s.kill(gone)
	left := slices.DeleteFunc([]string{"n1", "n2", "n3"}, func(n string) bool { return n == gone })
	s.agrees(left...)

	s.refusedWith(s.config(gone), "was removed from this cluster, for good")
	wiped := s.config(gone)
	wiped.Dir, wiped.Self.Instance = t.TempDir(), "another"
	s.refusedWith(wiped, "was removed from this cluster, for good")
	if err := leader.PutMember(t.Context(), Member{Name: gone}); !errors.Is(err, ErrRefused) {
		t.Fatalf("a removed name is a member again: %v", err)
	}
	s.agrees(left...)
}

func TestTheNextLeaderEndsARemoval(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3).steady()
	s.place("n4")
	s.up(0, "n1", "n2", "n3", "n4")
	s.agrees("n1", "n2", "n3", "n4")
	leader := s.leader()
	gone := map[bool]string{true: "n2", false: "n3"}[leader.cfg.Name == "n3"]
	no(t, leader.Remove(t.Context(), gone))
	// It died between the two steps of Removed.
	leader.membership.Lock()
	_, err := leader.local(t.Context(), forget{gone})
	no(t, err)
	leader.shut(false)
	leader.membership.Unlock()
	s.kill(leader.cfg.Name)
	s.eventually("raft forgets it", func() bool {
		next := s.leader()
		_, removed := next.State().Removed[gone]
		return removed && !next.isServer(gone)
	})
}

func TestALeaderHandsOverBeforeItIsRemoved(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3).steady()
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	gone := s.leader().cfg.Name
	no(t, s.leader().Remove(t.Context(), gone))
	s.eventually("it is removed", func() bool {
		leader := s.leader()
		err := leader.Removed(t.Context(), gone)
		if err != nil && !errors.Is(err, ErrNotLeader) && !errors.Is(err, ErrUnknownOutcome) {
			t.Fatal(err)
		}
		if err == nil && leader.cfg.Name == gone {
			t.Fatal("a leader removed itself")
		}
		return err == nil
	})
	s.kill(gone)
	s.agrees(slices.DeleteFunc([]string{"n1", "n2", "n3"}, func(n string) bool { return n == gone })...)
}

func TestTheLastVoteStays(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2).steady()
	s.up(0, "n1", "n2")
	s.agrees("n1", "n2")
	leader := s.leader()
	other := map[bool]string{true: "n2", false: "n1"}[leader.cfg.Name == "n1"]
	no(t, leader.Remove(t.Context(), other))
	if err := leader.Remove(t.Context(), leader.cfg.Name); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "the last that has a vote") {
		t.Fatalf("the last may go: %v", err)
	}
	var elsewhere *NotLeaderError
	if err := s.node(other).Remove(t.Context(), other); !errors.As(err, &elsewhere) || elsewhere.Raft != leader.Addr() {
		t.Fatalf("a follower removes: %v", err)
	}
	no(t, leader.Removed(t.Context(), other))
	if got := voters(leader); !slices.Equal(got, []string{leader.cfg.Name}) {
		t.Fatalf("%v have a vote", got)
	}
	if err := leader.Remove(t.Context(), leader.cfg.Name); !errors.Is(err, ErrRefused) {
		t.Fatalf("the last may go: %v", err)
	}
}
