package command

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

// LossesMax is how often an attempt whose executor was lost is taken up again
// (contract 2). The next loss fails the run.
const LossesMax = 3

// Types of errors that Belfry itself gives to a run.
const (
	ErrorFunctionDeleted   = "FunctionDeleted"
	ErrorAutomationDeleted = "AutomationDeleted"
	ErrorNoAutomations     = "AutomationsNotSupported"
	ErrorUserDeleted       = "UserDeleted"
	ErrorExecutorLost      = "ExecutorLost"
	ErrorResultTooLarge    = "ResultTooLarge"
)

// ClaimItem opens the next attempt of a queued item on an executor. It yields
// nothing if the item does not wait any more, or is not yet due.
type ClaimItem struct {
	By
	ID          string
	Executor    string
	Incarnation string
	Pool        string
}

// FinishItem closes the open attempt with what its executor reported. It
// yields nothing unless the report is of that attempt, executor and
// incarnation: a stale or foreign report changes nothing.
type FinishItem struct {
	By
	ID          string
	Attempt     int
	Executor    string
	Incarnation string
	Ending      Ending
	Reported
	// CancelReason is the words of who stopped it.
	CancelReason string
}

// Ending is how an attempt ended.
type Ending uint8

// The endings.
const (
	EndedCompleted  Ending = iota
	EndedFailed            // it raised, or ran out of time: retry governs
	EndedCanceled          // somebody stopped it
	EndedHandedBack        // it never started, and does not count
	EndedLost              // its executor is gone: on_executor_loss governs
)

// Reported is what an executor says of an attempt that ended.
type Reported struct {
	FunctionVersion   int
	Started, Finished time.Time // zero Started: it never began
	Result            jsontext.Value
	Error             eventlog.Error
	Logs              []eventlog.LogLine
	LogsTruncated     bool
	Sandbox           eventlog.Sandbox
	Stopped           eventlog.Stop
}

// Partition implements Command.
func (c ClaimItem) Partition() int { return itemPartition(c.ID) }

// Partition implements Command.
func (c FinishItem) Partition() int { return itemPartition(c.ID) }

// Target implements Command.
func (c ClaimItem) Target() string { return c.ID }

// Target implements Command.
func (c FinishItem) Target() string { return c.ID }

func (c ClaimItem) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	i := own.Item(c.ID)
	if i == nil || i.Status != projection.Queued || i.Live.Due > c.Now {
		return nil, nil
	}
	attempt := 1
	if i.Live.Run != nil {
		attempt = i.Live.Run.Attempt + 1
	}
	head := headOf(i)
	head.Attempt, head.Executor = attempt, c.Executor
	claim := c.itemEvent(i, &eventlog.ItemClaimed{RunHead: head, Incarnation: c.Incarnation, Pool: c.Pool})
	missing := dangling(i.Target, i.Live.Runner(), hints)
	if missing == nil {
		return []eventlog.Event{claim}, nil
	}
	// There is nothing to run. The attempt opens and fails in one commit, so
	// that the item's life stays a legal one.
	failed := c.itemEvent(i, &eventlog.ItemFailed{
		RunHead: head, Ended: eventlog.Ended{Finished: c.Now}, Error: *missing,
	})
	failed.Revision++
	return []eventlog.Event{claim, failed}, nil
}

// itemEvent is the next event of an item, or of a run, said in the words of an
// item's.
func (by By) itemEvent(i *projection.Item, p eventlog.Payload) eventlog.Event {
	if i.Kind != projection.KindItem {
		p = eventlog.ForRun(p)
	}
	return by.event(i.ID, uint64(i.Revision)+1, p)
}

// dangling is what a run refers to and is no more, or cannot be run; nil if all
// is there.
func dangling(target, runner string, hints projection.Hints) *eventlog.Error {
	if strings.HasPrefix(target, eventlog.PrefixAutomation) {
		if hints.AutomationByRef(target, true) == nil {
			return &eventlog.Error{Type: ErrorAutomationDeleted, Message: "the automation " + target + " was deleted"}
		}
		return &eventlog.Error{Type: ErrorNoAutomations, Message: "this version keeps automations and does not run them: let a function run instead"}
	}
	if hints.FunctionByRef(target, true) == nil {
		return &eventlog.Error{Type: ErrorFunctionDeleted, Message: "the function " + target + " was deleted"}
	}
	if hints.UserByRef(runner, true) == nil {
		return &eventlog.Error{Type: ErrorUserDeleted, Message: "the user " + runner + " was deleted"}
	}
	return nil
}

// headOf is what every event of the item's open attempt says.
func headOf(i *projection.Item) eventlog.RunHead {
	head := eventlog.RunHead{Run: i.RunID(), ScheduledFor: i.RunDateTime}
	if r := i.Live.Run; r != nil {
		head.Attempt, head.Executor = r.Attempt, r.Executor
	}
	return head
}

func (c FinishItem) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	i := own.Item(c.ID)
	if i == nil || !openOn(i, c.Attempt, c.Executor, c.Incarnation) {
		return nil, nil
	}
	last := i.Trigger != "" && own.Trigger(i.Trigger) == nil
	return []eventlog.Event{c.itemEvent(i, c.ending(i, hints, last))}, nil
}

// openOn says that an attempt is open, on this incarnation of this executor.
func openOn(i *projection.Item, attempt int, executor, incarnation string) bool {
	if i.Live == nil || i.Live.Run == nil {
		return false
	}
	r := i.Live.Run
	return r.Open && r.Attempt == attempt && r.Executor == executor && r.Incarnation == incarnation
}

// ending is how the attempt ends. Last says that no other may follow, since the
// trigger was deleted.
func (c FinishItem) ending(i *projection.Item, hints projection.Hints, last bool) eventlog.Payload {
	head, ended := headOf(i), c.ended(i)
	switch c.Ending {
	case EndedCompleted:
		if len(c.Result) > api.DataBytesMax {
			return c.failure(i, hints, last, eventlog.Error{Type: ErrorResultTooLarge, Message: "the result is too large: store it elsewhere and return a reference"})
		}
		if depth(c.Result) > ResultDepthMax {
			return c.failure(i, hints, last, eventlog.Error{Type: ErrorResultTooLarge, Message: fmt.Sprintf("the result is nested more than %d deep: flatten it", ResultDepthMax)})
		}
		return &eventlog.ItemCompleted{RunHead: head, Ended: ended, Result: c.Result}
	case EndedFailed:
		return c.failure(i, hints, last, c.Error)
	case EndedCanceled:
		return &eventlog.ItemCanceled{RunHead: head, Ended: ended, Reason: c.CancelReason}
	case EndedHandedBack:
		if last {
			return &eventlog.ItemCanceled{RunHead: head, Ended: ended, Reason: "the trigger was deleted"}
		}
		return &eventlog.ItemInterrupted{RunHead: head, Reason: eventlog.InterruptionHandedBack}
	case EndedLost:
	}
	f := hints.FunctionByRef(i.Target, true)
	if last || i.Live.Run.Losses >= LossesMax || f != nil && f.OnExecutorLoss == eventlog.LossFail {
		return &eventlog.ItemFailed{RunHead: head, Ended: ended, Error: eventlog.Error{
			Type: ErrorExecutorLost, Message: "executor " + head.Executor + " was lost while it had the run",
		}}
	}
	return &eventlog.ItemInterrupted{RunHead: head, Reason: eventlog.InterruptionLost}
}

// failure is the end of an attempt whose code failed: with another to come, or
// for good.
func (c FinishItem) failure(i *projection.Item, hints projection.Hints, last bool, failed eventlog.Error) eventlog.Payload {
	head, ended := headOf(i), c.ended(i)
	failed = bounded(failed)
	retry := eventlog.DefaultRetry()
	if f := hints.FunctionByRef(i.Target, true); f != nil {
		retry = f.Retry
	}
	retry = i.Live.RetryOr(retry)
	if failures := i.Live.Run.Failures + 1; !last && failures < retry.MaxAttempts {
		at := c.Now + eventlog.Time(time.Duration(retry.Delay(failures)).Milliseconds())
		return &eventlog.ItemRetryScheduled{RunHead: head, Ended: ended, Error: failed, RetryAt: at}
	}
	return &eventlog.ItemFailed{RunHead: head, Ended: ended, Error: failed}
}

func (c FinishItem) ended(i *projection.Item) eventlog.Ended {
	ended := eventlog.Ended{
		FunctionVersion: c.FunctionVersion,
		Started:         eventlog.TimeOf(c.Started), Finished: eventlog.TimeOf(c.Finished),
		Logs: c.Logs, LogsTruncated: c.LogsTruncated,
	}
	if ended.Finished == 0 {
		ended.Finished = c.Now
	}
	switch {
	case i.Live.Run.Lateness != nil:
		ended.LatenessMS = *i.Live.Run.Lateness
	case !c.Started.IsZero():
		late := c.Started.Sub(i.RunDateTime.Std())
		ended.LatenessMS = float64(late.Microseconds()) / 1000
	}
	ended.Logs, ended.LogsTruncated = boundedLogs(ended.Logs, ended.LogsTruncated)
	if c.Sandbox.Level() {
		ended.Sandbox = c.Sandbox
	}
	if c.Ending != EndedCompleted && (c.Stopped == eventlog.StopAsked || c.Stopped == eventlog.StopKilled) {
		ended.Stopped = c.Stopped
	}
	return ended
}

// Bounds of what a report may put into an event. Executors keep tighter ones;
// these hold whatever an executor sends.
const (
	errorTypeMax = 200
	messageMax   = 8 << 10
	tracebackMax = 32 << 10
	logBytesMax  = 16 << 10
	logLineBytes = 16 // that a line counts besides its text: so they are a thousand at most
)

func bounded(e eventlog.Error) eventlog.Error {
	return eventlog.Error{Type: cut(e.Type, errorTypeMax), Message: cut(e.Message, messageMax), Traceback: cut(e.Traceback, tracebackMax)}
}

// cut shortens s to most bytes, at the end of a character, and says so. What is
// not UTF-8 becomes what the log would make of it.
func cut(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

func boundedLogs(lines []eventlog.LogLine, truncated bool) ([]eventlog.LogLine, bool) {
	size := 0
	lines = slices.Clone(lines) // the command stays as it was
	for n, line := range lines {
		if size += len(line.Text) + len(line.Stream) + logLineBytes; size > logBytesMax {
			return lines[:n], true
		}
		lines[n].Text, lines[n].Stream = strings.ToValidUTF8(line.Text, "\uFFFD"), strings.ToValidUTF8(line.Stream, "\uFFFD")
	}
	return lines, truncated
}
