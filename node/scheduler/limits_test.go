package scheduler_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/node/record"
	"github.com/belfryhq/belfry/projection"
)

// record is the record of an item's run, read back from the log.
func (st *stage) record(item string) api.Run {
	st.t.Helper()
	id := eventlog.PrefixItem + item
	var run api.Run
	if _, refused := st.Read(st.t.Context(), func(s *projection.State) {
		events, seqs, err := eventlog.Life(st.t.Context(), st.log, id, s.Item(id).Seq)
		if err != nil {
			st.t.Error(err)
			return
		}
		i := projection.ItemFromLog(events, seqs)
		run = record.Run(&i, s)
	}); refused != nil {
		st.t.Fatal(refused)
	}
	return run
}

// An executor is told what the function says of its runs, as of the claim; where
// a run was and how it was stopped comes back into its record.
func TestLimitsReachTheExecutor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 1, func(r wire.Run) (wire.Outcome, time.Duration) {
			o := wire.Outcome{Kind: wire.Completed, Result: []byte("1"), Sandbox: "restricted"}
			if r.Fresh {
				o = wire.Outcome{Kind: wire.TimedOut, Error: &wire.Error{Type: "Timeout", Message: "too long"}, Sandbox: r.Sandbox, Stopped: "killed"}
			}
			return o, time.Millisecond
		})
		defer e.kill()
		st.function("f", "code")
		st.do(st.item("0000000000000001", "f", time.Second))
		time.Sleep(2 * time.Second)
		text, count := func(s string) *string { return &s }, func(n int) *int { return &n }
		change, refused := command.NewUpdateFunction(st.by("admin"), api.FunctionInput{
			ID: eventlog.PrefixFunction + "f", Isolation: text("fresh"), Sandbox: text("isolated"), CPULimit: text("1500ms"),
			ProcessLimit: count(8), FileLimit: count(32), OutputLimit: text("2KiB"), Env: &[]string{"KEY", "B"},
		})
		if refused != nil {
			t.Fatal(refused)
		}
		st.do(change, st.item("0000000000000002", "f", time.Second))
		time.Sleep(2 * time.Second)

		runs := e.runs()
		if r := runs["run_0000000000000001"][0]; r.Fresh || r.Sandbox != "" || r.CPULimitMS != 0 || r.ProcessLimit != 64 || r.FileLimit != 256 || r.OutputLimit != wire.OutputBytesMax || len(r.Env) > 0 {
			t.Errorf("with the defaults the executor is told %+v", r)
		}
		if r := runs["run_0000000000000002"][0]; !r.Fresh || r.Sandbox != "isolated" || r.CPULimitMS != 1500 || r.ProcessLimit != 8 || r.FileLimit != 32 || r.OutputLimit != 2048 || !slices.Equal(r.Env, []string{"KEY", "B"}) {
			t.Errorf("the executor is told %+v", r)
		}
		if r := runs["run_0000000000000002"][0]; r.Version != 1 || r.Code != nil {
			t.Errorf("the same code is sent again as version %d", r.Version)
		}
		if r := st.record("0000000000000001"); r.Status != api.Completed || r.Sandbox != "restricted" || r.Stopped != "" {
			t.Errorf("the first run: %s in %q, stopped %q", r.Status, r.Sandbox, r.Stopped)
		}
		if r := st.record("0000000000000002"); r.Status != api.Failed || r.Sandbox != "isolated" || r.Stopped != "killed" {
			t.Errorf("the second run: %s in %q, stopped %q", r.Status, r.Sandbox, r.Stopped)
		}
		st.judge()
	})
}

// What a caller may ask for is what an executor keeps.
func TestTheOutputLimitIsTheWires(t *testing.T) {
	if command.OutputLimitMax != wire.OutputBytesMax {
		t.Errorf("callers may ask for %d bytes, executors keep %d", command.OutputLimitMax, wire.OutputBytesMax)
	}
}
