package command_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
)

// names are n names of variables.
func names(n int) *[]string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint("V", i)
	}
	return &list
}

// What a run may take has bounds, and both sides of each are tried.
func TestBoundsOfAFunction(t *testing.T) {
	list := func(names ...string) *[]string { return &names }
	for field, c := range map[string]struct{ good, bad []api.FunctionInput }{
		"isolation": {
			[]api.FunctionInput{{Isolation: ptr("warm")}, {Isolation: ptr("fresh")}},
			[]api.FunctionInput{{Isolation: ptr("")}, {Isolation: ptr("Fresh")}, {Isolation: ptr("cold")}},
		},
		"sandbox": {
			[]api.FunctionInput{{Sandbox: ptr("")}, {Sandbox: ptr("none")}, {Sandbox: ptr("process")}, {Sandbox: ptr("restricted")}, {Sandbox: ptr("isolated")}},
			[]api.FunctionInput{{Sandbox: ptr("jail")}, {Sandbox: ptr(" none")}},
		},
		"cpu_limit": {
			[]api.FunctionInput{{CPULimit: ptr("0s")}, {CPULimit: ptr("100ms")}, {CPULimit: ptr("7d")}},
			[]api.FunctionInput{{CPULimit: ptr("")}, {CPULimit: ptr("99ms")}, {CPULimit: ptr("-1s")}, {CPULimit: ptr("7d1s")}, {CPULimit: ptr("much")}},
		},
		"process_limit": {
			[]api.FunctionInput{{ProcessLimit: ptr(1)}, {ProcessLimit: ptr(4096)}},
			[]api.FunctionInput{{ProcessLimit: ptr(0)}, {ProcessLimit: ptr(-1)}, {ProcessLimit: ptr(4097)}},
		},
		"file_limit": {
			[]api.FunctionInput{{FileLimit: ptr(16)}, {FileLimit: ptr(65536)}},
			[]api.FunctionInput{{FileLimit: ptr(15)}, {FileLimit: ptr(65537)}},
		},
		"output_limit": {
			[]api.FunctionInput{{OutputLimit: ptr("1KiB")}, {OutputLimit: ptr("1MiB")}},
			[]api.FunctionInput{{OutputLimit: ptr("1023B")}, {OutputLimit: ptr("1048577B")}, {OutputLimit: ptr("lots")}},
		},
		"env": {
			[]api.FunctionInput{{Env: list()}, {Env: list("A", "a", "_", "API_KEY2", "PATHS", "MYPYTHON")}, {Env: names(64)}, {Env: list(strings.Repeat("N", 128))}},
			[]api.FunctionInput{
				{Env: list("")}, {Env: list("1A")}, {Env: list("A=b")}, {Env: list("A B")}, {Env: list("É")}, {Env: list("A\n")}, {Env: list("A", "B", "A")},
				{Env: names(65)}, {Env: list(strings.Repeat("N", 129))},
				{Env: list("PATH")}, {Env: list("HOME")}, {Env: list("TMPDIR")}, {Env: list("LANG")}, {Env: list("TZ")},
				{Env: list("PYTHONPATH")}, {Env: list("PYTHON")}, {Env: list("LD_PRELOAD")},
			},
		},
	} {
		for _, in := range c.good {
			if _, refused := command.NewUpdateFunction(by("admin"), in); refused != nil {
				t.Errorf("a good %s is refused: %v", field, refused)
			}
		}
		for n, in := range c.bad {
			in.Name, in.Code = ptr("f"), ptr("c")
			_, refused := command.NewCreateFunction(by("admin"), in, fun)
			if refused == nil || refused.Code != api.Invalid || refused.Field != field || !strings.Contains(refused.Message, ": ") {
				t.Errorf("bad %s number %d: %+v", field, n, refused)
			}
			if _, again := command.NewUpdateFunction(by("admin"), in); again == nil || again.Field != field {
				t.Errorf("bad %s number %d in an update: %+v", field, n, again)
			}
		}
	}
}

// A new function's event says its limits, whatever later defaults are.
func TestAFunctionsDefaults(t *testing.T) {
	c, refused := command.NewCreateFunction(by("admin"), api.FunctionInput{Name: ptr("f"), Code: ptr("c"), Env: names(0)}, fun)
	if refused != nil {
		t.Fatal(refused)
	}
	d := c.New
	if d.Isolation != "warm" || d.Sandbox != "" || d.CPULimit != 0 || d.ProcessLimit != 64 || d.FileLimit != 256 || d.OutputLimit != 1<<20 || d.Env != nil {
		t.Errorf("the defaults are %+v", d)
	}
}

// What a run may take changes without a new version of the code, and only what
// differs is in the event.
func TestLimitsAreNoNewVersion(t *testing.T) {
	w := given(fun, function())
	to := eventlog.FunctionUpdated{
		Isolation: ptr(eventlog.IsolationFresh), Sandbox: ptr(eventlog.SandboxIsolated), CPULimit: ptr(eventlog.Duration(1e9)),
		ProcessLimit: ptr(8), FileLimit: ptr(32), OutputLimit: ptr(eventlog.Size(2048)), Env: names(2),
	}
	update := command.UpdateFunction{By: by("admin"), ID: fun, To: to}
	events, refused := command.Decide(w.Partition(0), w.State, update)
	if refused != nil || len(events) != 1 {
		t.Fatal(events, refused)
	}
	d := events[0].Data.(*eventlog.FunctionUpdated)
	if d.Version != 0 || *d.Isolation != "fresh" || *d.Sandbox != "isolated" || *d.CPULimit != 1e9 || *d.ProcessLimit != 8 || *d.FileLimit != 32 || *d.OutputLimit != 2048 || !slices.Equal(*d.Env, []string{"V0", "V1"}) {
		t.Errorf("the event says %+v", d)
	}
	w.happened(fun, d)
	if events, refused = command.Decide(w.Partition(0), w.State, update); len(events) > 0 || refused != nil {
		t.Errorf("the same again yields %v %v", events, refused)
	}
	update.To = eventlog.FunctionUpdated{Env: &[]string{}}
	if events, _ = command.Decide(w.Partition(0), w.State, update); len(events) != 1 || len(*events[0].Data.(*eventlog.FunctionUpdated).Env) != 0 {
		t.Errorf("an empty list yields %v", events)
	}
}

// Where an attempt ran and how it was stopped is told in its end; what no
// executor of ours says is not repeated.
func TestWhereAnAttemptRan(t *testing.T) {
	ended := func(p eventlog.Payload) eventlog.Ended {
		switch d := p.(type) {
		case *eventlog.ItemCompleted:
			return d.Ended
		case *eventlog.ItemFailed:
			return d.Ended
		case *eventlog.ItemCanceled:
			return d.Ended
		case *eventlog.ItemRetryScheduled:
			return d.Ended
		}
		t.Fatalf("%T says nothing of an end", p)
		return eventlog.Ended{}
	}
	once, twice := queued(), queued(func(c *eventlog.ItemCreated) { c.Retry = &eventlog.Retry{MaxAttempts: 2, Multiplier: 1} })
	for name, c := range map[string]struct {
		item             *eventlog.ItemCreated
		how              command.Ending
		sandbox, stopped string
		want             string
	}{
		"a failure":                {once, command.EndedFailed, "none", "killed", "none killed"},
		"a failure to be repeated": {twice, command.EndedFailed, "isolated", "asked", "isolated asked"},
		"a cancel":                 {once, command.EndedCanceled, "process", "asked", "process asked"},
		"a result":                 {once, command.EndedCompleted, "restricted", "", "restricted "},
		"a result after a stop":    {once, command.EndedCompleted, "restricted", "asked", "restricted "},
		"words of nobody":          {once, command.EndedFailed, "jail", strings.Repeat("x", 1<<20), " "},
		"no words":                 {once, command.EndedFailed, "", "", " "},
	} {
		w := given(fun, function(), item, c.item, claimed(1))
		f := finish(1, c.how)
		f.Result, f.Sandbox, f.Stopped = []byte("1"), eventlog.Sandbox(c.sandbox), eventlog.Stop(c.stopped)
		events, refused := command.Decide(w.Partition(eventlog.PartitionOf(eventlog.EntityItem, item)), w.State, f)
		if refused != nil || len(events) != 1 {
			t.Fatal(name, events, refused)
		}
		e := ended(events[0].Data)
		if got := string(e.Sandbox) + " " + string(e.Stopped); got != c.want {
			t.Errorf("%s tells %.50q, not %q", name, got, c.want)
		}
	}
}
