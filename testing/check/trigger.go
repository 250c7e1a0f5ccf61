package check

import "time"

// Statuses of a trigger.
const (
	active  = "active"
	paused  = "paused"
	deleted = "deleted"
)

// Overlaps of which something must hold.
const (
	overlapSkip  = "skip"
	overlapQueue = "queue"
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
	content content
	fired   time.Time // the time of the last event that fired an occurrence
	plan    plan
	found   []outcome // since plan.after
	decided time.Time // the latest occurrence with an outcome
	open    []*Run    // not seen to have ended
	resumed []uint64  // the sequences of its resumptions

	// What this commit says.
	next           *time.Time
	rested, why    string
	catches, taken []outcome // fired.missed; skipped as missed; each as the trigger was then
}

func (t *Trigger) place(seq uint64) place { return place{seq, t.ID, Partition(t.ID)} }

// outcome is what became of the occurrences from the first to the last.
type outcome struct {
	from, to time.Time
	count    int
	fired    bool
	seq      uint64
	// Of catches and taken, since their commit may change the trigger after them.
	plan    plan
	catchUp string
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
	if e.verb == "created" {
		if known {
			v.object("R1", e.place(), "trigger %s is created again at %d", e.Subject, e.Seq)
		}
		t = &Trigger{ID: e.Subject, Status: paused, Skipped: map[string]int{}}
		v.Triggers[e.Subject] = t
	} else if !known {
		v.object("R1", e.place(), "%s at %d is of trigger %s, which was never created", e.Type, e.Seq, e.Subject)
		return
	}
	v.touched = append(v.touched, t)
	if t.Status == deleted {
		v.object("C7", e.place(), "%s of trigger %s at %d, after it was deleted", e.Type, t.ID, e.Seq)
		return
	}
	switch e.verb {
	case "created":
		v.plans(t, e)
		if e.Data.Active {
			t.Status = active
			t.expect(e)
		} else if e.Data.NextRun != nil {
			v.object("C4", e.place(), "trigger %s at %d is not active and has a next run", t.ID, e.Seq)
		}
	case "updated":
		v.plans(t, e)
		t.expect(e)
	case "paused":
		v.from(t, e, active)
		v.settle(t, e.Time, e.Seq)
		t.Pauses++
		t.rest(paused)
	case "resumed":
		v.from(t, e, paused)
		if t.rested != "" { // in this commit
			v.rests(t, e.Seq)
			t.rested = ""
		}
		t.Resumes++
		t.resumed = append(t.resumed, e.Seq)
		t.decided = later(e.Time, t.decided)
		t.Status, t.found, t.plan.after = active, nil, t.decided
		t.expect(e)
	case "deleted":
		v.settle(t, e.Time, e.Seq)
		t.rest(deleted)
	case "fired":
		v.fired(t, e)
	case "skipped":
		v.skipped(t, e)
	default:
		v.object("R1", e.place(), "%s is no event of triggers (at %d)", e.Type, e.Seq)
	}
}

// rest ends what is scheduled; what was skipped for it is now explained.
func (t *Trigger) rest(status string) {
	t.Status, t.rested, t.next = status, status, nil
	if t.why == status {
		t.why = ""
	}
}

// from judges R1 of triggers: there are no void events.
func (v *Verdict) from(t *Trigger, e *Event, status string) {
	if t.Status != status {
		v.object("R1", e.place(), "%s of trigger %s at %d, while it was %s", e.Type, t.ID, e.Seq, t.Status)
	}
}

// plans takes over what an event says of the plan. With another one what
// happened under the old one is settled, and the new one begins after it.
func (v *Verdict) plans(t *Trigger, e *Event) {
	d := &e.Data
	if d.CronSchedule != nil || d.StartsAt != nil || d.EndsAt != nil {
		v.settle(t, e.Time, e.Seq)
		p := t.plan
		t.decided = later(e.Time, t.decided) // it never goes back, whatever clocks do
		p.after = t.decided
		p.change(d)
		anew := e.verb == "created" || d.CronSchedule != nil
		if anew && !p.anchor.Equal(e.Time) && !p.anchor.Equal(p.starts) {
			v.object("C4", e.place(), "trigger %s at %d counts from %s, neither its start nor the event's time", t.ID, e.Seq, stamp(p.anchor))
		}
		t.plan = p
	}
	if target := d.target(); target != "" {
		if d.Function != nil && d.Automation != nil && d.Function.ID != "" && d.Automation.ID != "" {
			v.object("C6", e.place(), "trigger %s at %d has a function and an automation", t.ID, e.Seq)
		}
		t.target = target
	}
	if d.Overlap != nil {
		t.Overlap = *d.Overlap
	}
	if d.CatchUp != nil {
		t.CatchUp = *d.CatchUp
	}
	if d.CatchUpWindow != nil {
		t.Window = length(d.CatchUpWindow)
	}
	if d.Jitter != nil {
		t.Jitter = length(d.Jitter)
	}
	t.content.change(e)
}

// expect notes the next run that an event tells, to be judged when the commit is
// read.
func (t *Trigger) expect(e *Event) {
	if t.Status == active {
		t.next = new(time.Time)
		if e.Data.NextRun != nil {
			*t.next = *e.Data.NextRun
		}
	}
}

func (v *Verdict) fired(t *Trigger, e *Event) {
	d := &e.Data
	at, due := d.ScheduledFor, d.Due
	if due.IsZero() {
		due = at
	}
	r := &Run{
		Life: Life{
			Kind: "run", ID: d.Run, Due: due, Status: queued, LastEvent: e.Type,
			partition: e.Partition, born: e.Seq, target: d.target(), run: d.Run, runner: runner(e),
		},
		Trigger: t.ID, ScheduledFor: at, Manual: d.Manual, overlap: t.Overlap,
	}
	if v.Runs[r.ID] != nil {
		v.object("C1", e.place(), "trigger %s at %d fires run %s a second time", t.ID, e.Seq, r.ID)
	}
	if Partition(r.ID) != Partition(t.ID) {
		v.object("L7", e.place(), "run %s lives in partition %d, its trigger %s in %d", r.ID, Partition(r.ID), t.ID, Partition(t.ID))
	}
	if d.Attempt != 0 {
		v.object("R3", e.place(), "run %s is fired at %d with attempt %d", r.ID, e.Seq, d.Attempt)
	}
	v.current(t, e)
	if d.Manual {
		t.ByHand++
		if d.NextRun != nil {
			t.expect(e)
		}
	} else {
		t.Fired++
		v.occurs(t, e, outcome{from: at, to: at, count: 1, fired: true, seq: e.Seq})
		v.late(t, e, r)
		v.overlaps(t, e)
	}
	v.Runs[r.ID] = r
	t.open = append(t.open, r)
}

// overlaps judges C9 of an occurrence that fires: with overlap "skip" no earlier
// run is open, with "queue" one at most waits.
func (v *Verdict) overlaps(t *Trigger, e *Event) {
	switch t.Overlap {
	case overlapSkip:
		if t.scheduled() {
			v.object("C9", e.place(), "trigger %s fires at %d while an earlier run has not ended", t.ID, e.Seq)
		}
	case overlapQueue:
		for _, o := range t.unended() {
			if !o.Manual && o.overlap == overlapQueue && len(o.Claims) == 0 {
				v.object("C9", e.place(), "trigger %s fires at %d while run %s waits already", t.ID, e.Seq, o.ID)
			}
		}
	}
}

func (v *Verdict) skipped(t *Trigger, e *Event) {
	o, why := e.Data.outcome(e.Seq), e.Data.Reason
	t.Skipped[why] += o.count
	v.occurs(t, e, o)
	switch why {
	case "overlap":
		if t.Overlap != overlapSkip && t.Overlap != overlapQueue || !t.scheduled() {
			v.object("C9", e.place(), "trigger %s skips at %d for an overlap, and no earlier run is open", t.ID, e.Seq)
		}
	case "backlog":
		if len(t.unended()) == 0 {
			v.object("C9", e.place(), "trigger %s skips at %d for a backlog, and no run is open", t.ID, e.Seq)
		}
	case "missed":
		o.catchUp = t.CatchUp
		t.taken = append(t.taken, o)
	case "expired":
		if late := e.Time.Sub(o.to); late <= t.Window {
			v.object("C8", e.place(), "trigger %s at %d skips %s as expired after %v, its window is %v", t.ID, e.Seq, stamp(o.to), late, t.Window)
		}
	case paused, deleted:
		t.why = why
	default:
		v.object("C2", e.place(), "trigger %s skips at %d for %q, which is no reason", t.ID, e.Seq, why)
	}
}

// occurs notes an outcome, which comes while the trigger is active and never
// early.
func (v *Verdict) occurs(t *Trigger, e *Event, o outcome) {
	if t.Status != active {
		v.object("C5", e.place(), "%s of trigger %s at %d, while it is %s", e.Type, t.ID, e.Seq, t.Status)
		return
	}
	if o.to.After(e.Time) {
		v.object("C3", e.place(), "%s of trigger %s at %d decides %s before its time", e.Type, t.ID, e.Seq, stamp(o.to))
	}
	t.found, t.decided = append(t.found, o), later(t.decided, o.to)
	t.expect(e)
}
