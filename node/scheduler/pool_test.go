package scheduler_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// A pool is only a pool, whatever its name: what waits for it waits.
func TestAPoolNamedNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		st.function("hello", "code")
		none := "none"
		c, refused := command.NewUpdateFunction(st.by("admin"), api.FunctionInput{ID: eventlog.PrefixFunction + "hello", Pool: &none})
		if refused != nil {
			t.Fatal(refused)
		}
		st.do(c)
		st.do(st.item("0000000000000001", "hello", 0))
		time.Sleep(time.Minute)
		if got := st.status("0000000000000001"); got != projection.Queued || st.Stats().Claims.Load() != 0 {
			t.Errorf("without an executor it is %v, after %d claims", got, st.Stats().Claims.Load())
		}
	})
}

// The function of what waits is deleted by the owner of functions, who is another
// than that of the item: it ends all the same (design 7).
func TestWhatWaitsForAFunctionDeletedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lag atomic.Int64
		st := newStage(t, memlog.Faults{})
		n1 := st.join("n1", memlog.Faults{BeforeDeliver: func(uint64) time.Duration { return time.Duration(lag.Load()) }})
		n2 := st.join("n2", memlog.Faults{})
		defer n1.Stop()
		defer n2.Stop()
		st.Scheduler = n1
		st.function("hello", "code")
		if err := n1.GiveAway(soon(t), "n2", []int{0}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		lag.Store(int64(2 * time.Second)) // the item is created before its owner knows
		st.Scheduler = n2
		st.do(command.DeleteFunction{By: st.by("admin"), ID: eventlog.PrefixFunction + "hello"})
		st.Scheduler = n1
		st.do(st.item("0000000000000001", "hello", 0))
		time.Sleep(10 * time.Second)
		if got := st.status("0000000000000001"); got != projection.Failed {
			t.Errorf("its function is gone, and it is %v", got)
		}
	})
}

// What a report holds beyond the bounds is cut, whatever it is: else its event
// would be too large for the log, and the run be sent again and again.
func TestAReportOfManyEmptyLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		st.function("hello", "code")
		e := st.executor("x", "I1", 2, func(wire.Run) (wire.Outcome, time.Duration) {
			return wire.Outcome{Kind: wire.Completed, Result: []byte("1"), Logs: make([]wire.LogLine, 12_000)}, time.Millisecond
		})
		defer e.kill()
		st.do(st.item("0000000000000001", "hello", 0))
		time.Sleep(30 * time.Second)
		received := 0
		for _, runs := range e.runs() {
			received += len(runs)
		}
		if got := st.status("0000000000000001"); got != projection.Completed || received != 1 {
			t.Errorf("it is %v, and was sent %d times", got, received)
		}
	})
}
