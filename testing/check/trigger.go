package check

import "time"

// Statuses of a trigger.
const (
	active  = "active"
	paused  = "paused"
	deleted = "deleted"
)

// Trigger is a trigger's life.
type Trigger struct {
	ID     string
	Status string
	// Fired counts occurrences that became runs, ByHand the runs besides them,
	// Skipped the occurrences that became none, by reason.
	Fired, ByHand    int
	Skipped          map[string]int
	Pauses, Resumes  int
	Overlap, CatchUp string
	Window, Jitter   time.Duration

	target  string // what it runs
	plan    plan
	found   []outcome // since plan.after
	decided time.Time // the latest occurrence with an outcome
	open    []*Run    // not seen to have ended

	// What this commit says.
	next           *time.Time
	rested, why    string
	catches, taken []outcome // fired.missed; skipped as missed
}

// outcome is what became of the occurrences from the first to the last.
type outcome struct {
	from, to time.Time
	count    int
	fired    bool
	seq      uint64
}

// unended are the runs that have not ended.
func (t *Trigger) unended() []*Run {
	open := t.open[:0]
	for _, r := range t.open {
		if !r.ended() {
			open = append(open, r)
		}
	}
	t.open = open
	return open
}

// scheduled says that an occurrence's run has not ended.
func (t *Trigger) scheduled() bool {
	for _, r := range t.unended() {
		if !r.Manual {
			return true
		}
	}
	return false
}

func (v *Verdict) trigger(e *Event) {
	t, known := v.Triggers[e.Subject]
	if e.verb() == "created" {
		if known {
			v.violation("trigger %s is created again at %d", e.Subject, e.Seq)
		}
		t = &Trigger{ID: e.Subject, Status: paused, Skipped: map[string]int{}}
		v.Triggers[e.Subject] = t
	} else if !known {
		v.violation("%s at %d is of trigger %s, which was never created", e.Type, e.Seq, e.Subject)
		return
	}
	v.touched = append(v.touched, t)
	if t.Status == deleted {
		v.violation("C7: %s of trigger %s at %d, after it was deleted", e.Type, t.ID, e.Seq)
		return
	}
	switch e.verb() {
	case "created":
		v.plans(t, e)
		if e.flag("active") {
			t.Status = active
			t.expect(e)
		} else if e.has("next_run") {
			v.violation("C4: trigger %s at %d is not active and has a next run", t.ID, e.Seq)
		}
	case "updated":
		v.plans(t, e)
		t.expect(e)
	case "paused":
		v.from(t, e, active)
		v.settle(t, e.Time)
		t.Pauses++
		t.Status, t.rested, t.next = paused, paused, nil
	case "resumed":
		v.from(t, e, paused)
		t.Resumes++
		t.Status, t.found, t.plan.after = active, nil, later(e.Time, t.decided)
		t.expect(e)
	case "deleted":
		v.settle(t, e.Time)
		t.Status, t.rested, t.next = deleted, deleted, nil
	case "fired":
		v.fired(t, e)
	case "skipped":
		v.skipped(t, e)
	default:
		v.violation("%s is no event of triggers (at %d)", e.Type, e.Seq)
	}
}

// from judges R1 of triggers: there are no void events.
func (v *Verdict) from(t *Trigger, e *Event, status string) {
	if t.Status != status {
		v.violation("R1: %s of trigger %s at %d, while it was %s", e.Type, t.ID, e.Seq, t.Status)
	}
}

// plans takes over what an event says of the plan. With another one what
// happened under the old one is settled, and the new one begins after it.
func (v *Verdict) plans(t *Trigger, e *Event) {
	if e.has("cron_schedule") || e.has("starts_at") || e.has("ends_at") {
		v.settle(t, e.Time)
		p := t.plan
		p.after = later(e.Time, t.decided)
		p.change(e)
		anew := e.verb() == "created" || e.has("cron_schedule")
		if anew && !p.anchor.Equal(e.Time) && !p.anchor.Equal(p.starts) {
			v.violation("C4: trigger %s at %d counts from %s, neither its start nor the event's time", t.ID, e.Seq, stamp(p.anchor))
		}
		t.plan = p
	}
	if e.has("function") || e.has("automation") {
		if e.id("function") != "" && e.id("automation") != "" {
			v.violation("trigger %s at %d has a function and an automation", t.ID, e.Seq)
		}
		t.target = e.id("function") + e.id("automation")
	}
	if e.has("overlap") {
		t.Overlap = e.text("overlap")
	}
	if e.has("catch_up") {
		t.CatchUp = e.text("catch_up")
	}
	if e.has("catch_up_window") {
		t.Window = e.length("catch_up_window")
	}
	if e.has("jitter") {
		t.Jitter = e.length("jitter")
	}
}

// expect notes the next run that an event tells, to be judged when the commit is
// read.
func (t *Trigger) expect(e *Event) {
	if t.Status == active {
		at := e.moment("next_run")
		t.next = &at
	}
}

func (v *Verdict) fired(t *Trigger, e *Event) {
	at, due, manual := e.moment("scheduled_for"), e.moment("due"), e.flag("manual")
	if due.IsZero() {
		due = at
	}
	r := &Run{
		Life:    Life{Kind: "run", ID: e.text("run"), Due: due, Status: queued, LastEvent: e.Type, target: e.id("function")},
		Trigger: t.ID, ScheduledFor: at, Manual: manual,
	}
	if v.Runs[r.ID] != nil {
		v.violation("C2: trigger %s at %d fires run %s a second time", t.ID, e.Seq, r.ID)
	}
	if Partition(r.ID) != Partition(t.ID) {
		v.violation("L7: run %s lives in partition %d, its trigger %s in %d", r.ID, Partition(r.ID), t.ID, Partition(t.ID))
	}
	if target := e.id("function") + e.id("automation"); target != t.target {
		v.violation("trigger %s at %d fires %s, it runs %s", t.ID, e.Seq, target, t.target)
	}
	if e.number("attempt") != 0 {
		v.violation("R3: run %s is fired at %d with attempt %d", r.ID, e.Seq, e.number("attempt"))
	}
	if manual {
		t.ByHand++
		if e.has("next_run") {
			t.expect(e)
		}
	} else {
		t.Fired++
		v.occurs(t, e, outcome{from: at, to: at, count: 1, fired: true, seq: e.Seq})
		v.late(t, e, r)
		if t.Overlap == "skip" && t.scheduled() {
			v.violation("C9: trigger %s fires at %d while an earlier run has not ended", t.ID, e.Seq)
		}
	}
	v.Runs[r.ID] = r
	t.open = append(t.open, r)
}

// late judges C8 of what fired: when it waits from, and what it catches up with.
func (v *Verdict) late(t *Trigger, e *Event, r *Run) {
	if r.Due.Before(r.ScheduledFor) || r.Due.Sub(r.ScheduledFor) > t.Jitter {
		v.violation("C3: run %s of %s waits from %s, its trigger's jitter is %v", r.ID, stamp(r.ScheduledFor), stamp(r.Due), t.Jitter)
	}
	if late := e.Time.Sub(r.ScheduledFor); late > t.Window {
		v.violation("C8: trigger %s at %d fires %s, %v late, its window is %v", t.ID, e.Seq, stamp(r.ScheduledFor), late, t.Window)
	}
	missed, found := e.Data["missed"].(map[string]any)
	if !found {
		return
	}
	span := Event{Data: missed}
	o := outcome{from: span.moment("from"), to: span.moment("to"), count: span.number("count"), seq: e.Seq}
	if !o.to.Equal(r.ScheduledFor) {
		v.violation("C8: run %s of %s catches up to %s", r.ID, stamp(r.ScheduledFor), stamp(o.to))
	}
	t.catches = append(t.catches, o)
}

func (v *Verdict) skipped(t *Trigger, e *Event) {
	o := outcome{from: e.moment("from"), to: e.moment("to"), count: e.number("count"), seq: e.Seq}
	why := e.text("reason")
	t.Skipped[why] += o.count
	v.occurs(t, e, o)
	switch why {
	case "overlap":
		if t.Overlap != "skip" || !t.scheduled() {
			v.violation("C9: trigger %s skips at %d for an overlap, and no earlier run is open", t.ID, e.Seq)
		}
	case "backlog":
		if len(t.unended()) == 0 {
			v.violation("C9: trigger %s skips at %d for a backlog, and no run is open", t.ID, e.Seq)
		}
	case "missed":
		t.taken = append(t.taken, o)
	case "expired":
		if late := e.Time.Sub(o.to); late <= t.Window {
			v.violation("C8: trigger %s at %d skips %s as expired after %v, its window is %v", t.ID, e.Seq, stamp(o.to), late, t.Window)
		}
	case paused, deleted:
		t.why = why
	default:
		v.violation("C2: trigger %s skips at %d for %q, which is no reason", t.ID, e.Seq, why)
	}
}

// occurs notes an outcome, which comes while the trigger is active and never
// early.
func (v *Verdict) occurs(t *Trigger, e *Event, o outcome) {
	if t.Status != active {
		v.violation("C5: %s of trigger %s at %d, while it is %s", e.Type, t.ID, e.Seq, t.Status)
		return
	}
	if o.to.After(e.Time) {
		v.violation("C3: %s of trigger %s at %d decides %s before its time", e.Type, t.ID, e.Seq, stamp(o.to))
	}
	t.found, t.decided = append(t.found, o), later(t.decided, o.to)
	t.expect(e)
}

// committed judges what only a whole commit shows.
func (v *Verdict) committed(t *Trigger, seq uint64) {
	if t.why != "" && t.why != t.rested {
		v.violation("C2: trigger %s skips at %d as %s, and was not in that commit", t.ID, seq, t.why)
	}
	if t.rested != "" {
		v.rests(t, seq)
	}
	for _, c := range t.catches {
		v.catches(t, c)
	}
	for _, s := range t.taken {
		caught := t.CatchUp == "none"
		for _, c := range t.catches {
			caught = caught || c.from.Equal(s.from)
		}
		if !caught {
			v.violation("C8: trigger %s at %d skips %d as missed, and nothing catches up for them", t.ID, seq, s.count)
		}
	}
	if t.next != nil {
		after := later(t.plan.after, t.decided)
		if want := v.first(t.plan, after); !want.Equal(*t.next) {
			v.violation("C4: trigger %s at %d names %s as its next run, after %s it is %s", t.ID, seq, stamp(*t.next), stamp(after), stamp(want))
		}
	}
	t.next, t.rested, t.why, t.catches, t.taken = nil, "", "", nil, nil
}

// catches judges C8: what a run stands for is as many as it says, and all but
// its own are skipped beside it.
func (v *Verdict) catches(t *Trigger, c outcome) {
	if want := len(v.occurrences(t.plan, c.from.Add(-time.Nanosecond), c.to)); want != c.count {
		v.violation("C8: trigger %s at %d catches up with %d from %s to %s, there are %d", t.ID, c.seq, c.count, stamp(c.from), stamp(c.to), want)
	}
	beside := c.count == 1
	for _, s := range t.taken {
		beside = beside || s.from.Equal(c.from) && s.count == c.count-1
	}
	if !beside {
		v.violation("C8: trigger %s at %d catches up with %d, and not all but one of them are skipped beside it", t.ID, c.seq, c.count)
	}
}
