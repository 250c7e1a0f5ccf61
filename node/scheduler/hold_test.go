package scheduler_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// Design 14: while claims are held, nothing that is due is taken: no item is
// claimed and no occurrence decided, whatever the clock says. All else goes on, and
// what became due is taken at once when they are not held any more.
func TestNothingDueIsTakenWhileClaimsAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		defer st.boot().Stop()
		x := st.executor("x1", "i1", 4, succeed(time.Millisecond))
		defer x.kill()
		time.Sleep(time.Second)
		st.function("hello", "code")
		name, cron, every := "each", "* * * * * *", "hello"
		c, refused := command.NewCreateTrigger(st.by("admin"), api.TriggerInput{Name: &name, CronSchedule: &cron, Function: &api.RefInput{IDOrName: every}}, "sts_0000000000000001")
		if refused != nil {
			t.Fatal(refused)
		}
		st.do(c, st.item("0000000000000001", "hello", 2500*time.Millisecond))
		time.Sleep(1600 * time.Millisecond)
		before := st.judge()
		if len(before.Runs) == 0 {
			t.Fatal("nothing ran before")
		}
		st.HoldClaims(true)
		st.skew.Store(int64(time.Hour))
		time.Sleep(10 * time.Second)
		st.do(st.item("0000000000000002", "hello", -time.Second)) // commands are taken
		time.Sleep(10 * time.Second)
		if now := len(st.judge().Runs); now != len(before.Runs) {
			t.Errorf("%d occurrences were decided while claims were held", now-len(before.Runs))
		}
		for _, id := range []string{"0000000000000001", "0000000000000002"} {
			if status := st.status(id); status != projection.Queued {
				t.Errorf("item %s was claimed while claims were held: status %d", id, status)
			}
		}
		st.skew.Store(0)
		st.HoldClaims(false)
		time.Sleep(100 * time.Millisecond)
		for _, id := range []string{"0000000000000001", "0000000000000002"} {
			if status := st.status(id); status != projection.Completed {
				t.Errorf("item %s waits although claims are not held any more: status %d", id, status)
			}
		}
		if now := len(st.judge().Runs); now == len(before.Runs) {
			t.Error("no occurrence was decided since")
		}
	})
}
