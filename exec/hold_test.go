package exec_test

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

func TestAReportIsRepeatedUntilItIsStored(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		b.send(b.run("r1", 100))
		b.holds(map[string]wire.HeldState{"r1": wire.HeldRunning})
		b.complete("r1")
		first := b.one(wire.Completed)
		d := first.Data
		if first.SpecVersion != "1.0" || first.Type != wire.ReportType || first.Source != "/belfry/exec/"+name ||
			first.Subject != "r1" || first.ID != b.told.Incarnation+"/r1/1" || first.Time.IsZero() {
			t.Errorf("the report is no CloudEvent of its attempt: %+v", first)
		}
		if d.Stream != stream || d.Incarnation != b.told.Incarnation || d.Partition != 1 || d.Attempt != 1 ||
			d.FunctionVersion != 1 || string(d.Result) != `{"ok":true}` || d.Started.IsZero() || d.Finished.Before(d.Started) {
			t.Errorf("the outcome is %+v", d)
		}
		b.holds(map[string]wire.HeldState{"r1": wire.HeldEnded})
		b.pass(wire.ReportEvery - 100*time.Millisecond)
		if n := len(b.take()); n != 0 {
			t.Errorf("repeated %d times too early", n)
		}
		b.pass(4 * wire.ReportEvery)
		if n := len(b.take()); n != 4 {
			t.Errorf("repeated %d times in %s", n, 4*wire.ReportEvery)
		}
		b.stored(attempt("r1"))
		b.pass(time.Minute)
		if n := len(b.take()); n != 0 {
			t.Errorf("repeated %d times after it was stored", n)
		}
		b.holds(map[string]wire.HeldState{})
		if s := b.exec.Stats(); s.Stored != 1 || s.Repeated != 4 || s.Ended[wire.Completed] != 1 || s.Unstored != 0 {
			t.Errorf("the stats are %+v", s)
		}
	})
}

func TestStoredCountsOnlyFromTheOwnerOfTheStream(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		b.send(b.run("r1", 100))
		b.complete("r1")
		good := wire.Stored{
			Stream: stream, Incarnation: b.told.Incarnation, Partition: 1, Epoch: 10,
			Attempts: []wire.Attempt{attempt("r1")},
		}
		for _, change := range []func(*wire.Stored){
			func(s *wire.Stored) { s.Stream = "other" },
			func(s *wire.Stored) { s.Incarnation = "other" },
			func(s *wire.Stored) { s.Epoch = 9 },
			func(s *wire.Stored) { s.Attempts = []wire.Attempt{{Run: "r1", Attempt: 2}} },
		} {
			bad := good
			change(&bad)
			b.publish(wire.DefaultPrefix.ExecSubject(name, wire.VerbStored), bad)
			b.holds(map[string]wire.HeldState{"r1": wire.HeldEnded})
		}
		b.publish(wire.DefaultPrefix.ExecSubject(name, wire.VerbStored), good)
		b.holds(map[string]wire.HeldState{})
	})
}

func TestStoredDoesNotEndWhatRuns(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		b.send(b.run("r1", 100), b.run("r2", 101))
		b.stored(attempt("r1"), attempt("r2"))
		b.holds(map[string]wire.HeldState{"r1": wire.HeldRunning, "r2": wire.HeldQueued})
	})
}

func TestRunsBeginInTheOrderTheyCame(t *testing.T) {
	bubble(t, exec.Config{Slots: 2}, func(b *bench) {
		b.send(b.run("r1", 101), b.run("r2", 102), b.run("r3", 103), b.run("r4", 104))
		if got := b.runtime.started(); len(got) != 2 {
			t.Fatalf("%v began on two slots", got)
		}
		b.holds(map[string]wire.HeldState{
			"r1": wire.HeldRunning, "r2": wire.HeldRunning, "r3": wire.HeldQueued, "r4": wire.HeldQueued,
		})
		b.complete("r2")
		b.complete("r1")
		if got := b.runtime.started(); len(got) != 4 || got[2] != "r3" || got[3] != "r4" {
			t.Errorf("began in the order %v", got)
		}
	})
}

func TestWhatWaitsTooLongIsHandedBack(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		b.send(b.run("r1", 100), b.run("r2", 101))
		b.pass(wire.HandBackAfter / 2)
		b.send(b.run("r3", 102))
		b.take()
		b.pass(wire.HandBackAfter/2 + time.Millisecond)
		if r := b.one(wire.HandedBack); r.Data.Run != "r2" || !r.Data.Started.IsZero() {
			t.Errorf("handed back %+v", r.Data)
		}
		b.complete("r1")
		b.one(wire.Completed)
		b.holds(map[string]wire.HeldState{"r1": wire.HeldEnded, "r2": wire.HeldEnded, "r3": wire.HeldRunning})
		b.pass(wire.HandBackAfter)
		for _, r := range b.take() {
			if r.Data.Run == "r3" {
				t.Error("a run was handed back that had begun")
			}
		}
		b.stored(attempt("r1"), attempt("r2"))
		b.holds(map[string]wire.HeldState{"r3": wire.HeldRunning})
		if got := b.runtime.started(); len(got) != 2 {
			t.Errorf("%v began", got)
		}
	})
}

func TestCancel(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		b.send(b.run("r1", 100), b.run("r2", 101))
		b.cancel("r2", 1)
		if r := b.one(wire.Canceled); r.Data.Run != "r2" || !r.Data.Started.IsZero() {
			t.Errorf("canceled %+v", r.Data)
		}
		b.cancel("r1", 2)
		b.holds(map[string]wire.HeldState{"r1": wire.HeldRunning, "r2": wire.HeldEnded})
		b.cancel("r1", 1)
		if r := b.one(wire.Canceled); r.Data.Run != "r1" {
			t.Errorf("canceled %+v", r.Data)
		}
		b.cancel("r1", 1)
		b.cancel("r9", 1)
		if n := len(b.take()); n != 0 {
			t.Errorf("%d reports of what had ended, or never came", n)
		}
		b.stored(attempt("r1"), attempt("r2"))
		b.holds(map[string]wire.HeldState{})
	})
}

func TestCancelOfAPastEpochIsIgnored(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		b.send(b.run("r1", 100))
		b.publish(wire.DefaultPrefix.ExecSubject(name, wire.VerbCancel), wire.Cancel{
			Stream: stream, Incarnation: b.told.Incarnation, Partition: 1, Epoch: 9, Run: "r1", Attempt: 1,
		})
		b.holds(map[string]wire.HeldState{"r1": wire.HeldRunning})
		b.refused("a past epoch", 1)
	})
}

func TestReportsSurviveAReconnect(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		b.send(b.run("r1", 100))
		id, err := b.execNC.GetClientID()
		if err != nil {
			t.Fatal(err)
		}
		if err := b.srv.DisconnectClientByID(id); err != nil {
			t.Fatal(err)
		}
		b.complete("r1")
		b.pass(time.Second)
		if b.told.Connection != 1 {
			t.Errorf("after one loss it says that there were %d", b.told.Connection)
		}
		if reports := b.take(); len(reports) == 0 || reports[0].Data.Kind != wire.Completed {
			t.Fatalf("the reports are %+v", reports)
		}
		b.stored(attempt("r1"))
		b.holds(map[string]wire.HeldState{})
	})
}
