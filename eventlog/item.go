package eventlog

import "github.com/go-json-experiment/json/jsontext"

// ItemCreated holds the whole item. RunningUser is empty when it is the creator.
// One of Function and Automation is set, here and wherever both stand.
type ItemCreated struct {
	Name        string         `json:"name"`
	RunDateTime Time           `json:"run_date_time"`
	Function    Ref            `json:"function,omitzero"`
	Data        jsontext.Value `json:"data,omitzero"`
	RunningUser string         `json:"running_user,omitzero"`
	Priority    int            `json:"priority,omitzero"`
	Retry       *Retry         `json:"retry,omitzero"` // absent: the function's
	Automation  Ref            `json:"automation,omitzero"`
	ScheduledBy string         `json:"scheduled_by,omitzero"` // the run whose code wanted it
}

// ItemUpdated holds the fields that changed.
type ItemUpdated struct {
	Name        *string        `json:"name,omitzero"`
	RunDateTime Time           `json:"run_date_time,omitzero"`
	Function    *Ref           `json:"function,omitzero"`
	Data        jsontext.Value `json:"data,omitzero"`
	RunningUser *string        `json:"running_user,omitzero"`
	Priority    *int           `json:"priority,omitzero"`
	Retry       *Retry         `json:"retry,omitzero"`
	Automation  *Ref           `json:"automation,omitzero"`
}

// RunHead is what every event that concerns a run says of it.
type RunHead struct {
	Run          string `json:"run,omitzero"`
	Attempt      int    `json:"attempt,omitzero"`
	ScheduledFor Time   `json:"scheduled_for,omitzero"`
	Executor     string `json:"executor,omitzero"`
}

// ItemClaimed opens an attempt and names who may run it.
type ItemClaimed struct {
	RunHead
	Incarnation string `json:"incarnation"` // of the executor
	Pool        string `json:"pool"`
}

// ItemCanceled ends an item: before its run, or by stopping it (then the run's
// fields are set).
type ItemCanceled struct {
	RunHead
	Ended
	Reason string `json:"reason,omitzero"`
}

// Ended is what the executor reported of an attempt's end.
type Ended struct {
	FunctionVersion int       `json:"function_version,omitzero"`
	Started         Time      `json:"started_date,omitzero"`
	Finished        Time      `json:"finished_date,omitzero"`
	LatenessMS      float64   `json:"lateness_ms,omitzero"` // of the first attempt
	Logs            []LogLine `json:"logs,omitzero"`
	LogsTruncated   bool      `json:"logs_truncated,omitzero"`
	Sandbox         Sandbox   `json:"sandbox,omitzero"` // in which it ran
	Stopped         Stop      `json:"stopped,omitzero"` // of an attempt that was told to end
}

// Stop is how an attempt ended that was canceled, or ran out of time.
type Stop string

// The ways to end.
const (
	StopAsked  Stop = "asked"  // its code ended when it was told to
	StopKilled Stop = "killed" // it did not, and its processes were killed
)

// LogLine is a line that the code printed or logged.
type LogLine struct {
	Time   Time   `json:"time"`
	Stream string `json:"stream"`
	Text   string `json:"text"`
}

// Error is why an attempt failed.
type Error struct {
	Type      string `json:"type"`
	Message   string `json:"message"`
	Traceback string `json:"traceback,omitzero"`
}

// ItemInterrupted closes an attempt without a result: its executor was lost,
// or handed it back. The next attempt may follow at once.
type ItemInterrupted struct {
	RunHead
	Reason Interruption `json:"reason"`
}

// Interruption is why an attempt was interrupted.
type Interruption string

// The reasons. A hand-back never started and is not counted as a loss.
const (
	InterruptionLost       Interruption = "executor_lost"
	InterruptionHandedBack Interruption = "handed_back"
)

// ItemRetryScheduled closes a failed attempt that has a successor at RetryAt.
type ItemRetryScheduled struct {
	RunHead
	Ended
	RetryAt Time  `json:"retry_at"`
	Error   Error `json:"error"`
}

// ItemCompleted ends an item with a result.
type ItemCompleted struct {
	RunHead
	Ended
	Result jsontext.Value `json:"result"`
}

// ItemFailed ends an item without one.
type ItemFailed struct {
	RunHead
	Ended
	Error Error `json:"error"`
}

func (*ItemCreated) eventType() Type        { return TypeItemCreated }
func (*ItemUpdated) eventType() Type        { return TypeItemUpdated }
func (*ItemCanceled) eventType() Type       { return TypeItemCanceled }
func (*ItemClaimed) eventType() Type        { return TypeItemClaimed }
func (*ItemInterrupted) eventType() Type    { return TypeItemInterrupted }
func (*ItemRetryScheduled) eventType() Type { return TypeItemRetryScheduled }
func (*ItemCompleted) eventType() Type      { return TypeItemCompleted }
func (*ItemFailed) eventType() Type         { return TypeItemFailed }
