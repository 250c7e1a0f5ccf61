package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/node/cluster"
	"github.com/belfryhq/belfry/node/coordinator"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/testing/check"
)

const (
	beat    = 250 * time.Millisecond
	silence = 1500 * time.Millisecond
)

// stage is a cluster in a bubble: real schedulers and coordinators over a log in
// memory. A bus and what the members agree on stand for NATS and Raft.
type stage struct {
	t     *testing.T
	log   *memlog.Log
	bus   *bus
	raft  *agreement
	nodes []*member
	lives int
	gone  sync.Map // by name: whose process is known to have ended
}

// member is a node of the stage.
type member struct {
	*scheduler.Scheduler
	*coordinator.Coordinator
	st   *stage
	name string
	line *line
	skew atomic.Int64
	held atomic.Bool  // what Hold was told last
	slow atomic.Int64 // for how long it considers, once, whether it is ready
	duty context.CancelFunc

	mu     sync.Mutex
	takes  []string // from whom it took, or tried to
	gave   []int    // how many partitions at a time
	refuse error    // of TakeFrom
}

func newStage(t *testing.T) *stage {
	return &stage{
		t: t, log: memlog.New(memlog.Faults{}), bus: &bus{},
		raft: &agreement{state: cluster.State{Members: map[string]cluster.Member{}}},
	}
}

// join starts a node and makes it a member; the first owns everything.
func (st *stage) join(names ...string) {
	st.t.Helper()
	for _, name := range names {
		st.lives++
		m := &member{st: st, name: name, line: &line{bus: st.bus}}
		process := fmt.Sprint(name, st.lives)
		var err error
		if m.Scheduler, err = scheduler.New(scheduler.Config{
			Node: name, Process: process, Version: "test", Log: st.log, Stream: "01STREAM", Bus: m.line,
			Logger: slog.New(slog.DiscardHandler),
		}); err != nil {
			st.t.Fatal(err)
		}
		if err := m.Scheduler.Start(st.t.Context()); err != nil {
			st.t.Fatal(err)
		}
		if m.Coordinator, err = coordinator.New(coordinator.Config{
			Node: name, Process: process, Bus: m.line, Agreement: st.raft, Mover: m,
			Gone:  func(_ context.Context, name string) bool { _, ended := st.gone.Load(name); return ended },
			Hold:  m.held.Store,
			Ready: func() error { time.Sleep(time.Duration(m.slow.Swap(0))); return nil },
			Clock: func() time.Time { return time.Now().Add(time.Duration(m.skew.Load())) }, Logger: slog.New(slog.DiscardHandler),
		}); err != nil {
			st.t.Fatal(err)
		}
		if err := m.Coordinator.Start(); err != nil {
			st.t.Fatal(err)
		}
		st.nodes = slices.DeleteFunc(st.nodes, func(old *member) bool { return old.name == name })
		st.nodes = append(st.nodes, m)
		st.raft.change(func(s *cluster.State) { s.Members[name] = cluster.Member{Name: name} })
	}
}

// node finds one.
func (st *stage) node(name string) *member {
	for _, m := range st.nodes {
		if m.name == name {
			return m
		}
	}
	st.t.Fatalf("no node %s", name)
	return nil
}

// lead has a node do the leader's duty until it is stopped, beside others.
func (st *stage) lead(name string) *member {
	m := st.node(name)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Duty(ctx)
	}()
	m.duty = func() {
		cancel()
		<-ended
	}
	return m
}

// kill ends a node as kill -9 does: nothing of it goes out any more.
func (m *member) kill() {
	m.line.set(true, false)
	m.Fail(errors.New("killed"))
	m.stop()
}

// stop ends a node in good order.
func (m *member) stop() {
	if m.duty != nil {
		m.duty()
	}
	m.Coordinator.Stop()
	m.Scheduler.Stop()
}

// end stops all, and lets the judge look at the log.
func (st *stage) end(living ...string) {
	st.t.Helper()
	st.judge().Owned(living...)
	for _, m := range st.nodes {
		m.line.set(false, false)
		m.stop()
	}
}

// Done and others are of both; a node of the stage is asked for one by name.
func (m *member) Done() <-chan struct{} { return m.Coordinator.Done() }
func (m *member) Err() error            { return m.Coordinator.Err() }

// GiveAway implements coordinator.Mover, and counts.
func (m *member) GiveAway(ctx context.Context, to string, partitions []int) error {
	m.mu.Lock()
	m.gave = append(m.gave, len(partitions))
	m.mu.Unlock()
	return m.Scheduler.GiveAway(ctx, to, partitions)
}

// TakeFrom implements coordinator.Mover, and counts.
func (m *member) TakeFrom(ctx context.Context, gone string, to map[string][]int) error {
	m.mu.Lock()
	m.takes = append(m.takes, gone)
	refuse := m.refuse
	m.mu.Unlock()
	if refuse != nil {
		return refuse
	}
	return m.Scheduler.TakeFrom(ctx, gone, to)
}

// given is how often it gave something away, or tried to.
func (m *member) given() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.gave)
}

func (m *member) taken() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.takes)
}

// owned is how many partitions each node has, as a node sees it.
func (m *member) owned() map[string]int {
	counts := map[string]int{}
	for _, name := range m.Owners() {
		counts[name]++
	}
	return counts
}

// even fails the test unless a node sees everything owned evenly by the named.
func (m *member) even(names ...string) {
	m.st.t.Helper()
	counts := m.owned()
	for _, name := range names {
		if n := counts[name]; n < cluster.Partitions/len(names) || n > cluster.Partitions/len(names)+1 {
			m.st.t.Errorf("%s owns %d partitions of %v, as %s sees it", name, n, counts, m.name)
		}
	}
	if len(counts) != len(names) {
		m.st.t.Errorf("owners are %v, not %v", counts, names)
	}
}

// judge lets the judge read the log.
func (st *stage) judge() *check.Verdict {
	st.t.Helper()
	info, err := st.log.Info(context.Background())
	if err != nil {
		st.t.Fatal(err)
	}
	var all []check.Commit
	done := errors.New("done")
	if err := st.log.Follow(context.Background(), 1, func(m eventlog.Message) error {
		all = append(all, check.Commit{Seq: m.Seq, Subject: eventlog.DefaultPrefix.Subject(m.Lane), Body: m.Body})
		if m.Seq == info.LastSeq {
			return done
		}
		return nil
	}); !errors.Is(err, done) {
		st.t.Fatal(err)
	}
	v := check.Log(all)
	for _, violation := range v.Violations {
		st.t.Error(violation)
	}
	return v
}

// moves counts the commits of the log.
func (st *stage) commits() uint64 {
	info, err := st.log.Info(context.Background())
	if err != nil {
		st.t.Fatal(err)
	}
	return info.LastSeq
}

// agreement stands for Raft.
type agreement struct {
	mu     sync.Mutex
	state  cluster.State
	plans  int
	refuse error
}

// State implements coordinator.Agreement.
func (a *agreement) State() cluster.State {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.state
	s.Members = maps.Clone(s.Members)
	return s
}

// PutPlan implements coordinator.Agreement.
func (a *agreement) PutPlan(_ context.Context, p cluster.Plan) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuse != nil {
		return a.refuse
	}
	a.state.Plan = p
	a.plans++
	return nil
}

func (a *agreement) change(how func(*cluster.State)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	how(&a.state)
}

func (a *agreement) planned() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.plans
}

// bus delivers to all, each in order.
type bus struct {
	mu    sync.Mutex
	lines []*subscription
}

// line is a node's connection to the bus. It can be cut, or the node's process
// stand still: then what comes and goes waits until it wakes.
type line struct {
	bus    *bus
	mu     sync.Mutex
	cut    bool
	paused chan struct{}
	held   []func()
}

type subscription struct {
	line    *line
	subject string
	queue   chan []byte
	quit    chan struct{}
}

// set cuts a line or has its process stand still, or ends both.
func (l *line) set(cut, paused bool) {
	l.mu.Lock()
	l.cut = cut
	var out []func()
	if l.paused != nil && !paused {
		close(l.paused)
		l.paused, out, l.held = nil, l.held, nil
	}
	if paused && l.paused == nil {
		l.paused = make(chan struct{})
	}
	l.mu.Unlock()
	time.Sleep(time.Microsecond) // what came meanwhile is heard first
	for _, send := range out {
		send()
	}
}

func (l *line) isCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut
}

// Publish implements coordinator.Bus.
func (l *line) Publish(subject string, body []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	send := func() { l.bus.carry(subject, body) }
	switch {
	case l.cut:
	case l.paused != nil:
		l.held = append(l.held, send)
	default:
		send()
	}
	return nil
}

func (b *bus) carry(subject string, body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.lines {
		if s.subject == subject {
			s.queue <- body
		}
	}
}

// Subscribe implements coordinator.Bus.
func (l *line) Subscribe(subject string, handle func(string, []byte)) (func(), error) {
	s := &subscription{l, subject, make(chan []byte, 100_000), make(chan struct{})}
	l.bus.mu.Lock()
	l.bus.lines = append(l.bus.lines, s)
	l.bus.mu.Unlock()
	go s.run(handle)
	return sync.OnceFunc(func() {
		l.bus.mu.Lock()
		defer l.bus.mu.Unlock()
		l.bus.lines = slices.DeleteFunc(l.bus.lines, func(o *subscription) bool { return o == s })
		close(s.quit)
	}), nil
}

func (s *subscription) run(handle func(string, []byte)) {
	for {
		select {
		case <-s.quit:
			return
		case body := <-s.queue:
			s.line.mu.Lock()
			paused := s.line.paused
			s.line.mu.Unlock()
			if paused != nil {
				<-paused
			}
			if !s.line.isCut() {
				handle(s.subject, body)
			}
		}
	}
}

// Request implements scheduler.Bus: nobody answers.
func (l *line) Request(context.Context, string, []byte) ([]byte, error) {
	return nil, errors.New("nobody answers")
}
