package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// ReportType is the CloudEvents type of a report.
const ReportType = "belfry.run.reported"

// Report is what an executor says of an attempt, as a CloudEvent 1.0 in
// structured JSON. It is repeated until Stored acknowledges it.
type Report struct {
	SpecVersion string    `json:"specversion"` // "1.0"
	ID          string    `json:"id"`          // <incarnation>/<run>/<attempt>
	Source      string    `json:"source"`      // /belfry/exec/<executor>
	Type        string    `json:"type"`        // ReportType
	Subject     string    `json:"subject"`     // the run's id
	Time        time.Time `json:"time"`
	Data        Outcome   `json:"data"`
}

// OutcomeKind says how an attempt ended.
type OutcomeKind string

// How an attempt can end on an executor.
const (
	Completed OutcomeKind = "completed" // Result is set
	Failed    OutcomeKind = "failed"    // the code raised, or broke a limit; Error is set
	TimedOut  OutcomeKind = "timed_out" // Error is set
	Canceled  OutcomeKind = "canceled"  // stopped by Cancel
	// HandedBack: it waited for a slot too long and was never started.
	HandedBack OutcomeKind = "handed_back"
	// CodeMissing: the executor lacks this version of the code; the attempt
	// was not started and stays open: send it again with the code.
	CodeMissing OutcomeKind = "code_missing"
	// Lost: the executor ends and gives up the attempt, started or not.
	Lost OutcomeKind = "lost"
)

// Outcome is the body of a Report.
type Outcome struct {
	Stream          string         `json:"stream"`
	Incarnation     string         `json:"incarnation"`
	Partition       int            `json:"partition"`
	Run             string         `json:"run"`
	Attempt         int            `json:"attempt"`
	Kind            OutcomeKind    `json:"kind"`
	FunctionVersion int            `json:"function_version"`
	Started         time.Time      `json:"started,omitzero"` // the function's first line; zero if never
	Finished        time.Time      `json:"finished"`
	Result          jsontext.Value `json:"result,omitzero"`
	Error           *Error         `json:"error,omitzero"`
	Logs            []LogLine      `json:"logs,omitzero"`
	// LogsTruncated: there was more output than Logs holds.
	LogsTruncated bool `json:"logs_truncated,omitzero"`
	// LogBytes is the size of all output, kept or not.
	LogBytes int64 `json:"log_bytes,omitzero"`
	// Sandbox is the level in which the attempt ran; "" if it never began.
	Sandbox string `json:"sandbox,omitzero"`
	// Stopped says of an attempt that was told to end whether its code did so
	// ("asked") or its processes were killed ("killed").
	Stopped string `json:"stopped,omitzero"`
}

// Error is why an attempt failed.
type Error struct {
	Type      string `json:"type"` // the exception's class, or one of Belfry's: Timeout, WorkerCrashed, ResultNotJSON, ResultTooLarge …
	Message   string `json:"message"`
	Traceback string `json:"traceback,omitzero"`
}

// LogLine is one line that code printed or logged.
type LogLine struct {
	Time   time.Time `json:"time"`
	Stream string    `json:"stream"` // stdout, stderr or log
	Text   string    `json:"text"`
	// N is the number of the line in the attempt's output, from 1. In the log
	// stream the first line of a message has it, the others follow; what was
	// lost shows as a gap. An empty message there is the end of the output.
	N int `json:"n,omitzero"`
}
