package sim

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
	"github.com/belfryhq/belfry/testing/check"
)

// World is one simulated cluster and all that happens to it.
type World struct {
	seed  uint64
	born  time.Time
	dir   string // of snapshots
	plan  plan
	plant plant
	mood  mood
	talk  io.Writer // what processes say; nil: nobody listens
	// council is there in worlds whose nodes coordinate themselves.
	council *council

	store   *memlog.Log
	net     *network
	nodes   []*node
	hosts   []*host
	clients []*client

	functions []string
	history   history
	journal   journal
	faults    timeline

	mu     sync.Mutex
	breaks []string       // what must not be and no judge can see
	names  map[string]int // how many of a kind were given
}

// plan is what a seed makes of a world.
type plan struct {
	scale          time.Duration // of everything that waits: 1 s, or 1 min
	length         time.Duration // of the time in which things happen
	nodes, hosts   int
	slots, clients int
	wishes         int // of each client
	snapshotEvents int
	crons          []string
	kinds          []string // of faults
	long           bool     // no function is quick
	coordinated    bool     // the product's coordinators move partitions, too
}

// plant is a fault planted in the wiring, for negative controls; none by
// default.
type plant struct {
	// log stands between a process and its log.
	log func(node string, log eventlog.Log) eventlog.Log
	// message changes what is sent.
	message func(*nats.Msg) *nats.Msg
	// dawdle is how long code waits before its first line.
	dawdle time.Duration
	// leaderless has nobody ever lead, where nodes coordinate themselves.
	leaderless bool
}

// planOf draws the plan of a seed.
func planOf(o *odds) plan {
	p := plan{
		scale: time.Second, length: 6 * time.Minute,
		nodes: pick(o, []int{1, 2, 3, 3, 3, 5}), hosts: 1 + o.below(3), slots: 1 + o.below(4),
		clients: 2, wishes: 20 + o.below(40), snapshotEvents: 20 + o.below(200),
		kinds: faultKinds(),
		crons: []string{"*/20 * * * * *", "*/30 * * * * *", "7 * * * * *", "* * * * *", "@every 45s"},
	}
	if o.chance(4) {
		p.scale, p.length = time.Minute, 54*time.Hour
		p.crons = []string{"*/30 * * * *", "15 */2 * * *", "0 8 * * 1", "0 0 1 * *", "@hourly", "30 4 * * 6,0", "@every 50m"}
	}
	return p
}

// takes is how long a function's code runs.
func (p plan) takes(o *odds) time.Duration {
	switch dice := o.below(20); {
	case p.long:
		return o.span(3*p.scale, 20*p.scale)
	case dice == 0:
		return o.span(0, 30*p.scale)
	case dice < 5:
		return o.span(0, 3*p.scale)
	default:
		return o.span(0, p.scale/10)
	}
}

func (w *World) broken(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breaks = append(w.breaks, fmt.Sprintf(format, args...))
}

// newWorld makes a world that does nothing yet. Call it in a bubble.
func newWorld(seed uint64, dir string) *World {
	w := &World{seed: seed, born: time.Now(), dir: dir, store: memlog.New(memlog.Faults{}), names: map[string]int{}}
	w.plan = planOf(w.oddsOf("plan"))
	w.plan.coordinated = w.plan.nodes > 1 && w.oddsOf("coordination").chance(3)
	w.net = &network{plant: &w.plant, subs: map[*subscription]struct{}{}}
	w.populate()
	return w
}

// populate makes the nodes, hosts and clients of the plan.
func (w *World) populate() {
	w.nodes, w.hosts, w.clients = nil, nil, nil
	for n := range w.plan.nodes {
		w.nodes = append(w.nodes, &node{w: w, name: fmt.Sprintf("n%d", n+1)})
	}
	for n := range w.plan.hosts {
		w.hosts = append(w.hosts, &host{w: w, name: fmt.Sprintf("x%d", n+1)})
	}
	for n := range w.plan.clients {
		w.clients = append(w.clients, newClient(w, fmt.Sprintf("c%d", n+1)))
	}
}

// live has everything happen, and returns when everything is over and quiet.
func (w *World) live() {
	w.mood.set(true, false)
	if w.plan.coordinated {
		w.council = newCouncil(w)
		go w.council.sit()
	}
	for _, n := range w.nodes {
		n.open()
	}
	for _, h := range w.hosts {
		h.start()
	}
	first := w.clients[0]
	for n := range 3 {
		first.createFunction(fmt.Sprintf("function-%d", n))
	}
	w.functions = first.functions
	w.mood.set(false, false)

	var at work
	at.Go(func() { w.nemesis(w.plan.length) })
	for _, c := range w.clients {
		at.Go(func() { c.work(w.plan.wishes, w.plan.length) })
	}
	at.Wait()
	w.settle()
}

// work is what goes on at the same time.
type work = sync.WaitGroup

// settle ends all faults, waits until nothing is open any more, and stops.
func (w *World) settle() {
	w.mood.set(true, false)
	for _, n := range w.nodes {
		n.skew.Store(0)
		if p := n.process(); p != nil {
			p.life.sever(false)
			p.life.resume()
		}
		n.open()
	}
	for _, h := range w.hosts {
		if l := h.running(); l != nil {
			l.sever(false)
			l.resume()
		} else {
			h.start()
		}
	}
	healed := time.Now()
	w.faults.end(healed)
	time.Sleep((lateMax + 10) * w.plan.scale)
	w.goesOn(healed)
	w.deleteTriggers()
	for range 200 { // the longest waits for its retries, one after the other
		if w.open() == 0 {
			break
		}
		time.Sleep(2 * w.plan.scale)
	}
	time.Sleep(10 * w.plan.scale)
}

// end is long after what is planned: with a fault that was planted, a process may
// never come up.
func (w *World) end() time.Time { return w.born.Add(2 * w.plan.length) }

func (w *World) late() bool { return time.Now().After(w.end()) }

// read looks at the state of a node that answers.
func (w *World) read(look func(*projection.State)) *api.Error {
	for !w.late() {
		for _, n := range w.nodes {
			if p := n.process(); p != nil {
				_, refused := p.Read(context.Background(), look)
				return refused
			}
		}
		time.Sleep(w.plan.scale)
	}
	return api.Errorf(api.Unavailable, "", "no node answers")
}

// deleteTriggers ends all schedules, so that what is open can end.
func (w *World) deleteTriggers() {
	for range 50 {
		var ids []string
		refused := w.read(func(s *projection.State) {
			ids = ids[:0]
			s.Triggers(func(t *projection.Trigger) bool { ids = append(ids, t.ID); return true })
		})
		if refused == nil && len(ids) == 0 {
			return
		}
		for _, id := range ids {
			w.clients[0].ask(deletion(id))
		}
	}
	w.broken("triggers could not be deleted after all faults had ended")
}

// open counts the items and runs that have not ended; 1 if nobody can tell.
func (w *World) open() (n int) {
	refused := w.read(func(s *projection.State) {
		n = s.CountItems(projection.Queued) + s.CountItems(projection.Processing)
		for _, id := range w.known() {
			if i := s.Run(id); i != nil && !i.Status.Final() {
				n++
			}
		}
	})
	if refused != nil {
		return 1
	}
	return n
}

// known are the runs that the journal names.
func (w *World) known() (ids []string) {
	for _, l := range w.journal.all() {
		ids = append(ids, l.Run)
	}
	return ids
}

// stop ends all processes in good order.
func (w *World) stop() {
	if w.council != nil {
		close(w.council.quit)
	}
	for _, h := range w.hosts {
		h.stop()
	}
	for _, n := range w.nodes {
		if p := n.process(); p != nil {
			p.Stop()
		}
	}
}

// timeline is which faults there were, and when.
type timeline struct {
	mu     sync.Mutex
	faults []check.Fault
}

// begin notes a fault; the function that it returns, its end, and of which kind
// it was after all, "" if nothing was met.
func (t *timeline) begin(kind, node string) func(kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.faults)
	t.faults = append(t.faults, check.Fault{Kind: kind, Node: node, From: time.Now()})
	return func(kind string) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.faults[n].Kind = kind
		if t.faults[n].To.IsZero() {
			t.faults[n].To = time.Now()
		}
	}
}

// end ends all faults that go on.
func (t *timeline) end(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n := range t.faults {
		if t.faults[n].To.IsZero() {
			t.faults[n].To = at
		}
	}
}

func (t *timeline) all() []check.Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(t.faults), func(f check.Fault) bool { return f.Kind == "" })
}
