package check

import (
	"maps"
	"slices"
	"time"
)

// Statuses of items and runs.
const (
	queued     = "Queued"
	processing = "Processing"
	completed  = "Completed"
	failed     = "Failed"
	canceled   = "Canceled"
)

// Life is the attempts of an item, or of a trigger's or a call's run.
type Life struct {
	Kind      string // item, run
	ID        string
	Due       time.Time
	Status    string
	Claims    []Claim
	Ends      int // terminal events
	Canceled  time.Time
	Started   time.Time // as the executor told of the first attempt that ended
	LastEvent string

	partition   int
	born, ends  uint64 // the sequences that made it and that ended it; 0: it is open
	target, run string // what it runs; the id of its run, once claimed
	runner      string // the user it runs as
	scheduledBy string // the run whose code wanted it
	open        bool
	retry       time.Time // before which no attempt follows
}

// Claim is an attempt.
type Claim struct {
	Run, Executor, Incarnation string
	Attempt                    int
	At                         time.Time
	Seq                        uint64

	lane    string
	due     time.Time
	target  string
	version int // of the function, in the log before the claim
	lines   int // that functions wrote of it
	ended   bool
	end     time.Time // as the function wrote it
	closed  time.Time // as the event says that closed it, in the lane of closer
	closer  string
}

func (l *Life) ended() bool {
	return l.Status == completed || l.Status == failed || l.Status == canceled
}

// runner is as whom runs what an event makes.
func runner(e *Event) string {
	if u := e.Data.RunningUser; u != nil && *u != "" {
		return *u
	}
	return e.Actor
}

func (l *Life) place(seq uint64) place { return place{seq, l.ID, l.partition} }

// lastSeq is the sequence of its last claim, or of what made it.
func (l *Life) lastSeq() uint64 {
	if n := len(l.Claims); n > 0 {
		return l.Claims[n-1].Seq
	}
	return l.born
}

// attempt judges the events that items and runs have in common.
func (v *Verdict) attempt(l *Life, e *Event) {
	l.LastEvent = e.Type
	if l.ended() {
		v.object("R4", e.place(), "%s of %s %s at %d, after it was %s", e.Type, l.Kind, l.ID, e.Seq, l.Status)
		if e.verb == "claimed" { // whoever runs it has a claim
			l.Claims = append(l.Claims, v.newClaim(l, e))
		}
		return
	}
	switch e.verb {
	case "claimed":
		v.claimed(l, e)
		l.Status = processing
	case "interrupted", "retry_scheduled":
		v.closed(l, e)
		l.Status, l.retry = queued, e.Data.RetryAt
	case "completed", "failed":
		v.closed(l, e)
		l.Status = completed
		if e.verb == "failed" {
			l.Status = failed
		}
		l.Ends, l.ends = l.Ends+1, e.Seq
	case "canceled":
		if l.Status == processing {
			v.closed(l, e)
		}
		l.Status, l.Canceled = canceled, e.Time
		l.Ends, l.ends = l.Ends+1, e.Seq
	default:
		v.object("R1", e.place(), "%s is no event of %ss (at %d)", e.Type, l.Kind, e.Seq)
	}
}

// must judges R1: a transition begins where it may.
func (v *Verdict) must(l *Life, e *Event, status string) bool {
	if l.Status == status {
		return true
	}
	v.object("R1", e.place(), "%s of %s %s at %d, while it was %s", e.Type, l.Kind, l.ID, e.Seq, l.Status)
	return false
}

func (v *Verdict) newClaim(l *Life, e *Event) Claim {
	c := Claim{
		Run: e.Data.Run, Executor: e.Data.Executor, Incarnation: e.Data.Incarnation,
		Attempt: e.Data.Attempt, At: e.Time, Seq: e.Seq, lane: e.lane, target: l.target, due: l.Due,
	}
	if f := v.functions[c.target]; f != nil {
		c.version = f.version
	}
	return c
}

// claimed judges C1, C3, C6 and R3: one claim for each attempt, in order, never
// before the due time, and that one the current.
func (v *Verdict) claimed(l *Life, e *Event) {
	c := v.newClaim(l, e)
	switch {
	case l.open:
		v.object("C1", e.place(), "%s %s is claimed at %d while the claim of %d is open", l.Kind, l.ID, e.Seq, l.lastSeq())
	case c.Attempt > 0 && c.Attempt <= len(l.Claims):
		v.object("C1", e.place(), "attempt %d of %s %s is claimed at %d a second time", c.Attempt, l.Kind, l.ID, e.Seq)
	case c.Attempt != len(l.Claims)+1:
		v.object("R3", e.place(), "%s %s has attempt %d after %d", l.Kind, l.ID, c.Attempt, len(l.Claims))
	}
	switch at := e.Data.ScheduledFor; {
	case l.Kind == "item" && !at.IsZero() && !at.Equal(l.Due):
		v.object("C6", e.place(), "%s %s is claimed at %d as due at %s, by its current revision it is due at %s", l.Kind, l.ID, e.Seq, stamp(at), stamp(l.Due))
	case c.At.Before(l.Due):
		v.object("C3", e.place(), "%s %s, due at %s, is claimed at %s", l.Kind, l.ID, stamp(l.Due), stamp(c.At))
	case c.At.Before(l.retry):
		v.object("C3", e.place(), "%s %s, to be tried again at %s, is claimed at %s", l.Kind, l.ID, stamp(l.retry), stamp(c.At))
	}
	if c.Executor == "" {
		v.object("R2", e.place(), "the claim of %s %s at %d names no executor", l.Kind, l.ID, e.Seq)
	}
	if n := len(l.Claims); n > 0 && l.Claims[n-1].Run != c.Run {
		v.object("R3", e.place(), "attempt %d of %s %s at %d is of run %s, the one before was of %s", c.Attempt, l.Kind, l.ID, e.Seq, c.Run, l.run)
	}
	l.Claims, l.open, l.run = append(l.Claims, c), true, c.Run
}

// closed judges R2: what ends an attempt is of that attempt, by its executor
// and, where the event tells, that incarnation of it.
func (v *Verdict) closed(l *Life, e *Event) {
	if !v.must(l, e, processing) || !l.open {
		return
	}
	c := &l.Claims[len(l.Claims)-1]
	switch d := &e.Data; {
	case d.Attempt != c.Attempt || d.Executor != c.Executor || d.Run != c.Run:
		v.object("R2", e.place(), "%s of %s %s at %d is of attempt %d of %s on %s, open is %d of %s on %s",
			e.Type, l.Kind, l.ID, e.Seq, d.Attempt, d.Run, d.Executor, c.Attempt, c.Run, c.Executor)
	case d.Incarnation != "" && d.Incarnation != c.Incarnation:
		v.object("R2", e.place(), "%s of %s %s at %d is of incarnation %s of %s, open is an attempt of incarnation %s",
			e.Type, l.Kind, l.ID, e.Seq, d.Incarnation, c.Executor, c.Incarnation)
	default:
		v.newest(l, c, e)
	}
	if l.Started.IsZero() {
		l.Started = e.Data.Started
	}
	c.closed, c.closer = e.Time, e.lane
	l.open = false
}

// lives are all items and runs, in the order of their ids.
func (v *Verdict) lives(yield func(id string, l *Life) bool) {
	for _, id := range slices.Sorted(maps.Keys(v.Items)) {
		if !yield(id, &v.Items[id].Life) {
			return
		}
	}
	for _, id := range slices.Sorted(maps.Keys(v.Runs)) {
		if !yield(id, &v.Runs[id].Life) {
			return
		}
	}
}

// AllEnded judges R8: nothing is left open.
func (v *Verdict) AllEnded() {
	for id, l := range v.lives {
		if l.Ends != 1 {
			v.object("R8", l.place(v.end()), "%s %s is %s with %d ends", l.Kind, id, l.Status, l.Ends)
		}
	}
}
