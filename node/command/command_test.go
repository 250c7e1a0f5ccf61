package command_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

const (
	at   = eventlog.Time(1_800_000_000_000)
	item = "sci_0000000000000001"
	fun  = "fun_0000000000000001"
)

func by(user string) command.By { return command.By{User: user, Now: at, CauseIndex: -1} }

// world folds events by which the state comes about, one commit each.
type world struct {
	*projection.State
	seq       uint64
	revisions map[string]uint64
}

func given(payloads ...any) *world {
	w := &world{State: projection.NewState(), revisions: map[string]uint64{}}
	for _, e := range command.Genesis(command.BySystem(1), "local", "s") {
		w.Evolve(&e, projection.At{Seq: 1, Lane: "local"})
	}
	id := ""
	for _, p := range payloads {
		switch p := p.(type) {
		case string:
			id = p
		case eventlog.Payload:
			w.happened(id, p)
		}
	}
	return w
}

func (w *world) happened(id string, p eventlog.Payload) {
	w.seq++
	w.revisions[id]++
	e := eventlog.Event{Subject: id, Time: at - 1000, Revision: w.revisions[id], Actor: "admin", CauseIndex: -1, Data: p}
	e.Entity = e.Type().Entity()
	e.Partition = eventlog.PartitionOf(e.Entity, id)
	w.Evolve(&e, projection.At{Seq: w.seq, Lane: "local"})
}

// when decides, and says what follows: types of events, or the code of a refusal.
func (w *world) when(c command.Command) string {
	events, refused := command.Decide(w.Partition(c.Partition()), w.State, c)
	if refused != nil {
		return string(refused.Code)
	}
	var types []string
	for _, e := range events {
		types = append(types, strings.TrimPrefix(string(e.Type()), "belfry."))
	}
	return strings.Join(types, " ")
}

func function() *eventlog.FunctionCreated {
	return &eventlog.FunctionCreated{Name: "f", Code: "c", Version: 1, Retry: eventlog.DefaultRetry(), Pool: "default"}
}

func queued(more ...func(*eventlog.ItemCreated)) *eventlog.ItemCreated {
	c := &eventlog.ItemCreated{Name: "i", RunDateTime: at, Function: eventlog.Ref{ID: fun}}
	for _, change := range more {
		change(c)
	}
	return c
}

func head(attempt int) eventlog.RunHead {
	return eventlog.RunHead{Run: eventlog.RunOfItem(item), Attempt: attempt, ScheduledFor: at, Executor: "local"}
}

func claimed(attempt int) *eventlog.ItemClaimed {
	return &eventlog.ItemClaimed{RunHead: head(attempt), Incarnation: "i1", Pool: "default"}
}

func claim() command.ClaimItem {
	return command.ClaimItem{By: command.BySystem(at), ID: item, Executor: "local", Incarnation: "i1", Pool: "default"}
}

func finish(attempt int, how command.Ending) command.FinishItem {
	return command.FinishItem{By: command.BySystem(at), ID: item, Attempt: attempt, Executor: "local", Incarnation: "i1", Ending: how}
}

func cancel(user string) command.CancelItem { return command.CancelItem{By: by(user), ID: item} }

func TestWhatMayFollow(t *testing.T) {
	lost := &eventlog.ItemInterrupted{RunHead: head(1), Reason: eventlog.InterruptionLost}
	retried := &eventlog.ItemRetryScheduled{RunHead: head(1), RetryAt: at}
	completed := &eventlog.ItemCompleted{RunHead: head(1)}
	canceled := &eventlog.ItemCanceled{}
	ann := &eventlog.UserCreated{Name: "ann"}
	lossFails := function()
	lossFails.OnExecutorLoss = eventlog.LossFail
	twice := &eventlog.Retry{MaxAttempts: 2, Backoff: 1, Multiplier: 1, MaxBackoff: 1}
	four := []any{fun, function(), item, queued()}
	for n := 1; n <= 3; n++ {
		four = append(four, claimed(n), &eventlog.ItemInterrupted{RunHead: head(n), Reason: eventlog.InterruptionLost})
	}
	five := uint64(5)
	zero := uint64(0)
	for name, c := range map[string]struct {
		given *world
		when  command.Command
		then  string
	}{
		"a queued item that is due is claimed":                {given(fun, function(), item, queued()), claim(), "item.claimed"},
		"an item that is not due is not claimed":              {given(fun, function(), item, queued(func(c *eventlog.ItemCreated) { c.RunDateTime = at + 1 })), claim(), ""},
		"an item that is claimed is not claimed again":        {given(fun, function(), item, queued(), claimed(1)), claim(), ""},
		"an item that was canceled is not claimed":            {given(fun, function(), item, queued(), canceled), claim(), ""},
		"an item that completed is not claimed":               {given(fun, function(), item, queued(), claimed(1), completed), claim(), ""},
		"an interrupted item is claimed again":                {given(fun, function(), item, queued(), claimed(1), lost), claim(), "item.claimed"},
		"an item that nobody knows is not claimed":            {given(fun, function()), claim(), ""},
		"an item of a deleted function fails":                 {given(item, queued()), claim(), "item.claimed item.failed"},
		"an item of a deleted user fails":                     {given(fun, function(), item, queued(func(c *eventlog.ItemCreated) { c.RunningUser = "gone" })), claim(), "item.claimed item.failed"},
		"a result completes":                                  {given(fun, function(), item, queued(), claimed(1)), finish(1, command.EndedCompleted), "item.completed"},
		"a failure fails":                                     {given(fun, function(), item, queued(), claimed(1)), finish(1, command.EndedFailed), "item.failed"},
		"a failure with attempts left is retried":             {given(fun, function(), item, queued(func(c *eventlog.ItemCreated) { c.Retry = twice }), claimed(1)), finish(1, command.EndedFailed), "item.retry_scheduled"},
		"the last attempt's failure fails":                    {given(fun, function(), item, queued(func(c *eventlog.ItemCreated) { c.Retry = twice }), claimed(1), retried, claimed(2)), finish(2, command.EndedFailed), "item.failed"},
		"a loss does not count as a failure":                  {given(fun, function(), item, queued(func(c *eventlog.ItemCreated) { c.Retry = twice }), claimed(1), lost, claimed(2)), finish(2, command.EndedFailed), "item.retry_scheduled"},
		"a lost executor interrupts":                          {given(fun, function(), item, queued(), claimed(1)), finish(1, command.EndedLost), "item.interrupted"},
		"a lost executor fails where the function says so":    {given(fun, lossFails, item, queued(), claimed(1)), finish(1, command.EndedLost), "item.failed"},
		"the fourth loss fails":                               {given(append(four, claimed(4))...), finish(4, command.EndedLost), "item.failed"},
		"a hand-back after three losses does not fail":        {given(append(four, claimed(4))...), finish(4, command.EndedHandedBack), "item.interrupted"},
		"a stopped run is canceled":                           {given(fun, function(), item, queued(), claimed(1)), finish(1, command.EndedCanceled), "item.canceled"},
		"a report of another attempt changes nothing":         {given(fun, function(), item, queued(), claimed(1)), finish(2, command.EndedCompleted), ""},
		"a report of an attempt that ended changes nothing":   {given(fun, function(), item, queued(), claimed(1), lost, claimed(2)), finish(1, command.EndedCompleted), ""},
		"a report of another executor changes nothing":        {given(fun, function(), item, queued(), claimed(1)), func() command.Command { f := finish(1, command.EndedCompleted); f.Executor = "other"; return f }(), ""},
		"a report of another incarnation changes nothing":     {given(fun, function(), item, queued(), claimed(1)), func() command.Command { f := finish(1, command.EndedCompleted); f.Incarnation = "i0"; return f }(), ""},
		"a report after the end changes nothing":              {given(fun, function(), item, queued(), claimed(1), completed), finish(1, command.EndedFailed), ""},
		"a queued item is canceled":                           {given(fun, function(), item, queued()), cancel("admin"), "item.canceled"},
		"an item that waits for its retry is canceled":        {given(fun, function(), item, queued(), claimed(1), retried), cancel("admin"), "item.canceled"},
		"a canceled item is canceled already":                 {given(fun, function(), item, queued(), canceled), cancel("admin"), ""},
		"an item that runs is not canceled":                   {given(fun, function(), item, queued(), claimed(1)), cancel("admin"), "illegal_transition"},
		"an item that completed is not canceled":              {given(fun, function(), item, queued(), claimed(1), completed), cancel("admin"), "illegal_transition"},
		"nobody cancels nothing":                              {given(fun, function()), cancel("admin"), "not_found"},
		"who does not exist cancels nothing":                  {given(fun, function(), item, queued()), cancel("eve"), "unknown_user"},
		"a cancel on an old revision conflicts":               {given(fun, function(), item, queued()), command.CancelItem{By: by("admin"), ID: item, IfRevision: &zero}, "conflict"},
		"a function without open items is deleted":            {given(fun, function(), item, queued(), canceled), command.DeleteFunction{By: by("admin"), ID: fun}, "function.deleted"},
		"a function with open items is in use":                {given(fun, function(), item, queued()), command.DeleteFunction{By: by("admin"), ID: fun}, "in_use"},
		"a deleted function's id is never used again":         {given(fun, function(), &eventlog.FunctionDeleted{Name: "f"}), command.CreateFunction{By: by("admin"), ID: fun, New: *function()}, "already_exists"},
		"a deleted function's name is":                        {given(fun, function(), &eventlog.FunctionDeleted{Name: "f"}), command.CreateFunction{By: by("admin"), ID: fun + "x", New: *function()}, "function.created"},
		"equal code is no new version":                        {given(fun, function()), command.UpdateFunction{By: by("admin"), ID: fun, To: eventlog.FunctionUpdated{Code: ptr("c")}}, ""},
		"a revision that is to come conflicts":                {given(fun, function()), command.UpdateFunction{By: by("admin"), ID: fun, IfRevision: &five, To: eventlog.FunctionUpdated{Code: ptr("d")}}, "conflict"},
		"a user edits a function that runs as themselves":     {given("ann", ann, fun, function(), item, queued(func(c *eventlog.ItemCreated) { c.RunningUser = "ann" })), command.UpdateFunction{By: by("ann"), ID: fun, To: eventlog.FunctionUpdated{Code: ptr("d")}}, "function.updated"},
		"a user does not edit a function that runs as others": {given("ann", ann, fun, function(), item, queued()), command.UpdateFunction{By: by("ann"), ID: fun, To: eventlog.FunctionUpdated{Code: ptr("d")}}, "forbidden"},
		"the last superuser stays":                            {given(), command.DeleteUser{By: by("admin"), ID: "admin"}, "forbidden"},
		"a user whom open items run as is in use":             {given("ann", ann, fun, function(), item, queued(func(c *eventlog.ItemCreated) { c.RunningUser = "ann" })), command.DeleteUser{By: by("admin"), ID: "ann"}, "in_use"},
		"an idle user is deleted":                             {given("ann", ann), command.DeleteUser{By: by("admin"), ID: "ann"}, "user.deleted"},
		"a user does not delete users":                        {given("ann", ann), command.DeleteUser{By: by("ann"), ID: "ann"}, "forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.given.when(c.when); got != c.then {
				t.Errorf("then %q, not %q", got, c.then)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// A new version counts up; the event names it with the code.
func TestVersionsCountUp(t *testing.T) {
	w := given(fun, function())
	for version := 2; version < 5; version++ {
		c := command.UpdateFunction{By: by("admin"), ID: fun, To: eventlog.FunctionUpdated{Code: ptr(fmt.Sprint(version))}}
		events, refused := command.Decide(w.Partition(0), w.State, c)
		if refused != nil {
			t.Fatal(refused)
		}
		if got := events[0].Data.(*eventlog.FunctionUpdated).Version; got != version {
			t.Fatalf("version %d, not %d", got, version)
		}
		w.happened(fun, events[0].Data)
	}
}

// Retries come after their backoff, growing, bounded.
func TestRetryAt(t *testing.T) {
	retry := &eventlog.Retry{MaxAttempts: 5, Backoff: eventlog.Duration(10 * time.Second), Multiplier: 3, MaxBackoff: eventlog.Duration(time.Minute)}
	w := given(fun, function(), item, queued(func(c *eventlog.ItemCreated) { c.Retry = retry }))
	for n, want := range []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, time.Minute} {
		w.happened(item, claimed(n+1))
		events, _ := command.Decide(w.Partition(eventlog.PartitionOf(eventlog.EntityItem, item)), w.State, finish(n+1, command.EndedFailed))
		d := events[0].Data.(*eventlog.ItemRetryScheduled)
		if got := d.RetryAt - at; time.Duration(got)*time.Millisecond != want {
			t.Errorf("after attempt %d it waits %d ms, not %v", n+1, got, want)
		}
		w.happened(item, d)
	}
}

// What a report brings is bounded, whatever an executor sends.
func TestReportsAreBounded(t *testing.T) {
	big := strings.Repeat("é", 1<<20)
	f := finish(1, command.EndedFailed)
	f.Error = eventlog.Error{Type: big, Message: big, Traceback: big}
	for range 100_000 {
		f.Logs = append(f.Logs, eventlog.LogLine{Text: "a line of output"})
	}
	w := given(fun, function(), item, queued(), claimed(1))
	p := w.Partition(eventlog.PartitionOf(eventlog.EntityItem, item))
	events, _ := command.Decide(p, w.State, f)
	encoded, err := eventlog.Encode(&events[0])
	if err != nil || encoded.Size() > eventlog.EventBytesMax/4 {
		t.Errorf("the event has %d bytes; %v", encoded.Size(), err)
	}
	f = finish(1, command.EndedCompleted)
	f.Result = []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
	events, _ = command.Decide(p, w.State, f)
	if d, ok := events[0].Data.(*eventlog.ItemFailed); !ok || d.Error.Type != command.ErrorResultTooLarge {
		t.Errorf("a result of 1 MB gives %+v", events[0].Data)
	}
}

// Times are read as the contract says, and never earlier than they were given.
func TestParseTime(t *testing.T) {
	for in, want := range map[string]string{
		"2026-11-24T12:00:00Z":              "2026-11-24T12:00:00.000Z",
		"2026-11-24T12:00:00+02:00":         "2026-11-24T10:00:00.000Z",
		"2026-11-24T12:00:00":               "2026-11-24T12:00:00.000Z",
		"2026-11-24T12:00":                  "2026-11-24T12:00:00.000Z",
		"2026-11-24T12:00:00.123Z":          "2026-11-24T12:00:00.123Z",
		"2026-11-24T12:00:00.1230001Z":      "2026-11-24T12:00:00.124Z",
		"2028-02-29T23:59:59.999999999Z":    "2028-03-01T00:00:00.000Z",
		"2026-11-24T12:00:00.5-11:30":       "2026-11-24T23:30:00.500Z",
		"2026-02-29T00:00:00Z":              "invalid_time",
		"2026-11-24T24:00:00Z":              "invalid_time",
		"2026-11-24T12:00:60Z":              "invalid_time",
		"2026-11-24 12:00:00Z":              "invalid_time",
		"1969-12-31T23:59:59Z":              "invalid_time",
		"12026-11-24T12:00:00Z":             "invalid_time",
		"2026-11-24":                        "invalid_time",
		"":                                  "invalid_time",
		"2026-11-24T12:00:00Z; drop":        "invalid_time",
		"2026-11-24T12:00:00.000000000000Z": "2026-11-24T12:00:00.000Z",
	} {
		got, refused := command.ParseTime("at", in)
		text := got.String()
		if refused != nil {
			text = string(refused.Code)
		}
		if text != want {
			t.Errorf("%q is read as %s, not %s", in, text, want)
		}
	}
}

// Every refusal has a code of the catalogue and a sentence.
func TestRefusalsSayWhatToDo(t *testing.T) {
	name := strings.Repeat("n", 201)
	for _, in := range []api.ItemInput{
		{}, {Name: &name}, {Name: ptr("a\x00b")}, {Name: ptr("i"), RunDateTime: ptr("x")},
		{Name: ptr("i"), RunDateTime: ptr("2026-11-24T12:00:00Z")},
	} {
		_, refused := command.NewCreateItem(by("admin"), in, item)
		if refused == nil || refused.Code.Status() != 400 || !strings.Contains(refused.Message, ":") || refused.Field == "" {
			t.Errorf("%+v is refused with %+v", in, refused)
		}
	}
}
