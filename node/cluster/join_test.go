package cluster

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestNodesJoinWithoutAVoteAndGetOne(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	cfg := s.config("n1")
	cfg.Join, cfg.Expect, cfg.Bootstrap = nil, 0, true // as a node alone begins
	first, err := s.try(cfg)
	no(t, err)
	no(t, first.WaitLeader(t.Context()))
	if id := first.State().ID; id != "" {
		t.Fatalf("a node alone has the cluster id %q", id)
	}
	stream, err := first.IntendStream(t.Context(), "a")
	no(t, err)
	want := []string{"n1"}
	for _, name := range []string{"n2", "n3", "n4", "n5"} {
		s.place(name)
		s.up(0, name)
		want = append(want, name)
		s.eventually(name+" has a vote", func() bool { return slices.Equal(voters(first), want) })
	}
	s.agrees(want...)
	if got := s.node("n5").State().Stream; got != stream {
		t.Fatalf("the last one knows the stream %+v", got)
	}
	s.kill("n1", "n2")
	s.leader()
}

func TestAVoteIsGivenByTheNextLeaderToo(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3).steady()
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	cfg := s.place("n4")
	leader := s.leader()
	// Its leader died when it had let n4 in.
	leader.membership.Lock()
	m := cfg.Self
	m.Name, m.Raft = "n4", cfg.Addr
	no(t, leader.enter(t.Context(), m))
	leader.membership.Unlock()
	if slices.Contains(voters(leader), "n4") {
		t.Fatal("a node that never ran has a vote")
	}
	s.kill(leader.cfg.Name)
	s.up(0, "n4")
	s.leader()
	s.eventually("n4 has a vote", func() bool { return slices.Contains(voters(s.leader()), "n4") })
}

func TestANodeThatMovedIsFound(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	for range 2 { // a follower or the leader, whoever n2 is
		leader := s.leader()
		_ = leader.Transfer(t.Context(), map[bool]string{true: "n3", false: "n2"}[leader.cfg.Name == "n2"])
		s.kill("n2")
		moved := s.cfgs["n2"]
		listener := s.listen()
		moved.listener, moved.Addr = listener, listener.Addr().String()
		s.cfgs["n2"] = moved
		s.up(0, "n2")
		s.eventually("all know where it is", func() bool {
			for _, c := range s.all() {
				server, _ := c.server("n2")
				if string(server.Address) != moved.Addr || c.State().Members["n2"].Raft != moved.Addr {
					return false
				}
			}
			return true
		})
	}
}

// A node that --join names by an alias asks itself, and may lead by then. Its own
// refusal is no word of the cluster's.
func TestANodeThatAsksItselfByAnAliasIsNotExpelled(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	s.kill("n1", "n2", "n3")
	listener := s.listen()
	alias := openPort(listener, listener.Addr().String(), slog.New(slog.DiscardHandler))
	cfg := s.config("n2")
	cfg.Join, cfg.Expect = []string{alias.addr}, 0
	c, err := s.try(cfg)
	no(t, err)
	asked := make(chan struct{}, strangersMax)
	alias.serve(c.takesRaft, func(q question) answer {
		a := c.meet(q)
		a.Refused = c.objection(q) // as if it led
		select {
		case asked <- struct{}{}:
		default:
		}
		return a
	})
	t.Cleanup(alias.close)
	s.eventually("it has asked itself twice", func() bool { return len(asked) > 1 || c.Expulsion() != nil })
	no(t, c.Expulsion())
	s.up(0, "n1", "n3")
	s.agrees("n1", "n2", "n3")
}

// refusedWith starts a node that must not come in.
func (s *site) refusedWith(cfg Config, want string) {
	s.t.Helper()
	c, err := s.try(cfg)
	if err == nil {
		err = c.WaitLeader(s.t.Context())
		c.Stop()
		s.mu.Lock()
		delete(s.nodes, cfg.Name)
		s.mu.Unlock()
	}
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		s.t.Fatalf("error: %v, want a refusal with %q", err, want)
	}
}

func TestAWipedNodeIsRefusedUnderItsOldName(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	s.kill("n2")
	before := s.leader().raft.LastIndex()
	cfg := s.config("n2")
	cfg.Dir, cfg.Self.Instance = t.TempDir(), "another"
	s.refusedWith(cfg, "node n2 has belonged to this cluster with another data directory: belfry cluster remove n2")

	// It was at the old address: Raft must not have told it anything.
	store, err := openStore(filepath.Join(cfg.Dir, raftDir))
	no(t, err)
	last, err := store.LastIndex()
	no(t, errors.Join(err, store.Close()))
	if last > 0 || before == 0 {
		t.Fatalf("the wiped node has a log up to %d", last)
	}
}

func TestTheAddressOfAMemberGivenToAnotherIsNoMember(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	s.kill("n2")
	// A cluster of its own runs at the address of n2, under its name.
	cfg := s.config("n2")
	cfg.Dir, cfg.Join, cfg.Expect, cfg.Self.Instance = t.TempDir(), nil, 1, "another"
	other, err := s.try(cfg)
	no(t, err)
	no(t, other.WaitLeader(t.Context()))
	leader := s.node("n1")
	no(t, leader.PutMember(t.Context(), Member{Name: "n1"}))
	s.eventually("heartbeats are tried", func() bool {
		for _, c := range []*Cluster{s.node("n1"), s.node("n3")} {
			if c.IsLeader() && time.Since(c.Reachable()["n2"]) > 2*testHeartbeat {
				return true
			}
		}
		return false
	})
	if !other.IsLeader() || len(other.servers()) != 1 {
		t.Fatalf("two clusters were mixed: %+v", other.servers())
	}
}

func TestANodeOfAnotherClusterIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	for _, how := range []string{"formed", "bootstrapped"} {
		cfg := s.place("n4")
		cfg.Expect = 1
		if how == "bootstrapped" {
			cfg.Expect, cfg.Bootstrap = 0, true
		}
		c, err := Start(t.Context(), cfg)
		no(t, err)
		no(t, c.WaitLeader(t.Context()))
		c.Stop()
		s.config("n4") // its listener is used up
		s.refusedWith(s.config("n4"), "node n4 belongs to another cluster, and two cannot be made one")
		s.eventually(how+": it is told so by who leads", func() bool { // who loses the lead just then asks for patience
			ok, refused := s.leader().admit(t.Context(), question{Self: Member{Name: "n4", Instance: "instance-of-n4"}, Belongs: true, Cluster: map[string]string{"formed": "x"}[how]})
			if ok {
				t.Fatalf("%s: admitted", how)
			}
			return strings.Contains(refused, "another cluster")
		})
	}
}

// A node alone, as belfry up is, says so to who would join it, of whatever release.
func TestANodeAloneIsNotJoined(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	cfg := s.config("n1")
	cfg.Join, cfg.Expect, cfg.Bootstrap, cfg.Self = nil, 0, true, Member{}
	only, err := s.try(cfg)
	no(t, err)
	no(t, only.WaitLeader(t.Context()))
	for _, level := range []int{0, 7} {
		s.cfgs["n2"] = s.from(s.place("n2"), "v1", level, level)
		cfg := s.config("n2")
		cfg.Expect = 0
		s.refusedWith(cfg, "node n1 at "+only.Addr()+" is a node alone")
		a := only.meet(question{V: wireVersion, Ask: askJoin, Self: Member{Name: "n2", Instance: "i2", Raft: cfg.Addr}, Speaks: cfg.Speaks})
		if a.OK || !strings.Contains(a.Refused, "belfry cluster init") {
			t.Errorf("it is let in: %+v", a)
		}
	}
	if n := len(only.servers()); n != 1 || only.State().ID != "" {
		t.Errorf("it is one of %d", n)
	}
}

// Nor does it do commands, not even of who takes its name.
func TestANodeAloneIsGivenNoCommands(t *testing.T) {
	t.Parallel()
	only := start(t, config(t.TempDir()))
	no(t, only.WaitLeader(t.Context()))
	stream, err := only.IntendStream(t.Context(), "a")
	no(t, err)
	command, err := encode(raiseLowWater{stream.ID, 99})
	no(t, err)
	a := only.meet(question{V: wireVersion, Ask: askApply, Self: only.self(), Speaks: only.speaks(), Command: command})
	if a.OK || !strings.Contains(a.Refused, "node alone") || only.State().Stream.LowWater > 0 {
		t.Errorf("it is done: %+v, %+v", a, only.State().Stream)
	}
}

// Nor does it follow who says that he leads it.
func TestANodeAloneFollowsNobody(t *testing.T) {
	t.Parallel()
	only := start(t, config(t.TempDir()))
	no(t, only.WaitLeader(t.Context()))
	for _, from := range []string{"n1", "n2"} {
		if err := only.takesRaft(greeting{V: wireVersion, From: from, Speaks: only.speaks()}); err == nil {
			t.Errorf("Raft of one that calls itself %s is taken", from)
		}
	}
	no(t, only.takesRaft(only.greet(only.Addr())))
}

func TestNodesOfOneNameAreTold(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	a, b := s.config("n1"), s.config("n2")
	b.Name = "n1"
	failed := make(chan error, 2)
	for _, cfg := range []Config{a, b} {
		go func() {
			_, err := s.try(cfg)
			failed <- err
		}()
	}
	// The first to see the other goes; the second may then wait for somebody.
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "two nodes are called n1") {
		t.Fatalf("error: %v", err)
	}
}

func TestACopiedDirectoryIsTold(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	a, b := s.config("n1"), s.config("n2")
	b.Self.Instance = a.Self.Instance
	failed := make(chan error, 2)
	for _, cfg := range []Config{a, b} {
		go func() {
			_, err := s.try(cfg)
			failed <- err
		}()
	}
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "copy of this node's data directory") {
		t.Fatalf("error: %v", err)
	}
}

func TestNobodyFormsAClusterOfLess(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 4*meetEvery, errors.New("waited enough"))
	defer cancel()
	failed := make(chan error, 2)
	for _, name := range []string{"n1", "n2"} { // n3's port is open and silent
		go func() {
			c, err := Start(ctx, s.config(name))
			if err == nil {
				c.Stop()
			}
			failed <- err
		}()
	}
	for range 2 {
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "belongs to no cluster yet") || !strings.Contains(err.Error(), "waited enough") {
			t.Fatalf("error: %v", err)
		}
	}
	s.up(0, "n1", "n2", "n3") // what was begun is no obstacle
	s.agrees("n1", "n2", "n3")
}

// Who waits to form a cluster says what for, whenever that changes.
func TestWhoFormsAClusterSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	cfg := s.config("n2")
	no(t, s.config("n1").listener.Close()) // nobody is there
	silent := s.config("n3").listener
	var log lines
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	started := make(chan error, 1)
	go func() {
		_, err := s.try(cfg)
		started <- err
	}()
	s.eventually("it waits for one", func() bool { return strings.Contains(log.String(), cfg.Join[2]) })
	no(t, silent.Close())
	s.expect = 3
	s.up(0, "n1", "n3")
	no(t, <-started)
	last, changes := "", 0
	for line := range strings.Lines(log.String()) {
		_, note, found := strings.Cut(line, "waits_for=")
		if !found {
			continue
		}
		if note == last || !strings.Contains(line, "level=INFO") || !strings.Contains(line, "node=n2") {
			t.Errorf("logged: %s", line)
		}
		last, changes = note, changes+1
	}
	if !strings.Contains(log.String(), "not reached") || changes < 2 {
		t.Errorf("it said %q", log.String())
	}
}

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Crash points of forming: what the founder, or one that waits for it, has on
// its disk after each step.
func TestFormingGoesOnAfterACrash(t *testing.T) {
	found := func(t *testing.T, s *site, term bool) {
		cfg := s.cfgs["n1"]
		no(t, os.MkdirAll(filepath.Join(cfg.Dir, raftDir), 0o700))
		store, err := openStore(filepath.Join(cfg.Dir, raftDir))
		no(t, err)
		defer store.Close()
		if term {
			no(t, store.SetUint64([]byte("CurrentTerm"), 1))
			return
		}
		var members []Member
		var group raft.Configuration
		for _, name := range []string{"n1", "n2", "n3"} {
			m := s.cfgs[name].Self
			m.Name, m.Raft = name, s.cfgs[name].Addr
			members = append(members, m)
			group.Servers = append(group.Servers, raft.Server{ID: raft.ServerID(name), Address: raft.ServerAddress(m.Raft)})
		}
		data, err := encode(founding(members))
		no(t, err)
		config := raft.DefaultConfig()
		config.LocalID = "n1"
		no(t, raft.BootstrapCluster(config, foundingStore{store, data}, store, raft.NewInmemSnapshotStore(), nil, group))
	}
	for _, test := range []struct {
		name  string
		crash func(*testing.T, *site)
	}{
		{"the founder wrote the term", func(t *testing.T, s *site) { found(t, s, true) }},
		{"the founder wrote the cluster and told nobody", func(t *testing.T, s *site) { found(t, s, false) }},
		{"the founder wrote the cluster, and was gone while the others waited", func(t *testing.T, s *site) {
			found(t, s, false)
			ctx, cancel := context.WithTimeout(t.Context(), 3*meetEvery)
			defer cancel()
			var both sync.WaitGroup
			for _, name := range []string{"n2", "n3"} {
				both.Go(func() {
					if c, err := Start(ctx, s.config(name)); err == nil {
						c.shut(false)
						t.Error("a cluster without its founder")
					}
				})
			}
			both.Wait()
		}},
		{"a majority had it, and its founder is gone", func(t *testing.T, s *site) {
			found(t, s, false)
			s.up(0, "n1", "n2", "n3")
			s.leader()
			s.kill("n1", "n2", "n3")
			s.up(0, "n2", "n3")
			s.leader()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 3)
			test.crash(t, s)
			names := []string{"n1", "n2", "n3"}
			for name := range s.nodes {
				names = slices.DeleteFunc(names, func(n string) bool { return n == name })
			}
			s.up(0, names...)
			s.agrees("n1", "n2", "n3")
		})
	}
}

func founding(members []Member) command { return found{ID: "formed-before", Members: members} }
