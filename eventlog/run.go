package eventlog

import "github.com/go-json-experiment/json/jsontext"

// RunCreated makes the run of a call. (A trigger's run is made by
// TriggerFired, an item's by its first claim.)
type RunCreated struct {
	Run          string         `json:"run"`
	Attempt      int            `json:"attempt"` // 0: none has begun
	ScheduledFor Time           `json:"scheduled_for"`
	Name         string         `json:"name"` // what it runs is called
	Function     Ref            `json:"function,omitzero"`
	Automation   Ref            `json:"automation,omitzero"`
	Data         jsontext.Value `json:"data,omitzero"`
	RunningUser  string         `json:"running_user"`
}

// The attempts of a trigger's or a call's run go like those of an item's: the
// data are the same.
type (
	// RunClaimed is ItemClaimed of a run.
	RunClaimed ItemClaimed
	// RunInterrupted is ItemInterrupted of a run.
	RunInterrupted ItemInterrupted
	// RunRetryScheduled is ItemRetryScheduled of a run.
	RunRetryScheduled ItemRetryScheduled
	// RunCompleted is ItemCompleted of a run.
	RunCompleted ItemCompleted
	// RunFailed is ItemFailed of a run.
	RunFailed ItemFailed
	// RunCanceled is ItemCanceled of a run.
	RunCanceled ItemCanceled
)

// ForRun is the payload of a run that says what this one says of an item.
func ForRun(p Payload) Payload {
	switch d := p.(type) {
	case *ItemClaimed:
		return (*RunClaimed)(d)
	case *ItemInterrupted:
		return (*RunInterrupted)(d)
	case *ItemRetryScheduled:
		return (*RunRetryScheduled)(d)
	case *ItemCompleted:
		return (*RunCompleted)(d)
	case *ItemFailed:
		return (*RunFailed)(d)
	case *ItemCanceled:
		return (*RunCanceled)(d)
	}
	return p
}

// ForItem is the inverse of ForRun.
func ForItem(p Payload) Payload {
	switch d := p.(type) {
	case *RunClaimed:
		return (*ItemClaimed)(d)
	case *RunInterrupted:
		return (*ItemInterrupted)(d)
	case *RunRetryScheduled:
		return (*ItemRetryScheduled)(d)
	case *RunCompleted:
		return (*ItemCompleted)(d)
	case *RunFailed:
		return (*ItemFailed)(d)
	case *RunCanceled:
		return (*ItemCanceled)(d)
	}
	return p
}

func (*RunCreated) eventType() Type        { return TypeRunCreated }
func (*RunClaimed) eventType() Type        { return TypeRunClaimed }
func (*RunInterrupted) eventType() Type    { return TypeRunInterrupted }
func (*RunRetryScheduled) eventType() Type { return TypeRunRetryScheduled }
func (*RunCompleted) eventType() Type      { return TypeRunCompleted }
func (*RunFailed) eventType() Type         { return TypeRunFailed }
func (*RunCanceled) eventType() Type       { return TypeRunCanceled }
