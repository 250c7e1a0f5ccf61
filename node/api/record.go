package api

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
)

// Meta is what every record has. Revision is 1 at creation and one more with
// each event that changed the record; Seq is the sequence of the commit that
// holds its last event.
type Meta struct {
	ID           string        `json:"id"`
	Name         string        `json:"name"`
	CreatedDate  eventlog.Time `json:"created_date"`
	ModifiedDate eventlog.Time `json:"modified_date"`
	CreatedBy    string        `json:"created_by"`
	ModifiedBy   string        `json:"modified_by"`
	Revision     uint64        `json:"revision"`
	Seq          uint64        `json:"seq"`
}

// Function is a named container of Python code.
type Function struct {
	Meta
	Description    string             `json:"description"`
	Code           string             `json:"code"`
	Version        int                `json:"version"`
	Timeout        eventlog.Duration  `json:"timeout"`
	MemoryLimit    eventlog.Size      `json:"memory_limit"`
	Retry          eventlog.Retry     `json:"retry"`
	OnExecutorLoss eventlog.Loss      `json:"on_executor_loss"`
	Pool           string             `json:"pool"`
	Isolation      eventlog.Isolation `json:"isolation"`
	Sandbox        eventlog.Sandbox   `json:"sandbox"`       // the least level; "": the executor's own
	CPULimit       eventlog.Duration  `json:"cpu_limit"`     // 0s: none
	ProcessLimit   int                `json:"process_limit"` // processes and threads of a run
	FileLimit      int                `json:"file_limit"`    // open files of each process
	OutputLimit    eventlog.Size      `json:"output_limit"`
	Env            []string           `json:"env"` // names of the executor's variables that the code gets
}

// FunctionVersion is a version of a function's code.
type FunctionVersion struct {
	Version      int           `json:"version"`
	Code         string        `json:"code"`
	ModifiedDate eventlog.Time `json:"modified_date"`
	ModifiedBy   string        `json:"modified_by"`
}

// FunctionVersions is the answer of function.versions, oldest first.
type FunctionVersions struct {
	Versions []FunctionVersion `json:"versions"`
}

// User is who runs run as. Fields not named here are in Further.
type User struct {
	Meta
	Email            string   `json:"email"`
	FirstName        string   `json:"first_name"`
	LastName         string   `json:"last_name"`
	OrganizationID   string   `json:"organization_id"`
	OrganizationName string   `json:"organization_name"`
	Permissions      []string `json:"permissions"`
	IsSuperuser      bool     `json:"is_superuser"`
	// Further fields reach the code as attributes of current_user too.
	Further map[string]jsontext.Value `json:",embed"`
}

// Status of items and runs.
type Status string

// The statuses. The last three are final.
const (
	Queued     Status = "Queued"
	Processing Status = "Processing"
	Completed  Status = "Completed"
	Failed     Status = "Failed"
	Canceled   Status = "Canceled"
)

// Final says that a status never changes again.
func (s Status) Final() bool { return s == Completed || s == Failed || s == Canceled }

// Item is one run at one future time.
type Item struct {
	Meta
	Status      Status          `json:"status"`
	RunDateTime eventlog.Time   `json:"run_date_time"`
	Function    *eventlog.Ref   `json:"function,omitzero"` // or Automation
	Automation  *eventlog.Ref   `json:"automation,omitzero"`
	Data        jsontext.Value  `json:"data"`
	RunningUser eventlog.Ref    `json:"running_user"`
	Priority    int             `json:"priority"`
	Retry       *eventlog.Retry `json:"retry"` // null: the function's

	ScheduledBy string `json:"scheduled_by,omitzero"` // the run whose code wanted it

	Run      string          `json:"run,omitzero"`
	Started  eventlog.Time   `json:"started_date,omitzero"`
	Finished eventlog.Time   `json:"finished_date,omitzero"`
	Result   jsontext.Value  `json:"result,omitzero"`
	Error    *eventlog.Error `json:"error,omitzero"`
}

// Source says what a run came from.
type Source struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// Run is one execution, with its attempts.
type Run struct {
	Meta
	Source          Source             `json:"source"`
	ScheduledFor    eventlog.Time      `json:"scheduled_for"`
	Status          Status             `json:"status"`
	Attempt         int                `json:"attempt"`
	Manual          bool               `json:"manual,omitzero"`   // somebody asked a trigger for it
	Function        *eventlog.Ref      `json:"function,omitzero"` // or Automation
	Automation      *eventlog.Ref      `json:"automation,omitzero"`
	FunctionVersion int                `json:"function_version,omitzero"` // known when an attempt has ended
	RunningUser     eventlog.Ref       `json:"running_user"`
	Executor        string             `json:"executor,omitzero"`
	Started         eventlog.Time      `json:"started_date,omitzero"`
	Finished        eventlog.Time      `json:"finished_date,omitzero"`
	LatenessMS      *float64           `json:"lateness_ms,omitzero"`
	RetryAt         eventlog.Time      `json:"retry_at,omitzero"`
	Result          jsontext.Value     `json:"result,omitzero"`
	Error           *eventlog.Error    `json:"error,omitzero"`
	Logs            []eventlog.LogLine `json:"logs"`
	LogsTruncated   bool               `json:"logs_truncated,omitzero"` // run.logs has more
	Sandbox         eventlog.Sandbox   `json:"sandbox,omitzero"`        // level in which the last attempt ran
	Stopped         eventlog.Stop      `json:"stopped,omitzero"`        // of a run that was stopped or ran out of time
}

// RunLogs is the answer of run.logs.
type RunLogs struct {
	Lines []eventlog.LogLine `json:"lines"`
	// Truncated: there was more output than these lines, and those before them.
	Truncated bool `json:"truncated"`
	// Attempt is the one that printed the lines; without any, the last that has
	// begun, 0 if none has.
	Attempt int    `json:"attempt"`
	Status  Status `json:"status"` // of the run
	// Next goes on after the lines, as After of a request.
	Next string `json:"next"`
	// Ended: nothing comes after Next. The run has ended, or the attempt if one
	// was asked for.
	Ended bool `json:"ended"`
}

// Deleted is the answer of every delete.
type Deleted struct {
	ID      string `json:"id"`
	Deleted bool   `json:"deleted"`
}

// Page is the answer of every list. Next is "" on the last page.
type Page[R any] struct {
	Records []R    `json:"records"`
	Next    string `json:"next"`
}
