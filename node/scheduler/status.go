package scheduler

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/record"
	"github.com/belfryhq/belfry/projection"
)

// Status is what a scheduler knows of the cluster: executors, how many
// partitions each node owns, how many items stand where, what waits for slots.
type Status struct {
	Executors  []api.ExecStatus
	Partitions map[string]int
	Items      map[api.Status]int
	Ready      int // items that are due and wait for a slot
	OldestDue  eventlog.Time
}

// Status looks at the present moment; it is empty, its Items nil, if that is not to
// be had.
func (s *Scheduler) Status(ctx context.Context) Status {
	answer := make(chan Status, 1)
	if refused := s.hand(ctx, statusAsked(answer)); refused != nil {
		return Status{}
	}
	select {
	case st := <-answer:
		return st
	case <-ctx.Done():
	case <-s.stopped:
	}
	return Status{}
}

type statusAsked chan Status

func (m statusAsked) handle(s *Scheduler) {
	st := Status{Partitions: map[string]int{}, Items: map[api.Status]int{}}
	for _, e := range s.execs {
		st.Executors = append(st.Executors, api.ExecStatus{
			Name: e.name, Pool: e.pool, Slots: e.slots, Busy: e.busy, Python: e.python,
			Alive: time.Since(e.seen) < s.cfg.lostAfter(),
		})
	}
	slices.SortFunc(st.Executors, func(a, b api.ExecStatus) int { return cmp.Compare(a.Name, b.Name) })
	for _, o := range s.state.Cluster().Owners {
		st.Partitions[o.Node]++
	}
	for status := projection.Queued; status <= projection.Canceled; status++ {
		st.Items[record.Status(status)] = s.state.CountItems(status)
	}
	for _, p := range s.pools {
		for _, r := range p.ready {
			if r.item.Status == projection.Queued {
				st.Ready++
				if st.OldestDue == 0 || r.due < st.OldestDue {
					st.OldestDue = r.due
				}
			}
		}
	}
	m <- st
}

// Owners are the names of the nodes that own the partitions, as far as this
// node knows: for who seeks the owner, not for decisions.
func (s *Scheduler) Owners() (names [eventlog.Partitions]string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for p, o := range s.owners() {
		names[p] = o.Node
	}
	return names
}

// In lists the live executors of a pool.
func (st Status) In(pool string) (names []string) {
	for _, e := range st.Executors {
		if e.Pool == pool && e.Alive {
			names = append(names, e.Name)
		}
	}
	return names
}

// WaitHeard returns when each executor that is alive has had the time to be heard
// since Start. Who owns partitions before that has nobody to give their runs to. When
// the scheduler has ended meanwhile, it returns why.
func (s *Scheduler) WaitHeard(ctx context.Context) error {
	select {
	case <-time.After(time.Until(s.listening.Add(heardWithin))):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.stopped:
		return cmp.Or(s.Err(), ErrStopped)
	}
}

// heardWithin is one interval of executors' signs of life, and a bit.
const heardWithin = wire.AnnounceEvery * 11 / 10

// WaitExecutor returns when an executor of this name can be given runs.
func (s *Scheduler) WaitExecutor(ctx context.Context, name string) error {
	o := executorAwaited{name, make(chan struct{})}
	s.post(o)
	select {
	case <-o.joined:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return cmp.Or(s.Err(), ErrStopped)
	}
}

type executorAwaited struct {
	name   string
	joined chan struct{}
}

func (m executorAwaited) handle(s *Scheduler) {
	if e := s.execs[m.name]; e != nil && e.known {
		close(m.joined)
		return
	}
	s.awaited = append(s.awaited, m)
}

// executorJoined wakes whoever waited for it.
func (s *Scheduler) executorJoined() {
	awaited := s.awaited
	s.awaited = nil
	for _, m := range awaited {
		m.handle(s)
	}
}
