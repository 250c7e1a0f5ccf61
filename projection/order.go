package projection

import (
	"cmp"
	"slices"
	"sort"

	"github.com/belfryhq/belfry/eventlog"
)

// ordered keeps items by a time that never changes, then id, ascending. Almost
// every insertion is at the end, since events come in the order of time.
type ordered struct {
	key   func(*Item) eventlog.Time
	items []*Item
}

// Cursor is a place in an order: everything before it in time is older.
type Cursor struct {
	Time eventlog.Time
	ID   string
}

// search is the number of items that stand before c.
func (o *ordered) search(c Cursor) int {
	return sort.Search(len(o.items), func(n int) bool {
		i := o.items[n]
		at := o.key(i)
		return at > c.Time || at == c.Time && i.ID >= c.ID
	})
}

func (o *ordered) insert(i *Item) {
	n := len(o.items)
	o.items = append(o.items, i)
	at := o.key(i)
	if n == 0 || o.key(o.items[n-1]) < at || o.key(o.items[n-1]) == at && o.items[n-1].ID < i.ID {
		return
	}
	o.items = o.items[:n]
	place := o.search(Cursor{at, i.ID})
	o.items = append(o.items, nil)
	copy(o.items[place+1:], o.items[place:])
	o.items[place] = i
}

// scan walks at most steps items from the newest before c (or the newest of
// all, for a zero c) to older ones, and copies those that match, at most limit.
// It returns where it stopped; done when there is nothing older.
func (o *ordered) scan(c Cursor, steps, limit int, match func(*Item) bool) (found []Item, next Cursor, done bool) {
	n := len(o.items)
	if c != (Cursor{}) {
		n = o.search(c)
	}
	for ; n > 0 && steps > 0 && len(found) < limit; n-- {
		steps--
		i := o.items[n-1]
		next = Cursor{o.key(i), i.ID}
		if match(i) {
			found = append(found, i.Copy())
		}
	}
	return found, next, n == 0
}

// sort orders items that were added without regard to it.
func (o *ordered) sort() {
	slices.SortFunc(o.items, func(a, b *Item) int {
		return cmp.Or(cmp.Compare(o.key(a), o.key(b)), cmp.Compare(a.ID, b.ID))
	})
}
