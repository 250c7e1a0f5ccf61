package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// testHeartbeat is short, so that an election is; patience bounds what a test
// waits for on a busy machine.
const (
	testHeartbeat   = 150 * time.Millisecond
	steadyHeartbeat = 3 * time.Second
	patience        = 30 * time.Second
)

// site is where nodes of a test live: their directories and addresses outlast
// them.
type site struct {
	t      *testing.T
	expect int
	join   []string

	heartbeat time.Duration

	mu    sync.Mutex
	nodes map[string]*Cluster
	cfgs  map[string]Config
}

// newSite gives each of n founders an address that the others know.
func newSite(t *testing.T, n int) *site {
	s := &site{t: t, expect: n, heartbeat: testHeartbeat, nodes: make(map[string]*Cluster), cfgs: make(map[string]Config)}
	for i := range n {
		s.join = append(s.join, s.place(fmt.Sprintf("n%d", i+1)).Addr)
	}
	return s
}

// place makes a directory and an address for a node.
func (s *site) place(name string) Config {
	s.t.Helper()
	listener := s.listen()
	cfg := Config{
		Name: name, Addr: listener.Addr().String(), Dir: s.t.TempDir(), HeartbeatTimeout: s.heartbeat,
		Self: Member{Instance: "instance-of-" + name, NATS: "nats-" + name}, listener: listener,
	}
	s.cfgs[name] = cfg
	return cfg
}

// steady lets nobody be elected anew because a busy machine was late with a
// heartbeat: for tests that go on with the leader they found.
func (s *site) steady() *site {
	s.heartbeat = steadyHeartbeat
	for name, cfg := range s.cfgs {
		cfg.HeartbeatTimeout = steadyHeartbeat
		s.cfgs[name] = cfg
	}
	return s
}

// hosts counts the loopback addresses that were given out.
var hosts atomic.Int64

// listen takes a port on a loopback address of its own, where the system has
// more than one: on 127.0.0.1 anybody's outgoing connection may take the port of
// a node that is down.
func (s *site) listen() net.Listener {
	s.t.Helper()
	n := hosts.Add(1)
	listener, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+os.Getpid()%200, 1+n/200, 1+n%200))
	if err != nil {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	no(s.t, err)
	return listener
}

// config of a node for its next start.
func (s *site) config(name string) Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	cfg := s.cfgs[name]
	once := cfg
	once.listener = nil
	s.cfgs[name] = once
	cfg.Join = s.join
	cfg.Expect = s.expect
	return cfg
}

// try starts a node and returns what came of it.
func (s *site) try(cfg Config) (*Cluster, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	c, err := Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { c.shut(false) })
	s.mu.Lock()
	s.nodes[cfg.Name] = c
	s.mu.Unlock()
	return c, nil
}

// up starts nodes, in this order, with a pause between them, and waits until
// they know a leader.
func (s *site) up(pause time.Duration, names ...string) {
	s.t.Helper()
	var all sync.WaitGroup
	for i, name := range names {
		if i > 0 {
			time.Sleep(pause)
		}
		all.Go(func() {
			c, err := s.try(s.config(name))
			if err == nil {
				err = c.WaitLeader(s.t.Context())
			}
			if err != nil {
				s.t.Errorf("start %s: %v", name, err)
			}
		})
	}
	all.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// kill ends a node as a crash does: nobody is told.
func (s *site) kill(names ...string) {
	for _, name := range names {
		s.node(name).port.close()
		s.node(name).shut(false)
		s.mu.Lock()
		delete(s.nodes, name)
		s.mu.Unlock()
	}
}

func (s *site) node(name string) *Cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nodes[name]
}

func (s *site) all() []*Cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*Cluster
	for _, c := range s.nodes {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *Cluster) int { return strings.Compare(a.cfg.Name, b.cfg.Name) })
	return all
}

// eventually waits until what holds.
func (s *site) eventually(what string, holds func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("never: %s", what)
		}
	}
}

// leader waits until all that run agree on one that runs.
func (s *site) leader() *Cluster {
	s.t.Helper()
	var leader *Cluster
	s.eventually("one leader", func() bool {
		leader = nil
		for _, c := range s.all() {
			if c.IsLeader() {
				leader = c
			}
		}
		if leader == nil {
			return false
		}
		for _, c := range s.all() {
			if c.Leader() != leader.cfg.Name {
				return false
			}
		}
		return true
	})
	return leader
}

// agrees waits until all that run have these members, all with a vote, and the
// same id, which it returns.
func (s *site) agrees(names ...string) string {
	s.t.Helper()
	slices.Sort(names)
	s.eventually(fmt.Sprintf("all agree on %v", names), func() bool {
		id := ""
		for _, c := range s.all() {
			state := c.State()
			if id == "" {
				id = state.ID
			}
			if state.ID == "" || state.ID != id || !slices.Equal(names, memberNames(state)) || !slices.Equal(names, voters(c)) {
				return false
			}
		}
		return true
	})
	return s.all()[0].State().ID
}

func memberNames(state State) (names []string) {
	for name := range state.Members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func voters(c *Cluster) (names []string) {
	for _, server := range c.servers() {
		if server.Suffrage == 0 {
			names = append(names, string(server.ID))
		}
	}
	slices.Sort(names)
	return names
}

// orders are all orders of three nodes.
func orders() [][]string {
	return [][]string{
		{"n1", "n2", "n3"}, {"n1", "n3", "n2"}, {"n2", "n1", "n3"}, {"n2", "n3", "n1"}, {"n3", "n1", "n2"}, {"n3", "n2", "n1"},
	}
}

func TestThreeNodesFormOneClusterInEveryOrderAndStayIt(t *testing.T) {
	for i, order := range orders() {
		t.Run(strings.Join(order, " "), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 3)
			s.up(time.Duration(i%3)*120*time.Millisecond, order...)
			id := s.agrees("n1", "n2", "n3")
			for _, c := range s.all() {
				no(t, c.PutMember(t.Context(), Member{Name: c.cfg.Name, Raft: c.Addr(), HTTP: "http-" + c.cfg.Name}))
			}
			s.kill("n1", "n2", "n3")
			s.up(time.Duration((i+1)%3)*120*time.Millisecond, orders()[(i+2)%6]...)
			if again := s.agrees("n1", "n2", "n3"); again != id {
				t.Fatalf("the cluster was %s and is %s", id, again)
			}
			s.leader()
			s.eventually("what was agreed is known to all", func() bool {
				for _, c := range s.all() {
					for name, m := range c.State().Members {
						if m.HTTP != "http-"+name || m.Instance != "instance-of-"+name || m.NATS != "nats-"+name {
							return false
						}
					}
				}
				return true
			})
		})
	}
}

func TestAKilledLeaderIsReplacedAndSeenToBeSilent(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3).steady()
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	first := s.leader().cfg.Name
	before := time.Now()
	if n := len(s.node(first).Reachable()); n != 2 {
		t.Fatalf("the leader knows %d others", n)
	}
	s.kill(first)
	s.eventually("another leads", func() bool { return s.leader().cfg.Name != first })
	second := s.leader()
	for _, c := range s.all() {
		if c != second && c.Reachable() != nil {
			t.Fatal("a follower says who is reachable")
		}
	}
	s.eventually("the dead one is silent", func() bool {
		changed := second.ReachableChanged()
		since := second.Reachable()[first]
		if time.Since(since) > 2*steadyHeartbeat && since.After(before) {
			return true
		}
		select {
		case <-changed:
		case <-time.After(patience):
			t.Fatal("nothing changes")
		}
		return false
	})
	s.up(0, first)
	s.eventually("it is back", func() bool { return time.Since(second.Reachable()[first]) < steadyHeartbeat })
}

// A member that is away for long is no reason to speak of it for as long.
func TestOfWhoIsAwayLittleIsSaid(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	record := new(recorder)
	for name, cfg := range s.cfgs {
		cfg.Logger = slog.New(record)
		s.cfgs[name] = cfg
	}
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	away := "n1"
	if s.leader().cfg.Name == away {
		away = "n2"
	}
	s.kill(away)
	s.eventually("it has been silent for long", func() bool {
		since, silent := s.leader().Reachable()[away]
		return silent && time.Since(since) > 10*testHeartbeat
	})
	for _, line := range record.from(slog.LevelInfo) {
		if strings.Contains(line, "failed to heartbeat to") || strings.Contains(line, "text=failed to contact") && !strings.Contains(line, "quorum") {
			t.Errorf("it says %q", line)
		}
	}
}

// Two transfers of the lead to a member that is away are refused, and the leader
// goes on to take commands.
func TestALeadThatCannotBeHandedOnIsKept(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	leader := s.leader()
	away := "n1"
	if leader.cfg.Name == away {
		away = "n2"
	}
	s.kill(away)
	no(t, leader.PutMember(t.Context(), Member{Name: leader.cfg.Name, Instance: "instance-of-" + leader.cfg.Name, NATS: "elsewhere"}))
	time.Sleep(5 * testHeartbeat) // so that whoever sends to it waits
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), patience/3)
		if err := leader.Transfer(ctx, away); err == nil {
			t.Error("who is away leads")
		}
		cancel()
	}
	s.eventually("a command is taken", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return s.leader().PutMember(ctx, Member{Name: leader.cfg.Name, Instance: "instance-of-" + leader.cfg.Name, NATS: "again"}) == nil
	})
}

func TestCommandsWorkOnAnyMember(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3).steady()
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	leader := s.leader()
	var each sync.WaitGroup
	var mu sync.Mutex
	secrets, streams := make(map[Secret]bool), make(map[string]bool)
	for i, c := range s.all() {
		each.Go(func() {
			secret, err := c.PutSecret(t.Context(), "routes", []Secret{"YQ==", "Yg==", "Yw=="}[i])
			if err != nil {
				t.Error(err)
			}
			stream, err := c.IntendStream(t.Context(), c.cfg.Name)
			if err = errors.Join(err, c.StreamCreated(t.Context(), stream.ID), c.RaiseLowWater(t.Context(), stream.ID, uint64(i))); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			secrets[secret], streams[stream.ID] = true, true
		})
	}
	each.Wait()
	if len(secrets) != 1 || secrets[""] || len(streams) != 1 || streams[""] {
		t.Fatalf("they were answered with %d secrets and %v", len(secrets), streams)
	}
	for _, c := range s.all() {
		if c == leader {
			continue
		}
		err := c.RaiseLowWater(t.Context(), "another", 1)
		if !errors.Is(err, ErrRefused) || strings.Count(err.Error(), ErrRefused.Error()) != 1 || !strings.Contains(err.Error(), `not "another"`) {
			t.Fatalf("a refusal from afar: %v", err)
		}
		var elsewhere *NotLeaderError
		if err := c.PutPlan(t.Context(), Plan{}); !errors.As(err, &elsewhere) || elsewhere.Leader != leader.cfg.Name || elsewhere.Raft != leader.Addr() {
			t.Fatalf("a plan of a follower: %v", err)
		}
	}

	// The leader dies: a command of a follower waits for the next one.
	s.kill(leader.cfg.Name)
	follower := s.all()[0]
	no(t, follower.PutMember(t.Context(), Member{Name: follower.cfg.Name, HTTP: "x"}))

	// Nobody can lead: it waits until its context ends.
	for _, other := range s.all() {
		if other != follower {
			s.kill(other.cfg.Name)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*testHeartbeat)
	defer cancel()
	if err := follower.PutMember(ctx, Member{Name: follower.cfg.Name}); !errors.Is(err, ErrNotLeader) && !errors.Is(err, ErrUnknownOutcome) {
		t.Fatalf("a command to nobody: %v", err)
	}
}

func TestTransferHandsLeadershipToWhoIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.up(0, "n3", "n2", "n1")
	s.agrees("n1", "n2", "n3")
	for _, to := range []string{"n1", "n2", "n3"} {
		s.eventually(to+" leads", func() bool {
			leader := s.leader()
			if leader.cfg.Name == to {
				return true
			}
			if err := leader.Transfer(t.Context(), to); err != nil && !errors.Is(err, ErrNotLeader) && !errors.Is(err, ErrUnknownOutcome) {
				t.Fatal(err)
			}
			return s.leader().cfg.Name == to
		})
	}
	if err := s.node("n3").Transfer(t.Context(), "n9"); !errors.Is(err, ErrRefused) {
		t.Fatalf("leadership for a stranger: %v", err)
	}
}
