package projection

import (
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
)

// Trigger is a Schedule Trigger Setting. Modified and ModifiedBy are of the
// last event that changed what callers set: an occurrence does not count.
type Trigger struct {
	Meta
	CronSchedule  string            `cbor:"20,keyasint"`
	Target        string            `cbor:"21,keyasint"` // id of a function or an automation
	Data          jsontext.Value    `cbor:"22,keyasint,omitempty"`
	Active        bool              `cbor:"23,keyasint,omitempty"`
	PauseReason   string            `cbor:"24,keyasint,omitempty"`
	RunningUser   string            `cbor:"25,keyasint,omitempty"` // as set; see Runner
	Overlap       eventlog.Overlap  `cbor:"26,keyasint"`
	CatchUp       eventlog.CatchUp  `cbor:"27,keyasint"`
	CatchUpWindow eventlog.Duration `cbor:"28,keyasint"`
	Jitter        eventlog.Duration `cbor:"29,keyasint,omitempty"`
	StartsAt      eventlog.Time     `cbor:"30,keyasint,omitempty"`
	EndsAt        eventlog.Time     `cbor:"31,keyasint,omitempty"`
	Retry         *eventlog.Retry   `cbor:"32,keyasint,omitempty"`
	Anchor        eventlog.Time     `cbor:"33,keyasint"`
	// DecidedUpTo says that every occurrence up to here has its outcome, or
	// needs none. It never goes back.
	DecidedUpTo eventlog.Time `cbor:"34,keyasint"`
	// Next is the first occurrence that is not decided; 0: there is none, or
	// the trigger is paused.
	Next eventlog.Time `cbor:"35,keyasint,omitempty"`
	// LastRun is the newest run, by schedule or by hand, and its time.
	LastRun string        `cbor:"36,keyasint,omitempty"`
	LastFor eventlog.Time `cbor:"37,keyasint,omitempty"`
	// SetRevision is that of the last event that changed a field callers set.
	SetRevision uint64 `cbor:"38,keyasint"`

	open  map[string]struct{} // ids of its runs that have not ended
	place int                 // in the index of schedules, plus one; 0 when not in it
}

func (t *Trigger) due() eventlog.Time { return t.Next }
func (t *Trigger) id() string         { return t.ID }
func (t *Trigger) slot() *int         { return &t.place }

// Runner is the user that the trigger's runs run as.
func (t *Trigger) Runner() string {
	if t.RunningUser != "" {
		return t.RunningUser
	}
	return t.CreatedBy
}

// OpenRuns lists the ids of the runs that have not ended, in order.
func (t *Trigger) OpenRuns() []string { return slices.Sorted(maps.Keys(t.open)) }

// Copy is a copy that later events do not change. It has no open runs.
func (t *Trigger) Copy() Trigger {
	c := *t
	c.open, c.place = nil, 0
	return c
}

func (t *Trigger) apply(e *eventlog.Event, seq uint64) {
	if t.Created == 0 {
		t.ID, t.Created, t.CreatedBy = e.Subject, e.Time, e.Actor
	}
	t.Revision, t.Seq = e.Revision, seq
	switch d := e.Data.(type) {
	case *eventlog.TriggerFired:
		t.LastRun, t.LastFor = d.Run, d.ScheduledFor
		if !d.Manual {
			t.decided(d.ScheduledFor, d.NextRun)
		}
		return
	case *eventlog.TriggerSkipped:
		t.decided(d.To, d.NextRun)
		return
	case *eventlog.TriggerCreated:
		t.created(d)
	case *eventlog.TriggerUpdated:
		t.updated(d)
		if d.CronSchedule == nil {
			break
		}
		t.DecidedUpTo = max(t.DecidedUpTo, e.Time)
	case *eventlog.TriggerPaused:
		t.Active, t.PauseReason, t.Next = false, d.Reason, 0
	case *eventlog.TriggerResumed:
		t.Active, t.PauseReason, t.Next = true, "", d.NextRun
		t.DecidedUpTo = max(t.DecidedUpTo, e.Time)
	}
	t.DecidedUpTo = max(t.DecidedUpTo, t.Created)
	t.Modified, t.ModifiedBy, t.SetRevision = e.Time, e.Actor, e.Revision
}

func (t *Trigger) decided(upTo, next eventlog.Time) {
	t.DecidedUpTo, t.Next = max(t.DecidedUpTo, upTo), next
}

func (t *Trigger) created(d *eventlog.TriggerCreated) {
	t.Name, t.CronSchedule, t.Data, t.Active = d.Name, d.CronSchedule, d.Data, d.Active
	t.Target = d.Function.ID + d.Automation.ID
	t.RunningUser, t.Overlap, t.CatchUp, t.CatchUpWindow = d.RunningUser, d.Overlap, d.CatchUp, d.CatchUpWindow
	t.Jitter, t.StartsAt, t.EndsAt, t.Retry = d.Jitter, d.StartsAt, d.EndsAt, d.Retry
	t.Anchor, t.Next = d.Anchor, d.NextRun
}

func (t *Trigger) updated(d *eventlog.TriggerUpdated) {
	set(&t.Name, d.Name)
	set(&t.CronSchedule, d.CronSchedule)
	if d.Function != nil {
		t.Target = d.Function.ID
	}
	if d.Automation != nil {
		t.Target = d.Automation.ID
	}
	if d.Data != nil {
		t.Data = d.Data
	}
	set(&t.RunningUser, d.RunningUser)
	set(&t.Overlap, d.Overlap)
	set(&t.CatchUp, d.CatchUp)
	set(&t.CatchUpWindow, d.CatchUpWindow)
	set(&t.Jitter, d.Jitter)
	set(&t.StartsAt, d.StartsAt)
	set(&t.EndsAt, d.EndsAt)
	if d.Retry != nil {
		t.Retry = d.Retry
	}
	if d.Anchor != 0 {
		t.Anchor = d.Anchor
	}
	t.Next = d.NextRun
}

func (s *State) evolveTrigger(p *Partition, e *eventlog.Event, seq uint64) {
	t := p.triggers[e.Subject]
	if _, deleted := e.Data.(*eventlog.TriggerDeleted); deleted {
		if t != nil {
			s.schedules.remove(t)
			s.triggers.remove(t)
			delete(p.triggers, t.ID)
		}
		p.gone[e.Subject] = seq
		return
	}
	known := t != nil
	if !known {
		t = &Trigger{open: map[string]struct{}{}}
		p.triggers[e.Subject] = t
	}
	t.apply(e, seq)
	if !known {
		s.triggers.insert(t)
	}
	if t.Next != 0 && s.attends(p.ID) {
		s.schedules.put(t)
	} else {
		s.schedules.remove(t)
	}
	if d, fired := e.Data.(*eventlog.TriggerFired); fired {
		i := &Item{}
		i.fired(e, d, seq)
		p.items[i.ID] = i
		s.runs.insert(i)
		s.index(p, i)
	}
}

// TriggerFromLog folds one trigger's events, oldest first, each with its
// commit's sequence; nil if they end with its deletion.
func TriggerFromLog(events []eventlog.Event, seqs []uint64) *Trigger {
	t := new(Trigger)
	for n := range events {
		if _, deleted := events[n].Data.(*eventlog.TriggerDeleted); deleted {
			return nil
		}
		t.apply(&events[n], seqs[n])
	}
	return t
}
