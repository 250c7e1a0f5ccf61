package check

import (
	"maps"
	"slices"
	"time"
)

// reads judges P3, entity by entity.
func (v *Verdict) reads(ops []Op, asked map[string]time.Time) {
	byEntity := map[key][]*Op{}
	for n := range ops {
		if o := &ops[n]; o.told() && o.ID != "" {
			byEntity[key{o.Entity, o.ID}] = append(byEntity[key{o.Entity, o.ID}], o)
		}
	}
	keys := slices.SortedFunc(maps.Keys(byEntity), func(a, b key) int {
		if a.subject != b.subject {
			if a.subject < b.subject {
				return -1
			}
			return 1
		}
		return len(a.entity) - len(b.entity)
	})
	for _, k := range keys {
		v.readsOf(byEntity[k], asked)
	}
}

// readsOf judges the reads of one entity: none tells of less than what was told
// before it was asked, nor of what was asked for only after it had returned.
func (v *Verdict) readsOf(ops []*Op, asked map[string]time.Time) {
	told := slices.Clone(ops)
	slices.SortStableFunc(told, func(a, b *Op) int { return a.Returned.Compare(b.Returned) })
	slices.SortStableFunc(ops, func(a, b *Op) int { return a.Invoked.Compare(b.Invoked) })
	made := map[uint64]time.Time{} // revision → when the write that made it was asked
	for _, o := range ops {
		if !o.Read && o.Revision > 0 && o.Request == "" {
			if _, known := made[o.Revision]; !known {
				made[o.Revision] = o.Invoked
			}
		}
	}
	c := v.chainOf(ops[0])
	var highest *Op
	next := 0
	for _, o := range ops {
		for ; next < len(told) && told[next].Returned.Before(o.Invoked); next++ {
			if highest == nil || told[next].Revision > highest.Revision {
				highest = told[next]
			}
		}
		if !o.Read {
			continue
		}
		gone := o.Revision == 0 && c != nil && c.gone != 0
		if highest != nil && o.Revision < highest.Revision && !gone && !v.mayBeStale(o) {
			v.object("P3", v.placeOf(highest), "%s, asked at %s, told of revision %d, when at %s revision %d had been told to %s",
				o, stamp(o.Invoked), o.Revision, stamp(highest.Returned), highest.Revision, highest.Client)
		}
		v.exists(o, c, made, asked)
	}
}

// mayBeStale says that a read may be of the past: a plain one, while a network
// was split.
func (v *Verdict) mayBeStale(o *Op) bool {
	return !o.Strong && v.StaleFor > 0 && v.during(o.Invoked, v.StaleFor, splits)
}

// exists judges that what a read told of is in the log, as it is there, and was
// asked for before the read had returned.
func (v *Verdict) exists(o *Op, c *chain, made map[uint64]time.Time, asked map[string]time.Time) {
	if o.Revision == 0 {
		return
	}
	s, known := c.at(o.Revision)
	switch {
	case !known:
		v.object("P3", v.placeOf(o), "%s told of revision %d, which the log has not", o, o.Revision)
		return
	case o.Seq != 0 && s.seq != o.Seq:
		v.object("P3", v.placeOf(o), "%s told that revision %d stands at %d, it stands at %d", o, o.Revision, o.Seq, s.seq)
	case o.Status != "" && s.status != "" && s.status != o.Status:
		v.object("P3", v.placeOf(o), "%s told that revision %d is %s, it is %s", o, o.Revision, o.Status, s.status)
	}
	at, found := asked[s.cause]
	if !found {
		at, found = made[o.Revision]
	}
	if found && at.After(o.Returned) {
		v.object("P3", v.placeOf(o), "%s had returned at %s and told of revision %d, which was asked for at %s", o, stamp(o.Returned), o.Revision, stamp(at))
	}
}
