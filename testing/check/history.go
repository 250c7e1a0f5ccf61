package check

import (
	"slices"
	"time"
)

// Outcome is what a client was told.
type Outcome int

// The outcomes.
const (
	Acknowledged Outcome = iota
	Refused              // for what it asks: nothing was stored
	Unavailable          // try again: nothing was stored
	Unknown              // time-out, or no answer
)

// Op is one request of a client, from its own notes.
type Op struct {
	Client, Node, Verb string
	// Request is the id that the client gave it, "" for none; Cause is under
	// which id its events stand, Request if that is empty.
	Request, Cause    string
	Invoked, Returned time.Time
	Outcome           Outcome
	// Entity and ID name the record; Revision and Seq are those of the answer,
	// 0 if it did not tell.
	Entity, ID    string
	Revision, Seq uint64
	// Read: it changed nothing; also a request to make what was so already.
	Read bool
	// Strong: a read that is linearizable without conditions.
	Strong bool
	Status string
}

func (o *Op) cause() string {
	if o.Cause != "" {
		return o.Cause
	}
	return o.Request
}

func (o *Op) write() bool { return !o.Read && o.Outcome == Acknowledged }

// History compares what clients asked and were told with the log: L1, L2, L5
// and P3. Complete says that the ops are all there were, so that what nobody
// asked for is one too many.
func (v *Verdict) History(ops []Op, complete bool) {
	for n := range ops {
		v.acknowledged(&ops[n])
	}
	v.requests(ops, complete)
	v.order(ops)
	v.current(ops)
}

// acknowledged judges L1: what a client was told is in the log.
func (v *Verdict) acknowledged(o *Op) {
	if o.Outcome != Acknowledged || o.Revision == 0 && o.Seq == 0 {
		return
	}
	if o.Revision == 0 {
		if o.write() && o.cause() != "" && !slices.Contains(v.causes[o.cause()], o.Seq) {
			v.violation("L1: %s asked %s (%s) and was told that commit %d did it, which holds nothing of it", o.Client, o.Verb, o.cause(), o.Seq)
		}
		return
	}
	story := v.stories[o.Entity+"/"+o.ID]
	switch {
	case uint64(len(story)) < o.Revision:
		v.violation("L1: %s was told of revision %d of %s at %d by %s, the log has %d", o.Client, o.Revision, o.ID, o.Seq, o.Verb, len(story))
	case story[o.Revision-1] != o.Seq:
		v.violation("L1: %s was told of revision %d of %s at %d by %s, it stands at %d", o.Client, o.Revision, o.ID, o.Seq, o.Verb, story[o.Revision-1])
	}
}

// requests judges L2: each request did what it did in one commit, what was
// refused did nothing, and nobody else did anything.
func (v *Verdict) requests(ops []Op, complete bool) {
	type tries struct{ may, refused bool }
	known := map[string]*tries{}
	for n := range ops {
		o := &ops[n]
		if o.cause() == "" {
			continue
		}
		t := known[o.cause()]
		if t == nil {
			t = &tries{}
			known[o.cause()] = t
		}
		t.may = t.may || o.Outcome == Acknowledged || o.Outcome == Unknown
		t.refused = t.refused || o.Outcome == Refused
	}
	for cause, seqs := range v.causes {
		t, first := known[cause], v.askers[cause]
		switch {
		case t == nil && complete && first.Seq > 1:
			v.violation("L2: %s of %s at %d was asked for by nobody (%s)", first.Type, first.Subject, first.Seq, cause)
		case t == nil:
		case len(seqs) > 1:
			v.violation("L2: request %s was carried out %d times, in commits %v", cause, len(seqs), seqs)
		case !t.may:
			v.violation("L2: request %s was refused, and did %s of %s at %d", cause, first.Type, first.Subject, first.Seq)
		}
	}
}

// order judges L5: what was acknowledged before another was asked for stands
// before it.
func (v *Verdict) order(ops []Op) {
	var writes []*Op
	for n := range ops {
		if o := &ops[n]; o.write() && o.Revision > 0 && o.Seq > 0 {
			writes = append(writes, o)
		}
	}
	ended := slices.Clone(writes)
	slices.SortFunc(writes, func(a, b *Op) int { return a.Invoked.Compare(b.Invoked) })
	slices.SortFunc(ended, func(a, b *Op) int { return a.Returned.Compare(b.Returned) })
	var latest *Op
	for _, o := range writes {
		for len(ended) > 0 && ended[0].Returned.Before(o.Invoked) {
			if latest == nil || ended[0].Seq > latest.Seq {
				latest = ended[0]
			}
			ended = ended[1:]
		}
		if latest != nil && o.Seq < latest.Seq {
			v.violation("L5: %s of %s stands at %d, before that of %s at %d, which was acknowledged before it was asked for", o.Verb, o.ID, o.Seq, latest.ID, latest.Seq)
		}
	}
}

// current judges P3: who asks sees at least what anybody had been told before.
func (v *Verdict) current(ops []Op) {
	byRecord := map[string][]*Op{}
	for n := range ops {
		if o := &ops[n]; o.Outcome == Acknowledged && o.ID != "" && (o.Revision > 0 || o.Read) {
			byRecord[o.Entity+"/"+o.ID] = append(byRecord[o.Entity+"/"+o.ID], o)
		}
	}
	for _, list := range byRecord {
		for _, o := range list {
			for _, before := range list {
				if before.Returned.Before(o.Invoked) && before.Revision > o.Revision && !v.gone(o, before) {
					v.violation("P3: %s was told of revision %d of %s by %s on %s, after %s had been told of revision %d", o.Client, o.Revision, o.ID, o.Verb, o.Node, before.Client, before.Revision)
				}
			}
		}
	}
}

// gone says that a record was deleted after what was told of it, so that
// nothing is the answer.
func (v *Verdict) gone(o, before *Op) bool {
	t := v.Triggers[o.ID]
	return o.Revision == 0 && t != nil && t.Status == deleted && before.Revision <= uint64(len(v.stories["trigger/"+o.ID]))
}
