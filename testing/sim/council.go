package sim

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/node/cluster"
	"github.com/belfryhq/belfry/node/coordinator"
)

// council stands for Raft: what the nodes agree on, and which of them leads. It
// elects another when the leader does not answer, and now and then for no reason.
// Who was replaced and cannot hear it goes on with its duty: two coordinators.
type council struct {
	w    *World
	odds *odds
	quit chan struct{}

	mu     sync.Mutex
	state  cluster.State
	leader *process
	terms  []term

	given, taken atomic.Int64 // moves of coordinators
}

// term is a leader's duty under way.
type term struct {
	of  *process
	end context.CancelFunc
}

// errLostAnswer is an outcome that nobody knows.
var errLostAnswer = errors.New("the answer was lost")

func newCouncil(w *World) *council {
	c := &council{w: w, odds: w.oddsOf("council"), quit: make(chan struct{}), state: cluster.State{Members: map[string]cluster.Member{}}}
	for _, n := range w.nodes {
		c.state.Members[n.name] = cluster.Member{Name: n.name}
	}
	return c
}

// sit elects and replaces until the world ends.
func (c *council) sit() {
	tick := time.NewTicker(c.w.plan.scale / 4)
	defer tick.Stop()
	for {
		select {
		case <-c.quit:
			c.replace(nil)
			c.endTerms(func(term) bool { return true })
			return
		case <-tick.C:
		}
		c.endTerms(func(t term) bool {
			return t.of.life.ended() || t.of != c.leader && !t.of.life.troubled()
		})
		// An election takes about a second.
		often := 4
		if c.led() {
			often = 200
		}
		if c.odds.chance(often) && !c.w.plant.leaderless {
			c.elect()
		}
	}
}

func (c *council) led() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leader != nil && !c.leader.life.troubled()
}

// endTerms ends the duties of those who know that they no longer lead.
func (c *council) endTerms(over func(term) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var on []term
	for _, t := range c.terms {
		if over(t) {
			t.end()
		} else {
			on = append(on, t)
		}
	}
	c.terms = on
}

func (c *council) replace(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leader = p
}

// elect has one of those who answer lead, once its last duty is over.
func (c *council) elect() {
	var able []*process
	for _, n := range c.w.nodes {
		if p := n.process(); p != nil && !p.life.troubled() {
			able = append(able, p)
		}
	}
	if len(able) == 0 {
		return
	}
	p := pick(c.odds, able)
	c.replace(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, end := context.WithCancel(context.Background())
	c.terms = append(c.terms, term{p, end})
	go func() {
		p.duty <- struct{}{}
		defer func() { <-p.duty }()
		p.part.Duty(ctx)
	}()
}

// seat is a process's place in the council, and what it last heard there.
type seat struct {
	*council
	process *process
	mu      sync.Mutex
	known   cluster.State
}

var _ coordinator.Agreement = (*seat)(nil)

// State implements coordinator.Agreement: who hears nothing knows the past.
func (s *seat) State() cluster.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known.Members == nil || !s.process.life.troubled() {
		s.council.mu.Lock()
		s.known = s.state
		s.council.mu.Unlock()
	}
	state := s.known
	state.Members = maps.Clone(state.Members)
	return state
}

// PutPlan implements coordinator.Agreement.
func (s *seat) PutPlan(ctx context.Context, plan cluster.Plan) error {
	if !s.process.life.awake(ctx.Done()) || s.process.life.severed() {
		return errCut
	}
	s.council.mu.Lock()
	defer s.council.mu.Unlock()
	if s.leader != s.process {
		return cluster.ErrNotLeader
	}
	s.state.Plan = plan
	if s.process.life.odds.roll(100, 4) {
		return errLostAnswer
	}
	return nil
}

// mover counts what a process's coordinator moves.
type mover struct {
	*process
	council *council
}

// GiveAway implements coordinator.Mover.
func (m mover) GiveAway(ctx context.Context, to string, partitions []int) error {
	err := m.Scheduler.GiveAway(ctx, to, partitions)
	if err == nil {
		m.council.given.Add(1)
	}
	return err
}

// TakeFrom implements coordinator.Mover.
func (m mover) TakeFrom(ctx context.Context, gone string, to map[string][]int) error {
	err := m.Scheduler.TakeFrom(ctx, gone, to)
	if err == nil {
		m.council.taken.Add(1)
	}
	return err
}

// join gives a process its part in who owns what.
func (c *council) join(p *process, bus coordinator.Bus) (err error) {
	scale := c.w.plan.scale
	beat := scale / 4
	if scale > time.Second {
		beat = scale // days of it would take long
	}
	p.part, err = coordinator.New(coordinator.Config{
		Node: p.node.name, Process: p.life.name, Bus: bus, Agreement: &seat{council: c, process: p}, Mover: mover{p, c},
		Beat: beat, ClockOff: scale / 4, Gone: c.gone, Hold: p.HoldClaims, Clock: p.node.clock, Logger: c.w.logger(p.node.name),
	})
	return err
}

// gone says what a refused connection tells: that no process of a node runs.
func (c *council) gone(_ context.Context, name string) bool {
	for _, n := range c.w.nodes {
		if n.name == name {
			return n.process() == nil
		}
	}
	return false
}

// evenly lets the world know if partitions are not owned as they should be. Call
// it when all faults have long ended.
func (w *World) evenly() {
	if w.council == nil {
		return
	}
	p := w.nodes[0].process()
	if p == nil {
		return // somebody says so already
	}
	owned := map[string]int{}
	for _, name := range p.Owners() {
		owned[name]++
	}
	least := cluster.Partitions / len(w.nodes)
	for _, n := range w.nodes {
		if owned[n.name] < least || owned[n.name] > least+1 {
			w.broken("N1: node %s owns %d partitions long after all faults had ended, of %v", n.name, owned[n.name], owned)
		}
	}
}
