package scheduler_test

import (
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

// trigger makes the command that creates a trigger.
func (st *stage) trigger(id, cron, function string, change ...func(*api.TriggerInput)) command.CreateTrigger {
	st.t.Helper()
	input := api.TriggerInput{Name: &id, CronSchedule: &cron, Function: &api.RefInput{IDOrName: function}}
	for _, c := range change {
		c(&input)
	}
	c, refused := command.NewCreateTrigger(st.by("admin"), input, eventlog.PrefixTrigger+id)
	if refused != nil {
		st.t.Fatal(refused)
	}
	return c
}

// life is what the log says of a trigger's occurrences and their runs.
type life struct {
	fired   []*eventlog.TriggerFired
	skipped []*eventlog.TriggerSkipped
	claims  map[string]int // by run
	ended   map[string]eventlog.Type
}

func (st *stage) life(trigger string) life {
	st.t.Helper()
	l := life{claims: map[string]int{}, ended: map[string]eventlog.Type{}}
	for _, c := range st.commits() {
		events, err := eventlog.Decode(c.Body)
		if err != nil {
			st.t.Fatal(err)
		}
		for _, e := range events {
			switch d := e.Data.(type) {
			case *eventlog.TriggerFired:
				if e.Subject == trigger {
					l.fired = append(l.fired, d)
				}
			case *eventlog.TriggerSkipped:
				if e.Subject == trigger {
					l.skipped = append(l.skipped, d)
				}
			case *eventlog.RunClaimed:
				l.claims[e.Subject]++
			case *eventlog.RunCompleted, *eventlog.RunFailed, *eventlog.RunCanceled:
				l.ended[e.Subject] = e.Type()
			}
		}
	}
	return l
}

const tick = "sts_0000000000000001"

// Each second of a one-second trigger becomes one run, at its time.
func TestTriggerFiresAtEachOccurrence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 2, succeed(time.Millisecond))
		defer e.kill()
		st.function("hello", "code")
		st.do(st.trigger("0000000000000001", "* * * * * *", "hello"))
		begun := time.Now()
		time.Sleep(60*time.Second + 500*time.Millisecond)
		synctest.Wait()
		l := st.life(tick)
		if len(l.fired) != 60 || len(l.skipped) != 0 {
			t.Fatalf("%d fired, %d skipped in 60 s", len(l.fired), len(l.skipped))
		}
		for n, f := range l.fired {
			want := eventlog.TimeOf(begun.Truncate(time.Second).Add(time.Duration(n+1) * time.Second))
			if f.ScheduledFor != want || f.Missed != nil || l.claims[f.Run] != 1 || l.ended[f.Run] != eventlog.TypeRunCompleted {
				t.Fatalf("occurrence %d: %+v, %d claims, %s; want %s", n, f, l.claims[f.Run], l.ended[f.Run], want)
			}
		}
		st.judge()
	})
}

// A node that was down for eight hours, and one whose machine slept for them,
// start one run for each trigger at once, which says what was missed.
func TestEightHoursMissed(t *testing.T) {
	for name, sleep := range map[string]func(*stage){
		"down": func(st *stage) {
			st.Stop()
			time.Sleep(8 * time.Hour)
			st.boot()
		},
		"asleep": func(st *stage) { st.skew.Add(int64(8 * time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStage(t, memlog.Faults{})
				st.boot()
				defer func() { st.Stop() }()
				e := st.executor("local", "i1", 4, succeed(time.Millisecond))
				defer e.kill()
				st.function("hello", "code")
				st.do(
					st.trigger("0000000000000001", "0 * * * *", "hello"),
					st.trigger("0000000000000002", "0 0 1 1 *", "hello"),
					st.trigger("0000000000000003", "* * * * * *", "hello", func(in *api.TriggerInput) { in.CatchUp = text("none") }),
				)
				time.Sleep(1500 * time.Millisecond)
				slept := st.clock()
				sleep(st)
				woke := eventlog.TimeOf(st.clock())
				time.Sleep(2 * time.Second)
				synctest.Wait()

				l := st.life(tick)
				if len(l.fired) != 1 || len(l.skipped) != 1 {
					t.Fatalf("%d fired, %d skipped", len(l.fired), len(l.skipped))
				}
				first := slept.Truncate(time.Hour).Add(time.Hour)
				want := eventlog.Span{From: eventlog.TimeOf(first), To: eventlog.TimeOf(first.Add(7 * time.Hour)), Count: 8}
				if l.fired[0].Missed == nil || *l.fired[0].Missed != want || l.fired[0].ScheduledFor != want.To {
					t.Errorf("fired %+v, missed %+v, want %+v", l.fired[0], l.fired[0].Missed, want)
				}
				if s := l.skipped[0]; s.From != want.From || s.Count != 7 || s.Reason != eventlog.SkipMissed {
					t.Errorf("skipped %+v", s)
				}
				if l.ended[l.fired[0].Run] != eventlog.TypeRunCompleted {
					t.Error("the run that catches up has not ended")
				}
				if l := st.life("sts_0000000000000002"); len(l.fired)+len(l.skipped) != 0 {
					t.Errorf("a trigger that missed nothing has %+v", l)
				}
				none := st.life("sts_0000000000000003")
				if s := none.skipped[0]; s.Reason != eventlog.SkipMissed || s.To > woke+1000 || s.Count < 8*3600-2 {
					t.Errorf("with catch_up none: %+v", s)
				}
				for _, f := range none.fired {
					if f.Missed != nil {
						t.Errorf("with catch_up none a run catches up: %+v", f)
					}
				}
				st.judge()
			})
		})
	}
}

// A clock that jumps back an hour fires nothing twice.
func TestClockJumpsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer func() { st.Stop() }()
		e := st.executor("local", "i1", 2, succeed(time.Millisecond))
		defer e.kill()
		st.function("hello", "code")
		st.do(st.trigger("0000000000000001", "*/10 * * * *", "hello"))
		time.Sleep(65 * time.Minute)
		before := len(st.life(tick).fired)
		st.skew.Store(-int64(time.Hour))
		time.Sleep(30 * time.Minute)
		st.Stop()
		st.boot() // nor does a process that never knew the later time
		time.Sleep(29 * time.Minute)
		synctest.Wait()
		if after := len(st.life(tick).fired); after != before {
			t.Errorf("%d occurrences fired while the hour was repeated", after-before)
		}
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		seen := map[eventlog.Time]bool{}
		for _, f := range st.life(tick).fired {
			if seen[f.ScheduledFor] {
				t.Errorf("%s fired twice", f.ScheduledFor)
			}
			seen[f.ScheduledFor] = true
		}
		if len(seen) <= before {
			t.Error("nothing fired when the hour was over")
		}
	})
}

// While a run has not ended, occurrences are skipped and said to be; with
// overlap allow they are not.
func TestOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 8, succeed(2500*time.Millisecond))
		defer e.kill()
		st.function("slow", "code")
		st.do(
			st.trigger("0000000000000001", "* * * * * *", "slow"),
			st.trigger("0000000000000002", "* * * * * *", "slow", func(in *api.TriggerInput) { in.Overlap = text("allow") }),
		)
		time.Sleep(9500 * time.Millisecond)
		synctest.Wait()
		skipping, allowing := st.life(tick), st.life("sts_0000000000000002")
		if len(skipping.fired) != 3 || len(skipping.skipped) != 6 || skipping.skipped[0].Reason != eventlog.SkipOverlap {
			t.Errorf("skip: %d fired, %d skipped", len(skipping.fired), len(skipping.skipped))
		}
		if len(allowing.fired) != 9 || len(allowing.skipped) != 0 {
			t.Errorf("allow: %d fired, %d skipped", len(allowing.fired), len(allowing.skipped))
		}
		st.judge()
	})
}

// What waits when a pause or a deletion is answered never starts.
func TestPauseAndDeleteEndWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		st.function("hello", "code")
		st.do(st.trigger("0000000000000001", "* * * * * *", "hello"), st.trigger("0000000000000002", "* * * * * *", "hello"))
		time.Sleep(1500 * time.Millisecond) // there is no executor: the runs wait
		st.do(command.PauseTrigger{By: st.by("admin"), ID: tick}, command.DeleteTrigger{By: st.by("admin"), ID: "sts_0000000000000002"})
		e := st.executor("local", "i1", 2, succeed(time.Millisecond))
		defer e.kill()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		for _, id := range []string{tick, "sts_0000000000000002"} {
			l := st.life(id)
			if len(l.fired) != 1 || l.claims[l.fired[0].Run] != 0 || l.ended[l.fired[0].Run] != eventlog.TypeRunCanceled {
				t.Errorf("%s: %d fired, %d claims, %s", id, len(l.fired), l.claims[l.fired[0].Run], l.ended[l.fired[0].Run])
			}
			// What made the run can be read back, though it ended in another commit.
			if _, refused := st.Read(t.Context(), func(s *projection.State) {
				if _, pending := projection.IsPending(s.Item(l.fired[0].Run).Fired); pending {
					t.Errorf("%s: the sequence of what fired is not known", id)
				}
			}); refused != nil {
				t.Fatal(refused)
			}
		}
		st.judge()
	})
}

// A run by hand works while the trigger is paused, and a cancel stops it.
func TestRunByHandAndItsCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 2, succeed(time.Hour))
		defer e.kill()
		st.function("slow", "code")
		st.do(st.trigger("0000000000000001", "* * * * * *", "slow", func(in *api.TriggerInput) { in.Active = new(bool) }))
		run := st.DrawRun(eventlog.PartitionOf(eventlog.EntityTrigger, tick))
		st.do(command.RunTrigger{By: st.by("admin"), ID: tick, Run: run})
		time.Sleep(time.Second)
		waited := make(chan struct{})
		go func() {
			st.WaitRun(t.Context(), run)
			close(waited)
		}()
		synctest.Wait()
		select {
		case <-waited:
			t.Fatal("a run that goes on is said to have ended")
		default:
		}
		if refused := st.CancelRun(t.Context(), st.by("admin"), run, "enough"); refused != nil {
			t.Fatal(refused)
		}
		<-waited
		var status projection.Status
		var manual wire.Source
		if _, refused := st.Read(t.Context(), func(s *projection.State) { status = s.Run(run).Status }); refused != nil {
			t.Fatal(refused)
		}
		for _, runs := range e.runs() {
			manual = runs[0].Source
		}
		if status != projection.Canceled || manual != (wire.Source{Kind: "trigger", ID: tick}) {
			t.Errorf("the run is %v, its source %+v", status, manual)
		}
		st.judge()
	})
}

// A restart, from a snapshot or from nothing, knows what was decided.
func TestTriggersSurviveRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.snapshot = t.TempDir() + "/snapshot"
		st.boot()
		defer func() { st.Stop() }()
		e := st.executor("local", "i1", 2, succeed(time.Millisecond))
		defer e.kill()
		st.function("hello", "code")
		st.do(st.trigger("0000000000000001", "* * * * * *", "hello"))
		for range 10 {
			time.Sleep(3300 * time.Millisecond)
			st.Stop()
			st.boot()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		l, seen := st.life(tick), map[eventlog.Time]int{}
		for _, f := range l.fired {
			seen[f.ScheduledFor]++
		}
		for at, n := range seen {
			if n != 1 {
				t.Errorf("%s fired %d times", at, n)
			}
		}
		if len(seen) < 34 {
			t.Errorf("%d occurrences fired in 35 s", len(seen))
		}
		st.judge()
	})
}

func text(s string) *string { return &s }

// A run that goes on while the node restarts is an overlap after it, too.
func TestOverlapAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.snapshot = t.TempDir() + "/snapshot"
		st.boot()
		defer func() { st.Stop() }()
		e := st.executor("local", "i1", 2, succeed(time.Minute))
		defer e.kill()
		st.function("slow", "code")
		st.do(st.trigger("0000000000000001", "* * * * * *", "slow"))
		time.Sleep(1500 * time.Millisecond)
		st.Stop() // which writes a snapshot
		st.boot()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if l := st.life(tick); len(l.fired) != 1 || len(l.skipped) != 10 {
			t.Errorf("%d fired, %d skipped while the first run went on", len(l.fired), len(l.skipped))
		}
		st.judge()
	})
}
