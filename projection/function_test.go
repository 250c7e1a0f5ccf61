package projection_test

import (
	"reflect"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
)

// A function of before the limits has those that Belfry then gave to every run;
// what an event says of them counts, and a snapshot keeps it.
func TestTheLimitsOfAFunction(t *testing.T) {
	s := projection.NewState()
	old := event(eventlog.EntityFunction, "fun_old", 1, 1, &eventlog.FunctionCreated{Name: "old", Code: "c", Version: 1})
	fresh, files, none := eventlog.IsolationFresh, 32, []string{}
	fold(s, old,
		event(eventlog.EntityFunction, "fun_new", 1, 1, &eventlog.FunctionCreated{
			Name: "new", Code: "c", Version: 1, Isolation: eventlog.IsolationFresh, Sandbox: eventlog.SandboxIsolated,
			CPULimit: 1e9, ProcessLimit: 1, FileLimit: 16, OutputLimit: 1 << 10, Env: []string{"KEY"},
		}),
		event(eventlog.EntityFunction, "fun_changed", 1, 1, &eventlog.FunctionCreated{Name: "changed", Code: "c", Version: 1, Env: []string{"KEY"}}),
		event(eventlog.EntityFunction, "fun_changed", 2, 2, &eventlog.FunctionUpdated{Isolation: &fresh, FileLimit: &files, Env: &none}))

	encoded, err := s.Partition(0).Encode()
	if err != nil {
		t.Fatal(err)
	}
	loaded := projection.NewState()
	if err := loaded.Load(0, 4, encoded); err != nil {
		t.Fatal(err)
	}
	type limits struct {
		isolation        eventlog.Isolation
		sandbox          eventlog.Sandbox
		cpu              eventlog.Duration
		processes, files int
		output           eventlog.Size
		env              string
	}
	for _, state := range []*projection.State{s, loaded} {
		for name, want := range map[string]limits{
			"old":     {"warm", "", 0, 64, 256, 1 << 20, ""},
			"new":     {"fresh", "isolated", 1e9, 1, 16, 1 << 10, "KEY"},
			"changed": {"fresh", "", 0, 64, 32, 1 << 20, ""},
		} {
			f := state.FunctionByRef(name, false)
			got := limits{f.Isolation, f.Sandbox, f.CPULimit, f.ProcessLimit, f.FileLimit, f.OutputLimit, ""}
			for _, name := range f.Env {
				got.env += name
			}
			if got != want || f.Version != 1 {
				t.Errorf("%s has %+v, not %+v", name, got, want)
			}
		}
	}
	if f := projection.FunctionFromLog([]eventlog.Event{*old}, []uint64{1}); !reflect.DeepEqual(f, s.FunctionByRef("old", false)) {
		t.Errorf("read back from the log it is %+v", f)
	}
}
