package exec

import (
	"context"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/exec/wire"
)

// Runtime executes code. exec/python is one; the executor knows no other
// thing about the language. Its methods are called concurrently.
type Runtime interface {
	// Version of the language, for people: "3.13.1".
	Version() string

	// Check says whether code compiles and defines what a run will call,
	// without executing any of it. A nil CodeError means that it is sound;
	// an error means that it could not be checked.
	Check(ctx context.Context, name, code string) (*wire.CodeError, error)

	// Run executes one attempt and returns when nothing of it runs any more.
	// It enforces the job's time-out and memory limit, and ends the attempt
	// at once, with Kind Canceled, when ctx ends. Each line of output is
	// given to line as it comes: one call at a time, none after Run returned.
	Run(ctx context.Context, job *Job, line func(wire.LogLine)) Ended
}

// Job is one attempt, as a Runtime sees it.
type Job struct {
	Run          string
	Attempt      int
	Source       wire.Source
	ScheduledFor time.Time
	Function     string // id
	FunctionName string
	Version      int
	Code         string
	User         jsontext.Value // an object
	UserID       string
	Data         jsontext.Value // an object
	Timeout      time.Duration
	MemoryLimit  int64 // bytes; 0 is none
	// Fresh asks for a process of its own, that serves no other run.
	Fresh bool
	// Sandbox is the least level that the function wants: "none", "process",
	// "restricted" or "isolated"; "" is whatever the runtime offers.
	Sandbox string
	// CPULimit is how much processor time all processes of the run may take; 0
	// is none but what the time-out leaves.
	CPULimit time.Duration
	// ProcessLimit and FileLimit bound the processes and threads of the run, and
	// the open files of each process; 0 is the runtime's default.
	ProcessLimit, FileLimit int
	// OutputLimit is how many bytes of output are kept; 0 is wire.OutputBytesMax.
	OutputLimit int64
	// Env names the variables that the runtime gives to this function, of those
	// that it was given itself.
	Env []string
	// Schedule has an item stored that the code wants, and returns once it is, or
	// was refused. The error is that of ctx. Safe for concurrent use, until Run
	// returns.
	Schedule func(ctx context.Context, item wire.Item) (wire.ScheduleAnswer, error)
}

// Ended is how an attempt ended.
type Ended struct {
	// Kind is Completed, Failed, TimedOut, Canceled, or Lost when the runtime
	// itself could not go on.
	Kind     wire.OutcomeKind
	Started  time.Time // the function's first line, never earlier; zero if never
	Finished time.Time
	Result   jsontext.Value
	Error    *wire.Error
	// Dropped is how many bytes of output were not given to line.
	Dropped int64
	// Sandbox is the level in which the attempt ran; "" if it never began.
	Sandbox string
	// Stopped is how an attempt ended that was told to end: "asked" when its code
	// did so itself, "killed" when it did not; else "".
	Stopped string
}
