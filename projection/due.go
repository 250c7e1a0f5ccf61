package projection

import (
	"container/heap"

	"github.com/belfryhq/belfry/eventlog"
)

// dueIndex orders queued items by due time: a heap, whose entries know their
// place, so that a cancel takes one out at once.
type dueIndex []*Item

func (d dueIndex) Len() int { return len(d) }

func (d dueIndex) Less(a, b int) bool {
	x, y := d[a].Live, d[b].Live
	if x.Due != y.Due {
		return x.Due < y.Due
	}
	return d[a].ID < d[b].ID
}

func (d dueIndex) Swap(a, b int) {
	d[a], d[b] = d[b], d[a]
	d[a].Live.place, d[b].Live.place = a+1, b+1
}

// Push implements heap.Interface.
func (d *dueIndex) Push(x any) {
	i := x.(*Item)
	*d = append(*d, i)
	i.Live.place = len(*d)
}

// Pop implements heap.Interface.
func (d *dueIndex) Pop() any {
	last := len(*d) - 1
	i := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	i.Live.place = 0
	return i
}

// put adds an item, or finds its new place.
func (d *dueIndex) put(i *Item) {
	if i.Live.place > 0 {
		heap.Fix(d, i.Live.place-1)
		return
	}
	heap.Push(d, i)
}

func (d *dueIndex) remove(i *Item) {
	if i.Live != nil && i.Live.place > 0 {
		heap.Remove(d, i.Live.place-1)
	}
}

// NextDue is when the earliest queued item is due; false if none is queued.
// An item that TakeDue returned is not counted again until an event of its own
// queues it anew.
func (s *State) NextDue() (eventlog.Time, bool) {
	if len(s.due) == 0 {
		return 0, false
	}
	return s.due[0].Live.Due, true
}

// TakeDue takes out of the due index the earliest item that is due at now, or
// returns nil. The item stays Queued: whoever takes it sees to its claim.
func (s *State) TakeDue(now eventlog.Time) *Item {
	if len(s.due) == 0 || s.due[0].Live.Due > now {
		return nil
	}
	return heap.Pop(&s.due).(*Item)
}
