package projection

import (
	"cmp"
	"slices"
	"sort"

	"github.com/belfryhq/belfry/eventlog"
)

// ordered keeps items or triggers by a time that never changes, then id,
// ascending. Almost every insertion is at the end, since events come in the
// order of time.
type ordered[T timed] struct {
	key   func(T) eventlog.Time
	items []T
}

// Cursor is a place in an order: everything before it in time is older.
type Cursor struct {
	Time eventlog.Time
	ID   string
}

// search is the number of items that stand before c.
func (o *ordered[T]) search(c Cursor) int {
	return sort.Search(len(o.items), func(n int) bool {
		i := o.items[n]
		at := o.key(i)
		return at > c.Time || at == c.Time && i.id() >= c.ID
	})
}

func (o *ordered[T]) insert(i T) {
	n := len(o.items)
	o.items = append(o.items, i)
	at := o.key(i)
	if n == 0 || o.key(o.items[n-1]) < at || o.key(o.items[n-1]) == at && o.items[n-1].id() < i.id() {
		return
	}
	o.items = o.items[:n]
	place := o.search(Cursor{at, i.id()})
	o.items = append(o.items, i)
	copy(o.items[place+1:], o.items[place:])
	o.items[place] = i
}

// scan walks at most steps items from the newest before c (or the newest of
// all, for a zero c) to older ones, and finds those that match, at most limit.
// It returns where it stopped; done when there is nothing older.
func (o *ordered[T]) scan(c Cursor, steps, limit int, match func(T) bool) (found []T, next Cursor, done bool) {
	n := len(o.items)
	if c != (Cursor{}) {
		n = o.search(c)
	}
	for ; n > 0 && steps > 0 && len(found) < limit; n-- {
		steps--
		i := o.items[n-1]
		next = Cursor{o.key(i), i.id()}
		if match(i) {
			found = append(found, i)
		}
	}
	return found, next, n == 0
}

// remove takes out an entry, if it is there.
func (o *ordered[T]) remove(i T) {
	if n := o.search(Cursor{o.key(i), i.id()}); n < len(o.items) && o.items[n].id() == i.id() {
		o.items = slices.Delete(o.items, n, n+1)
	}
}

// sort orders items that were added without regard to it.
func (o *ordered[T]) sort() {
	slices.SortFunc(o.items, func(a, b T) int {
		return cmp.Or(cmp.Compare(o.key(a), o.key(b)), cmp.Compare(a.id(), b.id()))
	})
}
