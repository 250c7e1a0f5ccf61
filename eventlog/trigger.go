package eventlog

import "github.com/go-json-experiment/json/jsontext"

// Overlap says what becomes of an occurrence while an earlier run of its
// trigger has not ended.
type Overlap string

// The choices of a trigger's overlap.
const (
	OverlapSkip  Overlap = "skip"
	OverlapAllow Overlap = "allow"
)

// CatchUp says what becomes of occurrences that were missed.
type CatchUp string

// The choices of a trigger's catch_up: one run for all that were missed, or none.
const (
	CatchUpLatest CatchUp = "latest"
	CatchUpNone   CatchUp = "none"
)

// NextRun, in the events of a trigger that have it, is the first occurrence
// that is not decided after the event; absent: there is none, or the trigger is
// paused. So a fold never evaluates a cron expression: who decided did, and
// wrote it down.

// TriggerCreated holds the whole trigger. Its occurrences are those after the
// event's time. RunningUser is empty when it is the creator.
type TriggerCreated struct {
	Name          string         `json:"name"`
	CronSchedule  string         `json:"cron_schedule"`
	Function      Ref            `json:"function,omitzero"`
	Automation    Ref            `json:"automation,omitzero"`
	Data          jsontext.Value `json:"data,omitzero"`
	Active        bool           `json:"active"`
	RunningUser   string         `json:"running_user,omitzero"`
	Overlap       Overlap        `json:"overlap"`
	CatchUp       CatchUp        `json:"catch_up"`
	CatchUpWindow Duration       `json:"catch_up_window"`
	Jitter        Duration       `json:"jitter,omitzero"`
	StartsAt      Time           `json:"starts_at,omitzero"`
	EndsAt        Time           `json:"ends_at,omitzero"`
	Retry         *Retry         `json:"retry,omitzero"` // absent: the function's
	Anchor        Time           `json:"anchor"`         // from which @every counts
	NextRun       Time           `json:"next_run,omitzero"`
}

// TriggerUpdated holds the fields that changed, and NextRun in any case. With a
// new expression, its occurrences are those after the event's time, and Anchor
// is set. A StartsAt or EndsAt of 1970 takes it away.
type TriggerUpdated struct {
	Name          *string        `json:"name,omitzero"`
	CronSchedule  *string        `json:"cron_schedule,omitzero"`
	Function      *Ref           `json:"function,omitzero"`
	Automation    *Ref           `json:"automation,omitzero"`
	Data          jsontext.Value `json:"data,omitzero"`
	RunningUser   *string        `json:"running_user,omitzero"`
	Overlap       *Overlap       `json:"overlap,omitzero"`
	CatchUp       *CatchUp       `json:"catch_up,omitzero"`
	CatchUpWindow *Duration      `json:"catch_up_window,omitzero"`
	Jitter        *Duration      `json:"jitter,omitzero"`
	StartsAt      *Time          `json:"starts_at,omitzero"`
	EndsAt        *Time          `json:"ends_at,omitzero"`
	Retry         *Retry         `json:"retry,omitzero"`
	Anchor        Time           `json:"anchor,omitzero"`
	NextRun       Time           `json:"next_run,omitzero"`
}

// TriggerPaused ends what is scheduled until it is resumed.
type TriggerPaused struct {
	Reason string `json:"reason,omitzero"`
}

// TriggerResumed begins anew: the occurrences are those after the event's time.
type TriggerResumed struct {
	Reason  string `json:"reason,omitzero"`
	NextRun Time   `json:"next_run,omitzero"`
}

// TriggerDeleted ends a trigger; nothing starts from it any more.
type TriggerDeleted struct {
	Name string `json:"name"`
}

// Span is occurrences of a trigger, from the first to the last of them.
type Span struct {
	From  Time `json:"from"`
	To    Time `json:"to"`
	Count int  `json:"count"`
}

// TriggerFired says that an occurrence became a run, which waits from Due, or
// at once if that is absent, and holds all that the run needs. Manual: somebody
// asked for it, and it is no occurrence.
type TriggerFired struct {
	Run          string         `json:"run"`
	Attempt      int            `json:"attempt"` // 0: none has begun
	ScheduledFor Time           `json:"scheduled_for"`
	Due          Time           `json:"due,omitzero"` // ScheduledFor and jitter
	Manual       bool           `json:"manual,omitzero"`
	Name         string         `json:"name"` // the trigger's
	Function     Ref            `json:"function,omitzero"`
	Automation   Ref            `json:"automation,omitzero"`
	Data         jsontext.Value `json:"data,omitzero"`
	RunningUser  string         `json:"running_user"`
	Retry        *Retry         `json:"retry,omitzero"`
	// Missed is the occurrences that this run catches up with, its own among
	// them; absent when it is in time.
	Missed  *Span `json:"missed,omitzero"`
	NextRun Time  `json:"next_run,omitzero"`
}

// TriggerSkipped says that occurrences have no run, and why.
type TriggerSkipped struct {
	Span
	Reason  Skip `json:"reason"`
	NextRun Time `json:"next_run,omitzero"`
}

// Skip is why occurrences were skipped.
type Skip string

// The reasons.
const (
	SkipOverlap Skip = "overlap" // an earlier run had not ended
	SkipMissed  Skip = "missed"  // a later one catches up for them, or catch_up is none
	SkipExpired Skip = "expired" // missed for longer than catch_up_window
	SkipBacklog Skip = "backlog" // too many runs of the trigger wait
	SkipPaused  Skip = "paused"  // the pause came before they were decided
	SkipDeleted Skip = "deleted" // the deletion came before they were decided
)

func (*TriggerCreated) eventType() Type { return TypeTriggerCreated }
func (*TriggerUpdated) eventType() Type { return TypeTriggerUpdated }
func (*TriggerPaused) eventType() Type  { return TypeTriggerPaused }
func (*TriggerResumed) eventType() Type { return TypeTriggerResumed }
func (*TriggerDeleted) eventType() Type { return TypeTriggerDeleted }
func (*TriggerFired) eventType() Type   { return TypeTriggerFired }
func (*TriggerSkipped) eventType() Type { return TypeTriggerSkipped }
