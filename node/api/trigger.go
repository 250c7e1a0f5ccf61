package api

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
)

// Limits of triggers and calls, each with its reason.
const (
	// TriggerOpenRunsMax bounds the runs of one trigger that have not ended:
	// a pause ends those that wait in one commit.
	TriggerOpenRunsMax = 500
	// PreviewDefault and PreviewMax bound a preview, in occurrences.
	PreviewDefault = 5
	PreviewMax     = 1000
	// WaitMax bounds how long a request waits for a run's end.
	WaitMax = 10 * time.Minute
)

// Trigger is a Schedule Trigger Setting. One of Function and Automation is set.
type Trigger struct {
	Meta
	CronSchedule  string            `json:"cron_schedule"`
	Function      *eventlog.Ref     `json:"function,omitzero"`
	Automation    *eventlog.Ref     `json:"automation,omitzero"`
	Data          jsontext.Value    `json:"data"`
	Active        bool              `json:"active"`
	RunningUser   eventlog.Ref      `json:"running_user"`
	Overlap       eventlog.Overlap  `json:"overlap"`
	CatchUp       eventlog.CatchUp  `json:"catch_up"`
	CatchUpWindow eventlog.Duration `json:"catch_up_window"`
	Jitter        eventlog.Duration `json:"jitter,omitzero"`
	StartsAt      eventlog.Time     `json:"starts_at,omitzero"`
	EndsAt        eventlog.Time     `json:"ends_at,omitzero"`
	Retry         *eventlog.Retry   `json:"retry"`  // null: the function's
	Anchor        eventlog.Time     `json:"anchor"` // from which @every counts
	NextRun       eventlog.Time     `json:"next_run,omitzero"`
	LastRun       *LastRun          `json:"last_run,omitzero"`
	PauseReason   string            `json:"pause_reason,omitzero"`
	// DecidedUpTo: every occurrence up to here has its outcome, or needs none.
	DecidedUpTo eventlog.Time `json:"decided_up_to,omitzero"`
}

// LastRun is a trigger's newest run.
type LastRun struct {
	ID           string        `json:"id"`
	Status       Status        `json:"status"`
	ScheduledFor eventlog.Time `json:"scheduled_for"`
}

// TriggerInput creates or updates a trigger. An empty StartsAt or EndsAt takes
// it away.
type TriggerInput struct {
	ID            string         `json:"id,omitzero"`
	IfRevision    *uint64        `json:"if_revision,omitzero"`
	Name          *string        `json:"name,omitzero"`
	CronSchedule  *string        `json:"cron_schedule,omitzero"`
	Function      *RefInput      `json:"function,omitzero"`
	Automation    *RefInput      `json:"automation,omitzero"`
	Data          jsontext.Value `json:"data,omitzero"`
	Active        *bool          `json:"active,omitzero"`
	RunningUser   *RefInput      `json:"running_user,omitzero"`
	Overlap       *string        `json:"overlap,omitzero"`
	CatchUp       *string        `json:"catch_up,omitzero"`
	CatchUpWindow *string        `json:"catch_up_window,omitzero"`
	Jitter        *string        `json:"jitter,omitzero"`
	StartsAt      *string        `json:"starts_at,omitzero"`
	EndsAt        *string        `json:"ends_at,omitzero"`
	Retry         *RetryInput    `json:"retry,omitzero"`
}

// TriggerList filters triggers.
type TriggerList struct {
	List
	Active   *bool     `json:"active,omitzero"`
	Function *RefInput `json:"function,omitzero"`
}

// Pause names the trigger to pause or to resume.
type Pause struct {
	ID         string  `json:"id,omitzero"`
	IfRevision *uint64 `json:"if_revision,omitzero"`
	Reason     string  `json:"reason,omitzero"`
}

// TriggerRun asks for a run of a trigger besides its schedule. Wait is a
// duration: the answer comes when the run has ended, or when that is over.
type TriggerRun struct {
	ID   string `json:"id,omitzero"`
	Wait string `json:"wait,omitzero"`
}

// Call asks for a run of a function or an automation, by id or unique name.
type Call struct {
	ID   string         `json:"id,omitzero"`
	Data jsontext.Value `json:"data,omitzero"`
	Wait string         `json:"wait,omitzero"` // as in TriggerRun
}

// Preview asks for the occurrences of a trigger, or of an expression.
type Preview struct {
	ID           string `json:"id,omitzero"`
	CronSchedule string `json:"cron_schedule,omitzero"`
	Count        *int   `json:"count,omitzero"`
	From         string `json:"from,omitzero"` // those after it; default: now
	Strong       bool   `json:"strong,omitzero"`
}

// Previewed is the answer: fewer than asked if there are no more.
type Previewed struct {
	Times []eventlog.Time `json:"times"`
}

// Patience is how long the answer may wait; 0 if Wait is none.
func (r TriggerRun) Patience() time.Duration { return patience(r.Wait) }

// Patience is how long the answer may wait; 0 if Wait is none.
func (c Call) Patience() time.Duration { return patience(c.Wait) }

func patience(wait string) time.Duration {
	d, err := eventlog.ParseDuration(wait)
	if err != nil {
		return 0
	}
	return min(max(time.Duration(d), 0), WaitMax) // Belfry refuses what is out of range
}
