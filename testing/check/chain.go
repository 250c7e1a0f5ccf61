package check

import "hash/maphash"

// key names an entity. (A user may be called what a node is called.)
type key struct{ entity, subject string }

// chain is the events of an entity, one after the other.
type chain struct {
	revision, seq, prev uint64
	gone                uint64 // the sequence that deleted it; 0: none did
	partition           int
	steps               []step // by revision - 1
}

// step is one event of an entity.
type step struct {
	seq    uint64
	status string // of an item, a run or a trigger after it, else ""
	cause  string
}

// chain judges L6: prev and revision lead from event to event; and C7: nothing
// follows a deletion.
func (v *Verdict) chain(e *Event) {
	k := key{e.Entity, e.Subject}
	before := v.chains[k]
	if before == nil {
		before = &chain{partition: e.Partition}
		v.chains[k] = before
	}
	if before.gone != 0 && e.Entity != "trigger" { // of which its own judge says it
		v.object("C7", e.place(), "%s of %s at %d, after it was deleted at %d", e.Type, e.Subject, e.Seq, before.gone)
	}
	wantPrev := before.seq
	if before.seq == e.Seq { // the same commit: both name the one before it
		wantPrev = before.prev
	}
	if e.Revision != before.revision+1 {
		v.object("L6", e.place(), "%s of %s at %d has revision %d after %d", e.Type, e.Subject, e.Seq, e.Revision, before.revision)
	}
	if e.Prev != wantPrev {
		v.object("L6", e.place(), "%s of %s at %d names %d as the commit before it, not %d", e.Type, e.Subject, e.Seq, e.Prev, wantPrev)
	}
	before.revision, before.seq, before.prev = e.Revision, e.Seq, e.Prev
	if e.verb == "deleted" {
		before.gone = e.Seq
	}
}

// step notes what an entity is after an event, for the histories of clients.
func (v *Verdict) step(e *Event) {
	s := step{seq: e.Seq, cause: e.Cause}
	switch e.Entity {
	case "item":
		if i := v.Items[e.Subject]; i != nil {
			s.status = i.Status
		}
	case "run":
		if r := v.Runs[e.Subject]; r != nil {
			s.status = r.Status
		}
	case "trigger":
		if t := v.Triggers[e.Subject]; t != nil {
			s.status = t.Status
		}
	}
	c := v.chains[key{e.Entity, e.Subject}]
	c.steps = append(c.steps, s)
}

// at is the step that made a revision; false if the log has none.
func (c *chain) at(revision uint64) (step, bool) {
	if c == nil || revision == 0 || revision > uint64(len(c.steps)) {
		return step{}, false
	}
	return c.steps[revision-1], true
}

// cause is a request, or a place in one that holds many.
type cause struct {
	request string
	index   int
}

// caused is what one did.
type caused struct {
	seq   uint64
	last  int64 // the time of its last event, in Unix milliseconds
	parts []uint64
}

// rememberedFor is how long a request id is known: ten minutes, in
// milliseconds.
const rememberedFor = 10 * 60 * 1000

// caused judges L2 as far as the log tells: no event stands twice, and what one
// request did stands in one commit, each part of it once.
func (v *Verdict) caused(e *Event) {
	id := maphash.String(v.seed, e.ID)
	if _, twice := v.ids[id]; twice {
		v.object("L2", e.place(), "event id %s stands twice, again at %d", e.ID, e.Seq)
	}
	v.ids[id] = struct{}{}
	if !e.asked() {
		return
	}
	if _, known := v.requests[e.Cause]; !known {
		v.requests[e.Cause] = e.Seq
	}
	k := cause{e.Cause, -1}
	if e.CauseIndex != nil {
		k.index = *e.CauseIndex
	}
	part := maphash.String(v.seed, e.Type)
	if e.verb != "created" { // one request creates one thing
		part = part*31 + maphash.String(v.seed, e.Subject)
	}
	before, now := v.causes[k], e.Time.UnixMilli()
	if before == nil || now-before.last > rememberedFor {
		v.causes[k] = &caused{seq: e.Seq, last: now, parts: []uint64{part}}
		return
	}
	if before.seq != e.Seq {
		v.object("L2", e.place(), "%s of %s at %d is of request %s, which was carried out at %d", e.Type, e.Subject, e.Seq, e.Cause, before.seq)
	} else {
		for _, p := range before.parts {
			if p == part {
				v.object("L2", e.place(), "%s of %s at %d is of request %s, which was carried out in the same commit", e.Type, e.Subject, e.Seq, e.Cause)
			}
		}
	}
	before.seq, before.last, before.parts = e.Seq, now, append(before.parts, part)
}
