package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Version of this wire. An executor and an owner that name different ones do
// not work together; the owner grants nothing and says so.
const Version = 1

// Limits of what travels, each with its reason.
const (
	// CodeBytesMax bounds a function's source: with the rest of its event it
	// must fit a commit of 500 KB.
	CodeBytesMax = 256 << 10
	// DataBytesMax bounds the data of a run (contract 5).
	DataBytesMax = 256 << 10
	// ResultBytesMax bounds the JSON of a result, for the same commit's sake.
	ResultBytesMax = 256 << 10
	// TracebackBytesMax bounds an error's traceback; the middle is cut.
	TracebackBytesMax = 16 << 10
	// MessageBytesMax bounds an error's message.
	MessageBytesMax = 4 << 10
	// InlineLogBytesMax is how much output travels with the report; more goes
	// to the log stream.
	InlineLogBytesMax = 4 << 10
	// OutputBytesMax bounds what is kept of one attempt's output; the rest is
	// dropped and the run goes on.
	OutputBytesMax = 1 << 20
	// OutputChunksMax is more than the messages in which one attempt's output
	// comes to the log stream, so that a reader has an end.
	OutputChunksMax = 4096
	// WindowMax bounds a window, so that an owner's claims at one executor
	// (which a loss would interrupt) stay few.
	WindowMax = 1024
)

// Timing of the wire.
const (
	// AnnounceEvery is the interval of signs of life.
	AnnounceEvery = time.Second
	// LostAfter is the silence after which an owner that was listening takes
	// an executor for gone: five signs of life missed.
	LostAfter = 5 * AnnounceEvery
	// ReportEvery is how often an executor repeats a report that is not yet
	// acknowledged by Stored.
	ReportEvery = 500 * time.Millisecond
	// HandBackAfter is how long a claimed attempt may wait for a slot before
	// the executor hands it back.
	HandBackAfter = time.Second
)

// Announce is an executor's sign of life and its answer to Ask.
type Announce struct {
	Version     int    `json:"version"`
	Name        string `json:"name"`
	Incarnation string `json:"incarnation"` // a new one for each start of the executor
	Pool        string `json:"pool"`
	Slots       int    `json:"slots"`
	Busy        int    `json:"busy"`
	Python      string `json:"python"` // version, for people
	// Windows: owner's name → attempts it may have open here.
	Windows map[string]int `json:"windows"`
	Held    []Held         `json:"held"`
	// Leaving says that this incarnation takes no more runs and ends.
	Leaving bool `json:"leaving,omitzero"`
	// Connection counts how often this incarnation has come back: what was sent
	// to it before, and is not held, it never received.
	Connection int `json:"connection,omitzero"`
}

// HeldState tells where a held attempt stands.
type HeldState string

// What an executor can hold.
const (
	HeldQueued  HeldState = "queued"
	HeldRunning HeldState = "running"
	HeldEnded   HeldState = "ended" // its report is not yet acknowledged
)

// Held is one attempt that an executor has and has not forgotten.
type Held struct {
	Run       string    `json:"run"`
	Attempt   int       `json:"attempt"`
	Partition int       `json:"partition"`
	State     HeldState `json:"state"`
}

// Ask asks an executor what it holds. It is a request: the answer is an
// Announce, given after the epochs were raised.
type Ask struct {
	Owner  string `json:"owner"`
	Stream string `json:"stream"` // the event stream's incarnation
	// Incarnation is whom it is for: another one of the name stays silent. It is
	// absent from nodes that do not know it yet, and then for all.
	Incarnation string         `json:"incarnation,omitzero"`
	Epochs      map[int]uint64 `json:"epochs"` // partition → epoch, of all that this owner decides for
}

// Taken tells an incarnation that it gets no runs, because another one of its
// name is alive. It is sent for each of its signs of life.
type Taken struct {
	Owner       string `json:"owner"`
	Incarnation string `json:"incarnation"` // that is told
	// SilentMS is how long the other may be silent before its name is free.
	SilentMS int64 `json:"silent_ms"`
}

// Demand tells an executor what waits at an owner for its pool.
type Demand struct {
	Owner    string    `json:"owner"`
	Stream   string    `json:"stream"`
	Epoch    uint64    `json:"epoch"` // the highest of the owner's partitions
	Waiting  int       `json:"waiting"`
	Priority int       `json:"priority"` // the highest among those that wait
	Oldest   time.Time `json:"oldest"`   // the earliest due time among them
}

// Run is one attempt to execute. The executor holds it from its receipt until
// its report is acknowledged.
type Run struct {
	Stream      string `json:"stream"`
	Incarnation string `json:"incarnation"` // the executor's, named by the claim
	Partition   int    `json:"partition"`
	Epoch       uint64 `json:"epoch"`
	ClaimSeq    uint64 `json:"claim_seq"`
	// OldestOpen is the sequence of the oldest claim of this partition still
	// open on this executor: a Run below the highest such mark that is not
	// held is an echo from the past, and is refused.
	OldestOpen uint64 `json:"oldest_open"`

	Run          string         `json:"run"`
	Attempt      int            `json:"attempt"`
	Source       Source         `json:"source"`
	ScheduledFor time.Time      `json:"scheduled_for"`
	Function     string         `json:"function"` // id
	FunctionName string         `json:"function_name"`
	Version      int            `json:"function_version"`
	User         jsontext.Value `json:"user"` // the whole record, an object
	UserID       string         `json:"user_id"`
	Data         jsontext.Value `json:"data"` // an object
	TimeoutMS    int64          `json:"timeout_ms"`
	MemoryLimit  int64          `json:"memory_limit"` // bytes
	Fresh        bool           `json:"fresh,omitzero"`
	Sandbox      string         `json:"sandbox,omitzero"` // the least level
	CPULimitMS   int64          `json:"cpu_limit_ms,omitzero"`
	ProcessLimit int            `json:"process_limit,omitzero"`
	FileLimit    int            `json:"file_limit,omitzero"`
	OutputLimit  int64          `json:"output_limit,omitzero"` // bytes
	Env          []string       `json:"env,omitzero"`          // names
	// Code is absent when this incarnation was sent this version before. An
	// executor that does not have it reports ReportCodeMissing and is sent
	// the same attempt again, with the code.
	Code *string `json:"code,omitzero"`
}

// Source says what a run came from.
type Source struct {
	Kind string `json:"kind"` // "item", "trigger" or "call"
	ID   string `json:"id"`
}

// Cancel stops an attempt, queued or running. Its report follows like any other.
type Cancel struct {
	Stream      string `json:"stream"`
	Incarnation string `json:"incarnation"`
	Partition   int    `json:"partition"`
	Epoch       uint64 `json:"epoch"`
	Run         string `json:"run"`
	Attempt     int    `json:"attempt"`
}

// Stored acknowledges reports: they are in the log, or void for good. The
// executor forgets the attempts.
type Stored struct {
	Stream      string    `json:"stream"`
	Incarnation string    `json:"incarnation"`
	Partition   int       `json:"partition"`
	Epoch       uint64    `json:"epoch"`
	Attempts    []Attempt `json:"attempts"`
}

// Attempt names one attempt of a run.
type Attempt struct {
	Run     string `json:"run"`
	Attempt int    `json:"attempt"`
}

// Check asks whether code compiles and has execute(current_user, **kwargs).
// Nothing of it is executed.
type Check struct {
	Name string `json:"name"` // for messages
	Code string `json:"code"`
}

// Checked answers a Check. Error is nil when the code is sound.
type Checked struct {
	Error *CodeError `json:"error"`
	// Unavailable says that the check itself could not be made.
	Unavailable string `json:"unavailable,omitzero"`
}

// CodeError says where code is wrong. Line and Column count from 1; 0 is unknown.
type CodeError struct {
	Message string `json:"message"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
}
