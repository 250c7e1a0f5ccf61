package check

import (
	"maps"
	"slices"
	"time"
)

// History judges what clients were told, all of them together: that what was
// acknowledged is in the log (L1), that nothing is which nobody asked for or
// which was refused (L2), that the order of the log is that of real time (L5),
// that reads are current (P3), and that nothing starts after it was
// acknowledged to rest (C5, C7). Call it once, after Finish.
func (v *Verdict) History(ops []Op) {
	v.ops += len(ops)
	asked := map[string]time.Time{} // cause → when it was first asked
	creates := map[string]int{}     // id → how often its creation was asked
	for n := range ops {
		o := &ops[n]
		if o.cause() != "" {
			if at, known := asked[o.cause()]; !known || o.Invoked.Before(at) {
				asked[o.cause()] = o.Invoked
			}
		}
		if o.action() == "create" && o.ID != "" {
			creates[o.ID]++
		}
	}
	for n := range ops {
		v.stored(&ops[n], creates[ops[n].ID] > 1)
	}
	v.wanted(ops, asked)
	v.ordered(ops, asked)
	v.reads(ops, asked)
	for n := range ops {
		v.rested(&ops[n])
	}
}

// stored judges L1 of one op. If a creation was asked again, under the id that
// the caller brought, what stands may be of another request.
func (v *Verdict) stored(o *Op, again bool) {
	if !o.told() || o.Read {
		return
	}
	c := v.chainOf(o)
	switch s, known := c.at(o.Revision); {
	case o.ID != "" && o.Revision > 0 && !known:
		v.object("L1", v.placeOf(o), "%s was acknowledged as revision %d at %d, and the log has no such revision", o, o.Revision, o.Seq)
		return
	case known && o.Seq != 0 && s.seq != o.Seq:
		v.object("L1", v.placeOf(o), "%s was acknowledged as revision %d at %d, in the log that stands at %d", o, o.Revision, o.Seq, s.seq)
		return
	case known && !v.leftTrace(o) && (o.action() != "create" || !again):
		v.object("L1", v.placeOf(o), "%s was acknowledged as revision %d, and the log has nothing that it caused", o, o.Revision)
		return
	case known:
		return
	}
	if o.Seq > v.end() {
		v.object("L1", v.placeOf(o), "%s was acknowledged at %d, the log ends at %d", o, o.Seq, v.end())
		return
	}
	switch o.action() {
	case "delete":
		if o.ID != "" && (c == nil || c.gone == 0) {
			v.object("L1", v.placeOf(o), "%s was acknowledged, and the log has no deletion of it", o)
		}
	case "create", "create_many":
		if _, found := v.requests[o.cause()]; o.cause() != "" && !found {
			v.object("L1", v.placeOf(o), "%s was acknowledged, and the log has nothing that it caused", o)
		} else if o.ID != "" && o.Seq > 0 && c == nil && v.life(o.ID) == nil {
			v.object("L1", v.placeOf(o), "%s was acknowledged at %d, and the log does not know it", o, o.Seq)
		}
	}
}

// leftTrace says that the log has something under the cause of an op that
// changes at once. A run that is canceled ends later, by its executor.
func (v *Verdict) leftTrace(o *Op) bool {
	_, found := v.requests[o.cause()]
	return found || o.cause() == "" || o.Verb == "run.cancel"
}

// wanted judges L2: what stands in the log under a request id was asked for,
// and not refused each time; what was never created but refused is not there.
func (v *Verdict) wanted(ops []Op, asked map[string]time.Time) {
	maybe, created := map[string]bool{}, map[string]bool{} // it may have been stored
	for n := range ops {
		if o := &ops[n]; o.Outcome == Acknowledged || o.Outcome == Unknown {
			maybe[o.cause()] = true
			if o.action() == "create" {
				created[o.ID] = true
			}
		}
	}
	drawn := false // causes that nodes drew are known, too
	for request := range asked {
		drawn = drawn || request[0] == generated
	}
	for _, request := range slices.Sorted(maps.Keys(v.requests)) {
		at := place{seq: v.requests[request], partition: -1}
		_, wanted := asked[request]
		switch {
		case len(asked) == 0 || request[0] == generated && !drawn: // clients do not know
		case !wanted:
			v.object("L2", at, "commit %d is of request %s, which nobody asked for", at.seq, request)
		case !maybe[request]:
			v.object("L2", at, "commit %d is of request %s, which was refused or unavailable each time that it was asked", at.seq, request)
		}
	}
	for n := range ops {
		o := &ops[n]
		if (o.Outcome == Refused || o.Outcome == Unavailable) && o.Request == "" && o.action() == "create" && o.ID != "" && !created[o.ID] {
			if c := v.chainOf(o); c != nil && len(c.steps) > 0 {
				v.object("L2", place{c.steps[0].seq, o.ID, c.partition}, "%s was %v, and it stands at %d", o, o.Outcome, c.steps[0].seq)
			}
		}
	}
}

// ordered judges L5: what was acknowledged before something else was asked
// stands before it.
func (v *Verdict) ordered(ops []Op, asked map[string]time.Time) {
	type moment struct {
		at  time.Time
		seq uint64
		op  *Op
	}
	var ends, begins []moment
	for n := range ops {
		o := &ops[n]
		if !o.told() {
			continue
		}
		if o.Seq > 0 && !o.Read {
			ends = append(ends, moment{o.Returned, o.Seq, o})
		}
		at, seq := o.Invoked, o.Seq
		if first, found := v.requests[o.cause()]; o.cause() != "" && found {
			at, seq = asked[o.cause()], first
		} else if o.cause() != "" || o.action() != "create" {
			continue // it may have found all as it wanted it, and stored nothing
		}
		if !o.Read && seq > 0 {
			begins = append(begins, moment{at, seq, o})
		}
	}
	byTime := func(a, b moment) int { return a.at.Compare(b.at) }
	slices.SortStableFunc(ends, byTime)
	slices.SortStableFunc(begins, byTime)
	var highest moment
	next := 0
	for _, b := range begins {
		for ; next < len(ends) && ends[next].at.Before(b.at); next++ {
			if ends[next].seq > highest.seq {
				highest = ends[next]
			}
		}
		if highest.op != nil && b.seq <= highest.seq {
			v.object("L5", v.placeOf(b.op), "%s, asked at %s, stands at %d, behind which stands at %d what was acknowledged at %s: %s",
				b.op, stamp(b.at), b.seq, highest.seq, stamp(highest.at), highest.op)
		}
	}
}
