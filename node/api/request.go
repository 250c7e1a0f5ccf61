package api

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Values of requests are pointers where absent and zero differ. Times,
// durations and sizes are text, read by node/command, so that an error can
// name the field. References are RefInput.

// RefInput is a reference as callers write it: an id, a unique name, or
// {"id": "…"}.
type RefInput struct {
	IDOrName string
	IsID     bool // written as an object: it is an id, never a name
}

// RetryInput is a retry with the contract's defaults for what is absent.
type RetryInput struct {
	MaxAttempts *int     `json:"max_attempts,omitzero"`
	Backoff     *string  `json:"backoff,omitzero"`
	Multiplier  *float64 `json:"multiplier,omitzero"`
	MaxBackoff  *string  `json:"max_backoff,omitzero"`
}

// FunctionInput creates (all but ID and IfRevision describe it; Name and Code
// are needed) or updates (ID is needed) a function.
type FunctionInput struct {
	ID             string      `json:"id,omitzero"`
	IfRevision     *uint64     `json:"if_revision,omitzero"`
	Name           *string     `json:"name,omitzero"`
	Description    *string     `json:"description,omitzero"`
	Code           *string     `json:"code,omitzero"`
	Timeout        *string     `json:"timeout,omitzero"`
	MemoryLimit    *string     `json:"memory_limit,omitzero"`
	Retry          *RetryInput `json:"retry,omitzero"`
	OnExecutorLoss *string     `json:"on_executor_loss,omitzero"`
	Pool           *string     `json:"pool,omitzero"`
	Isolation      *string     `json:"isolation,omitzero"`
	Sandbox        *string     `json:"sandbox,omitzero"`
	CPULimit       *string     `json:"cpu_limit,omitzero"`
	ProcessLimit   *int        `json:"process_limit,omitzero"`
	FileLimit      *int        `json:"file_limit,omitzero"`
	OutputLimit    *string     `json:"output_limit,omitzero"`
	Env            *[]string   `json:"env,omitzero"`
}

// UserInput creates or updates a user. Unknown fields are the user's own.
type UserInput struct {
	ID         string  `json:"id,omitzero"`
	IfRevision *uint64 `json:"if_revision,omitzero"`
	Name       *string `json:"name,omitzero"`
	// Fields are all others: email, first_name, … and any further ones.
	Fields map[string]jsontext.Value `json:",embed"`
}

// ItemInput creates or updates an item. RunDateTime is RFC 3339; without an
// offset it is UTC.
type ItemInput struct {
	ID          string         `json:"id,omitzero"`
	IfRevision  *uint64        `json:"if_revision,omitzero"`
	Name        *string        `json:"name,omitzero"`
	RunDateTime *string        `json:"run_date_time,omitzero"`
	Status      *Status        `json:"status,omitzero"`
	Function    *RefInput      `json:"function,omitzero"`
	Automation  *RefInput      `json:"automation,omitzero"`
	Data        jsontext.Value `json:"data,omitzero"`
	RunningUser *RefInput      `json:"running_user,omitzero"`
	Priority    *int           `json:"priority,omitzero"`
	Retry       *RetryInput    `json:"retry,omitzero"`
}

// ItemsInput is create_many's. Each item is read on its own, so that a bad one
// does not take the others with it.
type ItemsInput struct {
	Items []jsontext.Value `json:"items"`
}

// ItemResult is one of create_many's results: a record or an error.
type ItemResult struct {
	*Item
	Error *Error
}

// ItemResults is the answer of create_many, in the order of the request.
type ItemResults struct {
	Results []ItemResult `json:"results"`
}

// Get names one record. Strong makes the read linearizable without conditions.
type Get struct {
	ID     string `json:"id,omitzero"`
	Name   string `json:"name,omitzero"`
	Strong bool   `json:"strong,omitzero"`
}

// FirstOutput as After begins with the first attempt.
const FirstOutput = "1.0.0"

// RunLogsInput asks for what a run printed. Attempt is the last unless given.
// After is the Next of the answer before: what comes after it, of later attempts
// too unless one is given. Wait is a duration: the answer comes when there is
// more than that, or nothing will be; with nothing new when the wait is over.
type RunLogsInput struct {
	ID      string `json:"id,omitzero"`
	Name    string `json:"name,omitzero"` // taken and not read: a run is asked for by its id
	Strong  bool   `json:"strong,omitzero"`
	Attempt *int   `json:"attempt,omitzero"`
	After   string `json:"after,omitzero"`
	Wait    string `json:"wait,omitzero"`
}

// Patience is how long the answer may wait; 0 if Wait is none.
func (r RunLogsInput) Patience() time.Duration { return patience(r.Wait) }

// Delete names the record to delete.
type Delete struct {
	ID         string  `json:"id,omitzero"`
	IfRevision *uint64 `json:"if_revision,omitzero"`
}

// Cancel stops an item before its run, or a run.
type Cancel struct {
	ID     string `json:"id,omitzero"`
	Reason string `json:"reason,omitzero"`
}

// List asks for a page, newest first. Filters that an entity does not have are
// refused.
type List struct {
	Limit  *int   `json:"limit,omitzero"`
	Cursor string `json:"cursor,omitzero"`
	Strong bool   `json:"strong,omitzero"`
}

// ItemList filters items.
type ItemList struct {
	List
	Status    Status    `json:"status,omitzero"`
	Function  *RefInput `json:"function,omitzero"`
	DueAfter  string    `json:"due_after,omitzero"`
	DueBefore string    `json:"due_before,omitzero"`
}

// RunList filters runs.
type RunList struct {
	List
	Status   Status    `json:"status,omitzero"`
	Trigger  string    `json:"trigger,omitzero"`
	Item     string    `json:"item,omitzero"`
	Function *RefInput `json:"function,omitzero"`
	Since    string    `json:"since,omitzero"`
	Until    string    `json:"until,omitzero"`
}

// AuditEvents asks for single events, in the order of the log. After is the
// Next of the page before, or the sequence of a commit: then what stands after
// that commit.
type AuditEvents struct {
	Entity string `json:"entity,omitzero"`
	ID     string `json:"id,omitzero"`
	Since  string `json:"since,omitzero"`
	Until  string `json:"until,omitzero"`
	After  string `json:"after,omitzero"`
	Limit  *int   `json:"limit,omitzero"`
	Strong bool   `json:"strong,omitzero"`
}

// AuditPage is the answer: CloudEvents, each with the attribute seq besides its
// own, the sequence of its commit. Next is "" when the log has no more yet.
type AuditPage struct {
	Events []jsontext.Value `json:"events"`
	Next   string           `json:"next"`
}

// AuditAt asks for a record as it stood at a time, or right after the commit at
// a sequence. The answer is the record.
type AuditAt struct {
	Entity string `json:"entity,omitzero"`
	ID     string `json:"id,omitzero"`
	Time   string `json:"time,omitzero"`
	Seq    uint64 `json:"seq,omitzero"`
	Strong bool   `json:"strong,omitzero"`
}
