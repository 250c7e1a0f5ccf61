package scheduler

import (
	"container/heap"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// pool is what is due for the executors of one name: the highest priority
// first, then the earliest due time. Entries are not taken out when an item
// changes; whoever takes one looks whether it still holds.
type pool struct {
	name  string
	ready readyQueue
	// told is whether executors know that something waits, since toldAt.
	told   bool
	toldAt time.Time
}

type readyItem struct {
	item     *projection.Item
	priority int32
	due      eventlog.Time
}

type readyQueue []readyItem

func (q readyQueue) Len() int { return len(q) }

func (q readyQueue) Less(a, b int) bool {
	x, y := q[a], q[b]
	switch {
	case x.priority != y.priority:
		return x.priority > y.priority
	case x.due != y.due:
		return x.due < y.due
	}
	return x.item.ID < y.item.ID
}

func (q readyQueue) Swap(a, b int) { q[a], q[b] = q[b], q[a] }

// Push implements heap.Interface.
func (q *readyQueue) Push(x any) { *q = append(*q, x.(readyItem)) }

// Pop implements heap.Interface.
func (q *readyQueue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	(*q)[last] = readyItem{}
	*q = (*q)[:last]
	return x
}

// noExecutor stands in the claim of what cannot be run by anybody, and noPool for
// the pool of such: no pool has that name.
const (
	noExecutor = "none"
	noPool     = ""
)

// takeDue decides the occurrences that are due, and moves what has become due
// to its pool.
func (s *Scheduler) takeDue() {
	at := s.now()
	for s.openBytes() < openBytesMax {
		t := s.state.TakeOccurrence(at)
		if t == nil {
			break
		}
		s.fire(t, at)
	}
	for i := s.state.TakeDue(at); i != nil; i = s.state.TakeDue(at) {
		s.enqueue(i)
	}
}

// fire decides what is due of a trigger.
func (s *Scheduler) fire(t *projection.Trigger, at eventlog.Time) {
	_, refused := s.decide(command.FireTrigger{
		By: command.BySystem(at), ID: t.ID, Run: s.DrawRun(eventlog.PartitionOf(eventlog.EntityTrigger, t.ID)),
	})
	if refused != nil {
		s.log.Error("an occurrence was refused", "trigger", t.ID, "error", refused)
	}
}

// stale says that an entry tells of the past: its item was claimed, ended, or
// changed, and an event of its own has queued it anew.
func (s *Scheduler) stale(p *pool, r readyItem) bool {
	i := r.item
	return i.Status != projection.Queued || !s.owns(eventlog.PartitionOf(eventlog.EntityItem, i.ID)) || i.Live.Due != r.due || i.Live.Priority != r.priority || s.poolOf(i) != p.name
}

// poolOf is the pool of the function that an item names now.
func (s *Scheduler) poolOf(i *projection.Item) string {
	if f := s.state.FunctionByRef(i.Target, true); f != nil {
		return f.Pool
	}
	return noPool
}

func (s *Scheduler) enqueue(i *projection.Item) {
	name := s.poolOf(i)
	p := s.pools[name]
	if p == nil {
		p = &pool{name: name}
		s.pools[name] = p
	}
	heap.Push(&p.ready, readyItem{i, i.Live.Priority, i.Live.Due})
}

// reroute moves what waits for a function to the pool that it names now.
func (s *Scheduler) reroute(function string) {
	var moved []*projection.Item
	for _, p := range s.pools {
		kept := p.ready[:0]
		for _, r := range p.ready {
			if r.item.Target == function && r.item.Status == projection.Queued {
				moved = append(moved, r.item)
			} else {
				kept = append(kept, r)
			}
		}
		clear(p.ready[len(kept):])
		p.ready = kept
		heap.Init(&p.ready)
	}
	for _, i := range moved {
		s.enqueue(i)
	}
}

// claim gives what is due to executors that have room for it.
func (s *Scheduler) claim() {
	if s.objection.Load() != nil {
		return
	}
	at := s.now()
	for _, p := range s.pools {
		for len(p.ready) > 0 && s.openBytes() < openBytesMax {
			r := p.ready[0]
			if s.stale(p, r) {
				heap.Pop(&p.ready)
				continue
			}
			if r.due > at { // the clock went back
				heap.Pop(&p.ready)
				s.state.PutBack(r.item)
				continue
			}
			e := s.roomiest(p.name)
			if e == nil {
				break
			}
			heap.Pop(&p.ready)
			s.claimItem(r.item, e, at)
		}
	}
}

// roomiest is the executor of a pool with the most room, nil if none has any.
func (s *Scheduler) roomiest(pool string) *executor {
	if pool == noPool {
		return &executor{name: noExecutor}
	}
	var best *executor
	for _, e := range s.execs {
		if e.pool == pool && e.room() > 0 && (best == nil || e.room() > best.room()) {
			best = e
		}
	}
	return best
}

func (s *Scheduler) claimItem(i *projection.Item, e *executor, at eventlog.Time) {
	n, refused := s.decide(command.ClaimItem{
		By: command.BySystem(at), ID: i.ID,
		Executor: e.name, Incarnation: e.incarnation, Pool: e.pool,
	})
	if refused != nil {
		s.log.Error("a claim was refused", "item", i.ID, "error", refused)
		return
	}
	if n == 0 || i.Status != projection.Processing {
		return
	}
	s.stats.Claims.Add(1)
	a := newAttempt(i)
	if s.owns(eventlog.DefinitionPartition) {
		// What is newest now is so at the claim's place in the log. Others
		// know it when they have folded up to there.
		a.function = s.state.FunctionByRef(i.Target, true)
		a.user = s.state.UserByRef(i.Live.Runner(), true)
	}
	s.attempts[a.run] = a
	e.open++
	c := s.whenStored()
	c.runs = append(c.runs, a)
}
