package check

import (
	"strings"
	"time"
)

// Run is a run of a trigger or of a call.
type Run struct {
	Life
	Trigger      string // "": somebody called
	ScheduledFor time.Time
	Manual       bool
}

func (v *Verdict) run(e *Event) {
	r, known := v.Runs[e.Subject]
	if e.verb() == "created" {
		at := e.moment("scheduled_for")
		if known || v.Items["sci_"+strings.TrimPrefix(e.Subject, "run_")] != nil {
			v.violation("run %s is created again at %d", e.Subject, e.Seq)
		}
		v.Runs[e.Subject] = &Run{Life: Life{Kind: "run", ID: e.Subject, Due: at, Status: queued, LastEvent: e.Type, target: e.id("function")}, ScheduledFor: at}
		return
	}
	if !known {
		v.violation("%s at %d is of run %s, which was never created", e.Type, e.Seq, e.Subject)
		return
	}
	if e.text("run") != r.ID {
		v.violation("%s of run %s at %d says that it is of run %q", e.Type, r.ID, e.Seq, e.text("run"))
	}
	if at := e.moment("scheduled_for"); !at.Equal(r.ScheduledFor) {
		v.violation("%s of run %s at %d says %s, it is scheduled for %s", e.Type, r.ID, e.Seq, stamp(at), stamp(r.ScheduledFor))
	}
	if t := v.Triggers[r.Trigger]; t != nil && e.verb() == "claimed" {
		switch {
		case t.Status == deleted:
			v.violation("C7: run %s is claimed at %d, after trigger %s was deleted", r.ID, e.Seq, t.ID)
		case t.Status == paused && !r.Manual && e.number("attempt") == 1:
			v.violation("C5: run %s is claimed at %d, while trigger %s is paused", r.ID, e.Seq, t.ID)
		}
	}
	v.attempt(&r.Life, e)
}

// rests judges what a pause and a deletion end in their own commit: what waits.
func (v *Verdict) rests(t *Trigger, seq uint64) {
	for _, r := range t.unended() {
		switch {
		case r.Status != queued:
		case t.Status == deleted:
			v.violation("C7: run %s still waits after trigger %s was deleted at %d", r.ID, t.ID, seq)
		case !r.Manual && len(r.Claims) == 0:
			v.violation("C5: run %s still waits after trigger %s was paused at %d", r.ID, t.ID, seq)
		}
	}
}
