package eventlog_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
)

// Moments of the samples.
const (
	noon  eventlog.Time = 1_750_000_000_000
	later eventlog.Time = 1_750_000_360_123
)

// samples are one event of each type, every field set. They never change: the
// golden commit holds them.
func samples() []eventlog.Event {
	text := func(s string) *string { return &s }
	timeout, limit, loss, priority := eventlog.Duration(90e9), eventlog.Size(1<<30), eventlog.LossFail, 7
	retry := eventlog.Retry{MaxAttempts: 3, Backoff: 5e9, Multiplier: 1.5, MaxBackoff: 60e9}
	function := eventlog.Ref{ID: "fun_01jxs7e8000000000000000001", Name: "send_invoice"}
	head := eventlog.RunHead{Run: "run_01jxs7e8000000000000000002", Attempt: 2, ScheduledFor: noon, Executor: "n1"}
	end := eventlog.Ended{
		FunctionVersion: 3, Started: noon + 2, Finished: later, LatenessMS: 2.417,
		Logs:          []eventlog.LogLine{{Time: noon + 3, Stream: "stdout", Text: "héllo \"world\"\n"}},
		LogsTruncated: true,
	}
	failure := eventlog.Error{Type: "ValueError", Message: "no such invoice", Traceback: "Traceback …\n  File \"main.py\", line 3"}
	payloads := []eventlog.Payload{
		&eventlog.FunctionCreated{
			Name: "send_invoice", Description: "sends one", Code: "def execute(current_user, **kwargs):\n    return {}\n", Version: 1,
			Timeout: timeout, MemoryLimit: limit, Retry: retry, OnExecutorLoss: eventlog.LossRetry, Pool: "default",
		},
		&eventlog.FunctionUpdated{
			Name: text("send"), Description: text(""), Code: text("def execute(u): pass"), Version: 2,
			Timeout: &timeout, MemoryLimit: &limit, Retry: &retry, OnExecutorLoss: &loss, Pool: text("big"),
		},
		&eventlog.FunctionDeleted{Name: "send"},
		&eventlog.UserCreated{Name: "Ada", Fields: eventlog.UserFields{"email": jsontext.Value(`"ada@example.org"`), "is_superuser": jsontext.Value(`true`)}},
		&eventlog.UserUpdated{Name: text("Ada L."), Fields: eventlog.UserFields{"email": jsontext.Value(`null`), "tags": jsontext.Value(`["a",{"b":1.50}]`)}},
		&eventlog.UserDeleted{Name: "Ada L."},
		&eventlog.ItemCreated{
			Name: "send the invoice", RunDateTime: later, Function: function, Data: jsontext.Value(`{"invoice":4711}`),
			RunningUser: "ada", Priority: 7, Retry: &retry,
		},
		&eventlog.ItemUpdated{
			Name: text("later"), RunDateTime: later, Function: &function, Data: jsontext.Value(`{}`),
			RunningUser: text(""), Priority: &priority, Retry: &retry,
		},
		&eventlog.ItemCanceled{RunHead: head, Ended: end, Reason: "not needed"},
		&eventlog.ItemClaimed{RunHead: head, Incarnation: "01JXS7E8000000000000000003", Pool: "default"},
		&eventlog.ItemInterrupted{RunHead: head, Reason: eventlog.InterruptionLost},
		&eventlog.ItemRetryScheduled{RunHead: head, Ended: end, RetryAt: later, Error: failure},
		&eventlog.ItemCompleted{RunHead: head, Ended: end, Result: jsontext.Value(`{"sent":true,"n":1e3}`)},
		&eventlog.ItemFailed{RunHead: head, Ended: end, Error: failure},
		&eventlog.NodeOpened{Process: "01JXS7E8000000000000000004", Stream: "01JXS7E8000000000000000005", Version: "v1.0.0"},
		&eventlog.PartitionsMoved{From: "n1", To: "n2", Partitions: []int{0, 17, 63}, Stream: "01JXS7E8000000000000000005"},
	}
	payloads = append(payloads, scheduled(function, head, end, failure, &retry)...)
	payloads = append(payloads, sandboxed(head, end, failure, timeout, limit, retry)...)
	payloads = append(payloads, &eventlog.ItemCreated{Name: "the next step", RunDateTime: later, Function: function, ScheduledBy: "run_01"})
	payloads = append(payloads, &eventlog.NodeMarked{Process: "01JXS7E8000000000000000004"})
	events := make([]eventlog.Event, len(payloads))
	for i, p := range payloads {
		events[i] = sample(i, p)
	}
	return events
}

// scheduled are the samples that came with triggers.
func scheduled(function eventlog.Ref, head eventlog.RunHead, end eventlog.Ended, failure eventlog.Error, retry *eventlog.Retry) []eventlog.Payload {
	text := func(s string) *string { return &s }
	automation := eventlog.Ref{ID: "aut_01jxs7e8000000000000000007", Name: "welcome"}
	steps := []eventlog.Step{{Name: "first", Function: function, Data: jsontext.Value(`{"a":1}`), When: "true", ContinueOnError: true}}
	data, hour, start, end2 := jsontext.Value(`{"report_type":"summary"}`), eventlog.Duration(3600e9), noon, later
	overlap, catchUp := eventlog.OverlapAllow, eventlog.CatchUpNone
	return []eventlog.Payload{
		&eventlog.AutomationCreated{Name: "welcome", Description: "greets", Steps: steps},
		&eventlog.AutomationUpdated{Name: text("hello"), Description: text(""), Steps: steps},
		&eventlog.AutomationDeleted{Name: "hello"},
		&eventlog.TriggerCreated{
			Name: "Weekly Report", CronSchedule: "0 12 * * 5", Function: function, Automation: automation, Data: data, Active: true,
			RunningUser: "ada", Overlap: eventlog.OverlapSkip, CatchUp: eventlog.CatchUpLatest, CatchUpWindow: hour, Jitter: hour,
			StartsAt: noon, EndsAt: later, Retry: retry, Anchor: noon, NextRun: later,
		},
		&eventlog.TriggerUpdated{
			Name: text("Daily"), CronSchedule: text("@daily"), Function: &function, Automation: &automation, Data: data,
			RunningUser: text(""), Overlap: &overlap, CatchUp: &catchUp, CatchUpWindow: &hour, Jitter: &hour,
			StartsAt: &start, EndsAt: &end2, Retry: retry, Anchor: later, NextRun: later,
		},
		&eventlog.TriggerPaused{Reason: "holidays"},
		&eventlog.TriggerResumed{Reason: "back", NextRun: later},
		&eventlog.TriggerDeleted{Name: "Daily"},
		&eventlog.TriggerFired{
			Run: "run_01jxs7e8000000000000000008", Attempt: 1, ScheduledFor: noon, Due: later, Manual: true,
			Name: "Daily", Function: function, Automation: automation, Data: data, RunningUser: "ada", Retry: retry,
			Missed: &eventlog.Span{From: noon, To: later, Count: 3}, NextRun: later,
		},
		&eventlog.TriggerSkipped{Span: eventlog.Span{From: noon, To: later, Count: 2}, Reason: eventlog.SkipOverlap, NextRun: later},
		&eventlog.RunCreated{
			Run: "run_01jxs7e8000000000000000009", Attempt: 1, ScheduledFor: noon,
			Name: "hello", Function: function, Automation: automation, Data: data, RunningUser: "ada",
		},
		&eventlog.RunClaimed{RunHead: head, Incarnation: "01JXS7E8000000000000000003", Pool: "default"},
		&eventlog.RunInterrupted{RunHead: head, Reason: eventlog.InterruptionLost},
		&eventlog.RunRetryScheduled{RunHead: head, Ended: end, RetryAt: later, Error: failure},
		&eventlog.RunCompleted{RunHead: head, Ended: end, Result: jsontext.Value(`{"sent":true}`)},
		&eventlog.RunFailed{RunHead: head, Ended: end, Error: failure},
		&eventlog.RunCanceled{RunHead: head, Ended: end, Reason: "not needed"},
		// Fields that came later than their type.
		&eventlog.ItemCreated{Name: "automated", RunDateTime: later, Automation: automation},
		&eventlog.ItemUpdated{Automation: &automation},
	}
}

// sandboxed are the samples that came with the limits of functions, and with
// the levels of sandboxes: fields that came later than their types.
func sandboxed(head eventlog.RunHead, end eventlog.Ended, failure eventlog.Error, timeout eventlog.Duration, limit eventlog.Size, retry eventlog.Retry) []eventlog.Payload {
	isolation, sandbox, processes, files, env := eventlog.IsolationFresh, eventlog.SandboxNone, 32, 64, []string{}
	end.Sandbox, end.Stopped = eventlog.SandboxRestricted, eventlog.StopKilled
	result := jsontext.Value(`{}`)
	return []eventlog.Payload{
		&eventlog.FunctionCreated{
			Name: "send_invoice", Code: "c", Version: 1,
			Timeout: timeout, MemoryLimit: limit, Retry: retry, OnExecutorLoss: eventlog.LossRetry, Pool: "default",
			Isolation: eventlog.IsolationFresh, Sandbox: eventlog.SandboxIsolated, CPULimit: timeout,
			ProcessLimit: 64, FileLimit: 256, OutputLimit: 1 << 20, Env: []string{"API_KEY", "_x1"},
		},
		&eventlog.FunctionUpdated{
			Isolation: &isolation, Sandbox: &sandbox, CPULimit: &timeout,
			ProcessLimit: &processes, FileLimit: &files, OutputLimit: &limit, Env: &env,
		},
		&eventlog.ItemRetryScheduled{RunHead: head, Ended: end, RetryAt: later, Error: failure},
		&eventlog.ItemCompleted{RunHead: head, Ended: end, Result: result},
		&eventlog.ItemFailed{RunHead: head, Ended: end, Error: failure},
		&eventlog.ItemCanceled{RunHead: head, Ended: end},
		&eventlog.RunRetryScheduled{RunHead: head, Ended: end, RetryAt: later, Error: failure},
		&eventlog.RunCompleted{RunHead: head, Ended: end, Result: result},
		&eventlog.RunFailed{RunHead: head, Ended: end, Error: failure},
		&eventlog.RunCanceled{RunHead: head, Ended: end},
	}
}

// sample is the i-th event, with p.
func sample(i int, p eventlog.Payload) eventlog.Event {
	e := eventlog.Event{
		ID: fmt.Sprintf("01JXS7E8000000000000000000-%d", i), Source: "/belfry/n1", Time: noon, Revision: uint64(i) + 1, Prev: uint64(i) * 1000,
		Actor: "admin", Cause: "01JXS7E8000000000000000006", CauseIndex: i - 1, Data: p,
	}
	e.Entity = e.Type().Entity()
	e.Subject = map[eventlog.Entity]string{
		eventlog.EntityFunction: "fun_01jxs7e8000000000000000001", eventlog.EntityUser: "ada", eventlog.EntityItem: "sci_01jxs7e8000000000000000002",
		eventlog.EntityNode: "n1", eventlog.EntityPartitions: "partitions",
		eventlog.EntityAutomation: "aut_01jxs7e8000000000000000007", eventlog.EntityTrigger: "sts_01jxs7e8000000000000000010",
		eventlog.EntityRun: "run_01jxs7e8000000000000000008",
	}[e.Entity]
	e.Partition = eventlog.PartitionOf(e.Entity, e.Subject)
	return e
}

// TestSamplesAreComplete keeps the golden commit honest.
func TestSamplesAreComplete(t *testing.T) {
	var types []eventlog.Type
	unset := map[eventlog.Type]map[string]bool{}
	for _, e := range samples() {
		v := reflect.ValueOf(e.Data).Elem()
		missing := unset[e.Type()]
		if missing == nil {
			types = append(types, e.Type())
			missing = map[string]bool{}
			unset[e.Type()] = missing
			for _, f := range reflect.VisibleFields(v.Type()) {
				missing[f.Name] = true
			}
		}
		for _, f := range reflect.VisibleFields(v.Type()) {
			if !v.FieldByIndex(f.Index).IsZero() {
				delete(missing, f.Name)
			}
		}
	}
	for typ, missing := range unset {
		for field := range missing {
			t.Errorf("no sample of %s sets %s", typ, field)
		}
	}
	if !reflect.DeepEqual(types, eventlog.Types()) {
		t.Errorf("samples of %v, want one of each type: %v", types, eventlog.Types())
	}
}

// encode makes a commit.
func encode(t testing.TB, events ...eventlog.Event) []byte {
	t.Helper()
	encoded := make([]eventlog.Encoded, len(events))
	prev := make([]uint64, len(events))
	size := 2
	for i := range events {
		var err error
		if encoded[i], err = eventlog.Encode(&events[i]); err != nil {
			t.Fatal(err)
		}
		prev[i] = events[i].Prev
		size += encoded[i].Size()
	}
	commit := eventlog.AppendCommit(nil, encoded, prev)
	if len(commit) > size {
		t.Fatalf("a commit of %d bytes was announced as at most %d", len(commit), size)
	}
	return commit
}

// decode reads a commit.
func decode(t testing.TB, commit []byte) []eventlog.Event {
	t.Helper()
	events, err := eventlog.Decode(commit)
	if err != nil {
		t.Fatalf("%v\n%s", err, commit)
	}
	return events
}

// same fails unless the events are equal.
func same(t testing.TB, got, want []eventlog.Event) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d events, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("event %d:\n got %+v\n     %+v\nwant %+v\n     %+v", i, got[i], got[i].Data, want[i], want[i].Data)
		}
	}
}
