package command_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
)

// spellings are JSON that Python and others write in another way than the log.
func spellings() []string {
	return []string{`{"name": "M\u00fcller"}`, `{"path":"a\/b"}`, `{"\u006b":"\u2028"}`, `{"half":"\ud83d"}`, "{\"raw\":\"\xff\"}", `{ "list" : [ 1.0, -0 ] }`}
}

// who decides evolves by the event before it is stored: it has to be the one
// that the others read.
func TestDataIsSpelledAsTheLogDoes(t *testing.T) {
	w := given(fun, function())
	for _, spelled := range spellings() {
		data := jsontext.Value(spelled)
		ref := &api.RefInput{IDOrName: fun}
		made := map[string]func() (command.Command, *api.Error){
			"an item": func() (command.Command, *api.Error) {
				return command.NewCreateItem(by("admin"), api.ItemInput{Name: new("i"), RunDateTime: new(at.String()), Function: ref, Data: data}, item)
			},
			"a trigger": func() (command.Command, *api.Error) {
				return command.NewCreateTrigger(by("admin"), api.TriggerInput{Name: new("t"), CronSchedule: new("@daily"), Function: ref, Data: data}, "sts_0000000000000001")
			},
			"a call": func() (command.Command, *api.Error) {
				return command.NewCall(by("admin"), api.Call{ID: fun, Data: data}, eventlog.EntityFunction, "run_0000000000000001")
			},
			"a step": func() (command.Command, *api.Error) {
				steps := []api.StepInput{{Name: new("s"), Function: ref, Data: data}}
				return command.NewCreateAutomation(by("admin"), api.AutomationInput{Name: new("a"), Steps: steps}, "aut_0000000000000001")
			},
			"a user": func() (command.Command, *api.Error) {
				return command.NewCreateUser(by("admin"), api.UserInput{ID: "ann", Fields: map[string]jsontext.Value{"more": data}})
			},
		}
		for kind, build := range made {
			c, refused := build()
			if refused != nil {
				t.Errorf("%s with %s is refused: %v", kind, spelled, refused)
				continue
			}
			events, refused := command.Decide(w.Partition(c.Partition()), w.State, c)
			if refused != nil || len(events) != 1 {
				t.Errorf("%s with %s is refused: %v", kind, spelled, refused)
				continue
			}
			if read := readBack(t, events[0]); !reflect.DeepEqual(read.Data, events[0].Data) {
				t.Errorf("%s with %s is decided as %+v and read as %+v", kind, spelled, events[0].Data, read.Data)
			}
		}
	}
}

// readBack is an event as others read it.
func readBack(t *testing.T, e eventlog.Event) eventlog.Event {
	t.Helper()
	encoded, err := eventlog.Encode(&e)
	if err != nil {
		t.Fatal(err)
	}
	read, err := eventlog.Decode(eventlog.AppendCommit(nil, []eventlog.Encoded{encoded}, []uint64{e.Prev}))
	if err != nil {
		t.Fatal(err)
	}
	return read[0]
}

// What no event could carry is refused, not found out when it is stored.
func TestDataWithANameTwiceIsRefused(t *testing.T) {
	for _, data := range []string{`{"k":1,"k":2}`, `{"k":1,"\u006b":2}`, `{"deep":{"\ud83d":1,"\ud83e":2}}`} {
		_, refused := command.NewCall(by("admin"), api.Call{ID: fun, Data: jsontext.Value(data)}, eventlog.EntityFunction, "run_0000000000000001")
		if refused == nil || refused.Code != api.Invalid || refused.Field != "data" {
			t.Errorf("data %s: %v", data, refused)
		}
		_, refused = command.NewCreateUser(by("admin"), api.UserInput{ID: "ann", Fields: map[string]jsontext.Value{"more": jsontext.Value(data)}})
		if refused == nil || refused.Code != api.Invalid || refused.Field != "more" {
			t.Errorf("a field %s: %v", data, refused)
		}
	}
}

// Of two faults always the same one is told.
func TestOfTwoFaultsTheSameIsTold(t *testing.T) {
	fields := map[string]jsontext.Value{"revision": jsontext.Value("1"), "email": jsontext.Value("1"), "seq": jsontext.Value("1")}
	for range 50 {
		if _, refused := command.NewCreateUser(by("admin"), api.UserInput{ID: "ann", Fields: fields}); refused == nil || refused.Field != "email" {
			t.Fatalf("the first fault is %v", refused)
		}
	}
}

// A commit that holds a result can be read, however deep the result is nested.
func TestResultsAreBoundedInDepth(t *testing.T) {
	w := given(fun, function(), item, queued(), claimed(1))
	for depth, completes := range map[int]bool{command.ResultDepthMax: true, command.ResultDepthMax + 1: false, 9_997: false, 9_998: false, 10_000: false} {
		f := finish(1, command.EndedCompleted)
		f.Result = jsontext.Value(strings.Repeat("[", depth) + strings.Repeat("]", depth))
		events, refused := command.Decide(w.Partition(f.Partition()), w.State, f)
		if refused != nil || len(events) != 1 {
			t.Fatalf("%d deep: %v", depth, refused)
		}
		read := readBack(t, events[0])
		if _, completed := read.Data.(*eventlog.ItemCompleted); completed != completes {
			t.Errorf("a result nested %d deep ends as %s", depth, read.Type())
		}
		if d, failed := read.Data.(*eventlog.ItemFailed); failed && d.Error.Type != command.ErrorResultTooLarge {
			t.Errorf("a result nested %d deep fails as %+v", depth, d.Error)
		}
	}
}

// What an executor says in other bytes than UTF-8 is stored as it is kept, and
// the command stays as it was.
func TestReportsAreCleanedOnce(t *testing.T) {
	w := given(fun, function(), item, queued(func(c *eventlog.ItemCreated) { c.Retry = &eventlog.Retry{MaxAttempts: 3, Multiplier: 1} }), claimed(1))
	f := finish(1, command.EndedFailed)
	f.Error = eventlog.Error{Type: "E\xff", Message: "\xffm", Traceback: strings.Repeat("\xff", 100_000)}
	f.Logs = []eventlog.LogLine{{Stream: "s\xff", Text: "t\xff"}}
	events, _ := command.Decide(w.Partition(f.Partition()), w.State, f)
	if read := readBack(t, events[0]); !reflect.DeepEqual(read.Data, events[0].Data) {
		t.Errorf("it is decided as %+v and read as %+v", events[0].Data, read.Data)
	}
	if l := f.Logs[0]; l.Stream != "s\xff" || l.Text != "t\xff" {
		t.Errorf("the decision changed its command: %+v", l)
	}
}
