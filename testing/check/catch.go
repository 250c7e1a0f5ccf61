package check

import "time"

// lateMax is how late an occurrence that catch_up "none" still lets run may
// fire: the smallest catch_up_window there is.
const lateMax = time.Minute

// late judges C8 of what fired: when it waits from, and what it catches up with.
func (v *Verdict) late(t *Trigger, e *Event, r *Run) {
	if r.Due.Before(r.ScheduledFor) || r.Due.Sub(r.ScheduledFor) > t.Jitter {
		v.object("C3", e.place(), "run %s of %s waits from %s, its trigger's jitter is %v", r.ID, stamp(r.ScheduledFor), stamp(r.Due), t.Jitter)
	}
	late := e.Time.Sub(r.ScheduledFor)
	switch {
	case late > t.Window:
		v.object("C8", e.place(), "trigger %s at %d fires %s, %v late, its window is %v", t.ID, e.Seq, stamp(r.ScheduledFor), late, t.Window)
	case t.CatchUp == "none" && (late > lateMax || e.Data.Missed != nil):
		v.object("C8", e.place(), "trigger %s at %d fires %s, %v late, and catches up with none", t.ID, e.Seq, stamp(r.ScheduledFor), late)
	case t.CatchUp == "latest" && t.fired.Equal(e.Time):
		v.object("C8", e.place(), "trigger %s at %d fires %s beside another occurrence, and catches up with the latest alone", t.ID, e.Seq, stamp(r.ScheduledFor))
	}
	t.fired = e.Time
	if e.Data.Missed == nil {
		return
	}
	o := e.Data.Missed.outcome(e.Seq)
	if !o.to.Equal(r.ScheduledFor) {
		v.object("C8", e.place(), "run %s of %s catches up to %s", r.ID, stamp(r.ScheduledFor), stamp(o.to))
	}
	o.plan = t.plan
	t.catches = append(t.catches, o)
}

// catches judges C8: what a run stands for is as many as it says, and all but
// its own are skipped beside it.
func (v *Verdict) catches(t *Trigger, c outcome) {
	if want := len(v.occurrences(c.plan, c.from.Add(-time.Nanosecond), c.to)); want != c.count {
		v.object("C8", t.place(c.seq), "trigger %s at %d catches up with %d from %s to %s, there are %d", t.ID, c.seq, c.count, stamp(c.from), stamp(c.to), want)
	}
	beside := c.count == 1
	for _, s := range t.taken {
		beside = beside || s.from.Equal(c.from) && s.count == c.count-1
	}
	if !beside {
		v.object("C8", t.place(c.seq), "trigger %s at %d catches up with %d, and not all but one of them are skipped beside it", t.ID, c.seq, c.count)
	}
}

// committed judges what only a whole commit shows.
func (v *Verdict) committed(t *Trigger, seq uint64) {
	if t.why != "" {
		v.object("C2", t.place(seq), "trigger %s skips at %d as %s, and was not in that commit", t.ID, seq, t.why)
	}
	if t.rested != "" {
		v.rests(t, seq)
	}
	v.caught(t, seq)
	if t.next != nil {
		after := later(t.plan.after, t.decided)
		if want := v.next(t.plan, after); !want.Equal(*t.next) {
			v.object("C4", t.place(seq), "trigger %s at %d names %s as its next run, after %s it is %s", t.ID, seq, stamp(*t.next), stamp(after), stamp(want))
		}
	}
	t.next, t.rested, t.why = nil, "", ""
}

// caught judges what this commit caught up with, by the schedule until now.
func (v *Verdict) caught(t *Trigger, seq uint64) {
	for _, c := range t.catches {
		v.catches(t, c)
	}
	for _, s := range t.taken {
		caught := s.catchUp == "none"
		for _, c := range t.catches {
			caught = caught || c.from.Equal(s.from)
		}
		if !caught {
			v.object("C8", t.place(seq), "trigger %s at %d skips %d as missed, and nothing catches up for them", t.ID, seq, s.count)
		}
	}
	t.catches, t.taken = nil, nil
}
