package scheduler_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/projection"
)

// An item runs when it is due, not before, once, and its life is in the log.
func TestItemRunsWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 2, succeed(time.Millisecond))
		defer e.kill()
		st.function("hello", "def execute(current_user, **kwargs): pass")
		st.do(st.item("0000000000000001", "hello", 2*time.Second))

		time.Sleep(2*time.Second - time.Millisecond)
		synctest.Wait()
		if got := st.status("0000000000000001"); got != projection.Queued {
			t.Fatalf("a millisecond before its time the item is %v", got)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if got := st.status("0000000000000001"); got != projection.Completed {
			t.Fatalf("after its time the item is %v", got)
		}
		v := st.judge()
		v.AllEnded()
		i := v.Items["sci_0000000000000001"]
		if len(v.Violations) > 0 || len(i.Claims) != 1 || i.Claims[0].Executor != "local" || i.Claims[0].Incarnation != "i1" {
			t.Fatalf("claims %+v, violations %v", i.Claims, v.Violations)
		}
	})
}

// Acknowledgements get lost, appends land late, outcomes stay unknown: what was
// acknowledged is stored once, and nothing is decided twice.
func TestUnknownOutcomesAreNotFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		st := newStage(t, memlog.Faults{BeforeAppend: func(string, string) memlog.Fault {
			n++
			switch n % 7 {
			case 2:
				return memlog.Fault{Kind: memlog.Lost, Delay: 30 * time.Millisecond}
			case 4:
				return memlog.Fault{Kind: memlog.AckLost, Delay: 20 * time.Millisecond}
			case 6:
				return memlog.Fault{Kind: memlog.Late, Delay: 200 * time.Millisecond}
			}
			return memlog.Fault{}
		}})
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 8, succeed(5*time.Millisecond))
		defer e.kill()
		st.function("hello", "code")
		const items = 300
		for i := range items {
			st.do(st.item(fmt.Sprintf("%016d", i), "hello", time.Duration(i%50)*time.Millisecond))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		v := st.judge()
		v.AllEnded()
		if len(v.Items) != items || len(v.Violations) > 0 {
			t.Fatalf("%d of %d items are in the log; %v", len(v.Items), items, v.Violations)
		}
		for run, received := range e.runs() {
			if len(received) != 1 {
				t.Errorf("run %s was sent %d times", run, len(received))
			}
		}
	})
}

// A later process of the node opens the lane: the earlier one cannot append any
// more, says so, and sends nothing.
func TestAnEarlierProcessIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		old := st.boot()
		defer old.Stop()
		st.function("hello", "code")
		st.do(st.item("0000000000000001", "hello", time.Hour))

		st.boot()
		defer st.Stop()
		answer, refused := old.Do(t.Context(), false, nil, st.item("0000000000000002", "hello", time.Hour))
		if refused == nil || refused.Code != api.Timeout {
			t.Fatalf("the earlier process answered %v %v", answer, refused)
		}
		<-old.Done()
		if !errors.Is(old.Err(), scheduler.ErrFenced) {
			t.Fatalf("it ended with %v", old.Err())
		}
		st.do(st.item("0000000000000003", "hello", time.Hour))
		v := st.judge()
		if v.Items["sci_0000000000000002"] != nil || v.Items["sci_0000000000000003"] == nil || v.Openings != 2 {
			t.Fatalf("items %v, openings %d", v.Items, v.Openings)
		}
	})
}

// An idle process finds an opening after its own without being asked anything.
func TestAnIdleProcessFindsItsSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		old := st.boot()
		defer old.Stop()
		time.Sleep(100 * time.Millisecond)
		st.boot()
		defer st.Stop()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if !errors.Is(old.Err(), scheduler.ErrFenced) {
			t.Fatalf("the earlier process goes on: %v", old.Err())
		}
	})
}

// A process dies with attempts open. Its successor leaves what the executor
// holds, sends again what it never got, and takes up what another incarnation
// had.
func TestOpenAttemptsAreTakenUp(t *testing.T) {
	for name, c := range map[string]struct {
		incarnation string // of the executor that the successor meets
		drop        bool   // the run was never received
		attempts    int
		receipts    int // of the first attempt
	}{
		"held by the same incarnation":           {"i1", false, 1, 1},
		"never received by the same incarnation": {"i1", true, 1, 1},
		"had by another incarnation":             {"i2", false, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStage(t, memlog.Faults{})
				st.boot()
				e := st.executor("local", "i1", 2, succeed(4*time.Second))
				dropped := false
				e.drop = func(wire.Run) bool { dropped = true; return c.drop }
				st.function("slow", "code")
				st.do(st.item("0000000000000001", "slow", 0))
				time.Sleep(time.Second)
				synctest.Wait()
				if !dropped {
					t.Fatal("nothing was sent")
				}
				st.Stop()
				e.mu.Lock()
				e.drop = nil
				e.mu.Unlock()

				last := e
				if c.incarnation != "i1" {
					e.kill()
					last = st.executor("local", c.incarnation, 2, succeed(time.Second))
				}
				defer last.kill()
				st.boot()
				defer st.Stop()
				time.Sleep(30 * time.Second)
				synctest.Wait()
				v := st.judge()
				v.AllEnded()
				i := v.Items["sci_0000000000000001"]
				if len(v.Violations) > 0 || i.Status != "Completed" || len(i.Claims) != c.attempts {
					t.Fatalf("%s with %d attempts; %v", i.Status, len(i.Claims), v.Violations)
				}
				if got := len(e.runs()["run_0000000000000001"]); got != c.receipts {
					t.Errorf("the first attempt was received %d times", got)
				}
			})
		})
	}
}

// A run message that is lost on its way, while both sides live, is sent again.
func TestALostRunIsSentAgain(t *testing.T) {
	theFirstRunIsLost(t, func(*executor) { time.Sleep(10 * time.Second) })
}

// A run that was on its way to an executor whose connection broke is sent again
// as soon as that is back, not when it has been missing for a while.
func TestARunLostWithTheConnectionIsSentAgainAtOnce(t *testing.T) {
	theFirstRunIsLost(t, func(e *executor) {
		time.Sleep(100 * time.Millisecond)
		e.mu.Lock()
		e.lost++
		body := e.sign()
		e.mu.Unlock()
		_ = e.bus.Publish(wire.DefaultPrefix.AnnounceSubject(e.name), body)
		time.Sleep(100 * time.Millisecond)
	})
}

// theFirstRunIsLost tells of one that is to have been sent twice and claimed once
// when what happens then is over.
func theFirstRunIsLost(t *testing.T, then func(*executor)) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 2, succeed(time.Millisecond))
		defer e.kill()
		sent := 0
		e.drop = func(wire.Run) bool { sent++; return sent == 1 }
		st.function("hello", "code")
		st.do(st.item("0000000000000001", "hello", 0))
		then(e)
		synctest.Wait()
		v := st.judge()
		v.AllEnded()
		if i := v.Items["sci_0000000000000001"]; len(v.Violations) > 0 || len(i.Claims) != 1 || sent != 2 {
			t.Fatalf("%d claims, sent %d times; %v", len(i.Claims), sent, v.Violations)
		}
	})
}

// An executor falls silent: its attempt is interrupted and taken up by another,
// at most three times more; the report that comes too late changes nothing.
func TestALostExecutorIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		first := st.executor("one", "i1", 1, succeed(20*time.Second))
		defer first.kill()
		st.function("slow", "code")
		st.do(st.item("0000000000000001", "slow", 0))
		time.Sleep(2 * time.Second)
		first.mu.Lock()
		first.silent = true
		first.mu.Unlock()
		second := st.executor("two", "i2", 1, succeed(30*time.Second))
		defer second.kill()
		time.Sleep(time.Minute)
		synctest.Wait()
		v := st.judge()
		v.AllEnded()
		i := v.Items["sci_0000000000000001"]
		if len(v.Violations) > 0 || i.Status != "Completed" || len(i.Claims) != 2 || i.Claims[1].Executor != "two" {
			t.Fatalf("%s, claims %+v; %v", i.Status, i.Claims, v.Violations)
		}
		if st.Stats().VoidReports.Load() == 0 {
			t.Error("the late report was not noticed")
		}
	})
}

// Losses are counted apart from failures, and the fourth is the last.
func TestLossesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		st.function("slow", "code")
		st.do(st.item("0000000000000001", "slow", 0))
		for n := range 6 {
			e := st.executor("local", fmt.Sprint("i", n), 1, succeed(time.Hour))
			time.Sleep(3 * time.Second)
			e.kill()
			time.Sleep(3 * time.Second)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		v := st.judge()
		if i := v.Items["sci_0000000000000001"]; i.Status != "Failed" || len(i.Claims) != 4 {
			t.Fatalf("%s after %d attempts", i.Status, len(i.Claims))
		}
	})
}

// Code that raises is tried again by its retry, with growing pauses.
func TestRetryWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 1, fail(time.Millisecond))
		defer e.kill()
		st.function("bad", "code")
		attempts, backoff := 3, "10s"
		st.do(st.item("0000000000000001", "bad", time.Second, func(in *api.ItemInput) {
			in.Retry = &api.RetryInput{MaxAttempts: &attempts, Backoff: &backoff}
		}))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		v := st.judge()
		i := v.Items["sci_0000000000000001"]
		if i.Status != "Failed" || len(i.Claims) != 3 {
			t.Fatalf("%s after %d attempts", i.Status, len(i.Claims))
		}
		for n, least := range []time.Duration{0, 10 * time.Second, 20 * time.Second} {
			if n == 0 {
				continue
			}
			if pause := i.Claims[n].At.Sub(i.Claims[n-1].At); pause < least || pause > least+time.Second {
				t.Errorf("attempt %d came %v after the one before it", n+1, pause)
			}
		}
	})
}

// Cancels race claims at the very moment of the due time: one that was answered
// is never followed by a claim, one that was refused found a claim.
func TestACancelThatWasAnsweredIsNeverFollowedByAClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{BeforeAppend: func(string, string) memlog.Fault {
			return memlog.Fault{Kind: memlog.Delayed, Delay: 300 * time.Microsecond}
		}})
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 64, succeed(2*time.Millisecond))
		defer e.kill()
		st.function("hello", "code")
		const races = 3000
		answered := map[string]bool{}
		for i := range races {
			id := fmt.Sprintf("%016d", i)
			st.do(st.item(id, "hello", 3*time.Millisecond))
			time.Sleep(2500*time.Microsecond + time.Duration(i%11)*100*time.Microsecond)
			c := cancelOf(st, id)
			answer, refused := st.Do(t.Context(), false, nil, c)
			if refused != nil {
				t.Fatal(refused)
			}
			answered[eventlog.PrefixItem+id] = answer.Outcomes[0].Err == nil
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		v := st.judge()
		v.AllEnded()
		won, lost := 0, 0
		for id, canceled := range answered {
			i := v.Items[id]
			if canceled {
				won++
			} else {
				lost++
			}
			if canceled && len(i.Claims) > 0 || !canceled && len(i.Claims) == 0 {
				t.Errorf("item %s: cancel answered %v, %d claims", id, canceled, len(i.Claims))
			}
		}
		if won < races/10 || lost < races/10 || len(v.Violations) > 0 {
			t.Fatalf("inconclusive or wrong: %d cancels won, %d lost; %v", won, lost, v.Violations)
		}
		t.Logf("%d races: %d cancels won, %d lost", races, won, lost)
	})
}

// A clock that goes back between the moment at which an item is due and that at
// which there is room for it: it waits for its time anew.
func TestAClockThatGoesBackLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		st.function("hello", "code")
		st.do(st.item("0000000000000001", "hello", time.Second))
		time.Sleep(2 * time.Second) // it is due, and nobody is there to run it
		st.skew.Store(int64(-10 * time.Second))
		e := st.executor("local", "i1", 2, succeed(time.Millisecond))
		defer e.kill()
		time.Sleep(5 * time.Second)
		if got := st.status("0000000000000001"); got != projection.Queued {
			t.Fatalf("before its time the item is %v", got)
		}
		time.Sleep(10 * time.Second)
		st.judge().AllEnded()
		if got := st.status("0000000000000001"); got != projection.Completed {
			t.Fatalf("after its time the item is %v", got)
		}
	})
}
