package cluster

import (
	"errors"
	"strings"
	"testing"
)

// from is a config of a release: its version, and the events that it writes and reads.
func (s *site) from(cfg Config, version string, writes, reads int) Config {
	cfg.Self.Version = version
	cfg.Speaks = Speaks{Events: Level{Reads: reads, Writes: writes}, Executors: Both(1)}
	return cfg
}

// mixed fails unless err says in one line who does not go together with whom.
func mixedIn(t *testing.T, err error, want ...string) {
	t.Helper()
	if !errors.Is(err, ErrMixed) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("error: %v, want one line that is ErrMixed", err)
	}
	for _, part := range append(want, "start all with the newer release") {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error: %v, without %q", err, part)
		}
	}
}

// A node whose release writes what the members cannot read, or the other way
// round, is not let in, and says why; nothing changes for the members.
func TestReleasesThatDoNotGoTogetherAreNotMixed(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.cfgs["n1"] = s.from(s.cfgs["n1"], "v1.1", 34, 35)
	s.up(0, "n1")
	for _, c := range []struct {
		name, version string
		writes, reads int
		want          []string
	}{
		{"n2", "v1.3", 36, 36, []string{"node n2 (v1.3) writes events of level 36, node n1 (v1.1) reads up to 35"}},
		{"n3", "v1.0", 33, 33, []string{"node n1 (v1.1) writes events of level 34, node n3 (v1.0) reads up to 33"}},
	} {
		cfg := s.from(s.place(c.name), c.version, c.writes, c.reads)
		cfg.Join = s.join
		_, err := s.try(cfg)
		mixedIn(t, err, c.want...)
	}
	// Who asks to be let in all the same is told, too.
	unfit := s.node("n1").speaks()
	unfit.Events.Writes += 2
	a := s.node("n1").meet(question{V: wireVersion, Ask: askJoin, Self: Member{Name: "n5", Instance: "i5", Raft: "127.0.0.1:9"}, Speaks: unfit})
	if a.OK || !strings.Contains(a.Refused, "node n5 (no version) writes events of level 36") {
		t.Errorf("it is let in: %+v", a)
	}
	if state := s.node("n1").State(); len(state.Members) > 1 || len(s.node("n1").servers()) != 1 {
		t.Errorf("the members are %v", state.Members)
	}
	// The release between goes together with both, so it may come first.
	s.cfgs["n4"] = s.from(s.place("n4"), "v1.2", 35, 35)
	cfg := s.config("n4")
	cfg.Expect = 0
	if _, err := s.try(cfg); err != nil {
		t.Fatal(err)
	}
	s.agrees("n1", "n4")
}

// A member that comes back with a release that does not go together with that of
// the others ends, whichever is the newer, and comes back with the right one. One
// that fits shows its new version.
func TestAMemberIsUpgradedOnlyToWhatGoesTogether(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	for _, name := range []string{"n1", "n2", "n3"} {
		s.cfgs[name] = s.from(s.cfgs[name], "v1.1", 34, 34)
	}
	s.up(0, "n1", "n2", "n3")
	s.kill("n3")
	for version, level := range map[string]int{"v1.2": 35, "v1.0": 33} {
		c, err := s.try(s.from(s.config("n3"), version, level, level))
		no(t, err)
		mixedIn(t, c.WaitLeader(t.Context()), "node n3 ("+version+")", "(v1.1)")
		mixedIn(t, c.Expulsion())
		s.kill("n3")
	}
	c, err := s.try(s.from(s.config("n3"), "v1.1.1", 34, 35))
	no(t, err)
	no(t, c.WaitLeader(t.Context()))
	s.eventually("the version of n3 is known", func() bool {
		return s.node("n1").State().Members["n3"].Version == "v1.1.1" && s.node("n2").State().Members["n3"].Version == "v1.1.1"
	})
}

// Raft's own messages are refused, too: who was elected elsewhere leads nobody here.
func TestRaftOfAnotherReleaseIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.cfgs["n1"] = s.from(s.cfgs["n1"], "v1.1", 34, 34)
	s.up(0, "n1")
	n1 := s.node("n1")
	fit := greeting{V: wireVersion, From: "n2", Speaks: n1.speaks(), Cluster: n1.id(), To: "n1", Instance: n1.cfg.Self.Instance}
	no(t, n1.takesRaft(fit))
	for _, change := range []func(*Speaks){
		func(s *Speaks) { s.Events.Writes++ },
		func(s *Speaks) { s.Events.Reads-- },
		func(s *Speaks) { s.Commands.Writes++ },
		func(s *Speaks) { s.Commands.Reads-- },
		func(s *Speaks) { s.State.Writes++ },
		func(s *Speaks) { s.Executors.Writes++ },
	} {
		unfit := fit
		change(&unfit.Speaks)
		if err := n1.takesRaft(unfit); !errors.Is(err, ErrMixed) {
			t.Errorf("%+v is taken: %v", unfit.Speaks, err)
		}
	}
}
