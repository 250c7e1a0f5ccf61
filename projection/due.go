package projection

import (
	"container/heap"

	"github.com/belfryhq/belfry/eventlog"
)

// timed is something that is due at a time: a queued item or run, or an active
// trigger.
type timed interface {
	due() eventlog.Time
	id() string
	slot() *int // its place in the index, plus one; 0 when not in it
}

// dueIndex orders what is due by time: a heap, whose entries know their place,
// so that a cancel takes one out at once.
type dueIndex[T timed] []T

func (d dueIndex[T]) Len() int { return len(d) }

func (d dueIndex[T]) Less(a, b int) bool {
	if x, y := d[a].due(), d[b].due(); x != y {
		return x < y
	}
	return d[a].id() < d[b].id()
}

func (d dueIndex[T]) Swap(a, b int) {
	d[a], d[b] = d[b], d[a]
	*d[a].slot(), *d[b].slot() = a+1, b+1
}

// Push implements heap.Interface.
func (d *dueIndex[T]) Push(x any) {
	t := x.(T)
	*d = append(*d, t)
	*t.slot() = len(*d)
}

// Pop implements heap.Interface.
func (d *dueIndex[T]) Pop() any {
	last := len(*d) - 1
	t := (*d)[last]
	clear((*d)[last:])
	*d = (*d)[:last]
	*t.slot() = 0
	return t
}

// put adds an entry, or finds its new place.
func (d *dueIndex[T]) put(t T) {
	if place := *t.slot(); place > 0 {
		heap.Fix(d, place-1)
		return
	}
	heap.Push(d, t)
}

func (d *dueIndex[T]) remove(t T) {
	if place := *t.slot(); place > 0 {
		heap.Remove(d, place-1)
	}
}

// add appends an entry to an index that heap.Init will order.
func (d *dueIndex[T]) add(t T) {
	*d = append(*d, t)
	*t.slot() = len(*d)
}

// take takes the earliest entry out if it is due at now.
func (d *dueIndex[T]) take(now eventlog.Time) (t T, any bool) {
	if len(*d) == 0 || (*d)[0].due() > now {
		return t, false
	}
	return heap.Pop(d).(T), true
}

// NextDue is when the earliest queued item or run, or the earliest undecided
// occurrence of a trigger, is due; false if there is none. What TakeDue or
// TakeOccurrence returned is not counted again until an event of its own.
func (s *State) NextDue() (at eventlog.Time, any bool) {
	if len(s.due) > 0 {
		at, any = s.due[0].due(), true
	}
	if len(s.schedules) > 0 && (!any || s.schedules[0].Next < at) {
		at, any = s.schedules[0].Next, true
	}
	return at, any
}

// TakeDue takes out of the due index the earliest item or run that is due at
// now, or returns nil. It stays Queued: whoever takes it sees to its claim.
func (s *State) TakeDue(now eventlog.Time) *Item {
	i, _ := s.due.take(now)
	return i
}

// PutBack puts what TakeDue returned into the index again: it is not due yet,
// since the clock went back.
func (s *State) PutBack(i *Item) { s.due.put(i) }

// TakeOccurrence takes out of the index the trigger whose next occurrence is
// the earliest, if it is due at now, or returns nil. Whoever takes it sees to
// its decision.
func (s *State) TakeOccurrence(now eventlog.Time) *Trigger {
	t, _ := s.schedules.take(now)
	return t
}
