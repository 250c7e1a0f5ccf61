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

	overlap string // of its trigger, when it fired
}

func (v *Verdict) run(e *Event) {
	r, known := v.Runs[e.Subject]
	at := e.Data.ScheduledFor
	if e.verb == "created" {
		if known || v.Items["sci_"+strings.TrimPrefix(e.Subject, "run_")] != nil {
			v.object("R1", e.place(), "run %s is created again at %d", e.Subject, e.Seq)
		}
		v.Runs[e.Subject] = &Run{Life: Life{
			Kind: "run", ID: e.Subject, Due: at, Status: queued, LastEvent: e.Type,
			partition: e.Partition, born: e.Seq, target: e.Data.target(), run: e.Subject, runner: runner(e),
		}, ScheduledFor: at}
		return
	}
	if !known {
		v.object("R1", e.place(), "%s at %d is of run %s, which was never created", e.Type, e.Seq, e.Subject)
		return
	}
	if e.Data.Run != r.ID {
		v.object("R2", e.place(), "%s of run %s at %d says that it is of run %q", e.Type, r.ID, e.Seq, e.Data.Run)
	}
	if !at.Equal(r.ScheduledFor) {
		v.object("C6", e.place(), "%s of run %s at %d says %s, it is scheduled for %s", e.Type, r.ID, e.Seq, stamp(at), stamp(r.ScheduledFor))
	}
	if t := v.Triggers[r.Trigger]; t != nil && e.verb == "claimed" {
		v.starts(t, r, e)
	}
	v.attempt(&r.Life, e)
}

// starts judges what a trigger's state forbids to begin (C5, C7), and what
// other runs of it do (C9).
func (v *Verdict) starts(t *Trigger, r *Run, e *Event) {
	switch {
	case t.Status == deleted:
		v.object("C7", e.place(), "run %s is claimed at %d, after trigger %s was deleted", r.ID, e.Seq, t.ID)
	case t.Status == paused && !r.Manual && e.Data.Attempt == 1:
		v.object("C5", e.place(), "run %s is claimed at %d, while trigger %s is paused", r.ID, e.Seq, t.ID)
	case r.overlap == overlapQueue && !r.Manual:
		for _, o := range t.unended() {
			if o != r && o.overlap == overlapQueue && !o.Manual && o.Status == processing {
				v.object("C9", e.place(), "run %s of trigger %s is claimed at %d, while %s is at work", r.ID, t.ID, e.Seq, o.ID)
			}
		}
	}
}

// rests judges what a pause and a deletion end in their own commit: what waits.
func (v *Verdict) rests(t *Trigger, seq uint64) {
	for _, r := range t.unended() {
		switch {
		case r.Status != queued:
		case t.Status == deleted:
			v.object("C7", t.place(seq), "run %s still waits after trigger %s was deleted at %d", r.ID, t.ID, seq)
		case !r.Manual && len(r.Claims) == 0:
			v.object("C5", t.place(seq), "run %s still waits after trigger %s was paused at %d", r.ID, t.ID, seq)
		}
	}
}
