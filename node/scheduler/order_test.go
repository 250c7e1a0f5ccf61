package scheduler_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
)

// slowly makes every append take a while, so that what leaves too early shows.
func slowly(takes time.Duration) memlog.Faults {
	return memlog.Faults{BeforeAppend: func(string, string) memlog.Fault {
		return memlog.Fault{Kind: memlog.Delayed, Delay: takes}
	}}
}

// holds says whether the log holds an event of a type about an entity.
func (st *stage) holds(t eventlog.Type, subject string) bool {
	for _, c := range st.commits() {
		events, err := eventlog.Decode(c.Body)
		if err != nil {
			st.t.Fatal(err)
		}
		for _, e := range events {
			if e.Type() == t && e.Subject == subject {
				return true
			}
		}
	}
	return false
}

// An answer, also a refusal, leaves when what it rests on is stored.
func TestAnAnswerMeansStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, slowly(5*time.Millisecond))
		st.boot()
		defer st.Stop()
		st.function("hello", "code")
		var asking sync.WaitGroup
		for n := range 50 {
			id := fmt.Sprintf("%016d", n)
			for range 2 { // the second is refused, because of the first
				asking.Go(func() {
					answer, refused := st.Do(t.Context(), false, nil, st.item(id, "hello", time.Hour))
					if refused != nil {
						t.Error(refused)
						return
					}
					if !st.holds(eventlog.TypeItemCreated, eventlog.PrefixItem+id) {
						t.Errorf("item %s is answered (%v) and not in the log", id, answer.Outcomes[0].Err)
					}
				})
			}
			asking.Wait()
		}
	})
}

// A read shows only what is stored, also when it comes while a commit is on its
// way.
func TestAReadWaitsForWhatItSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, slowly(20*time.Millisecond))
		st.boot()
		defer st.Stop()
		st.function("hello", "code")
		var asking sync.WaitGroup
		asking.Go(func() { st.do(st.item("0000000000000001", "hello", time.Hour)) })
		time.Sleep(5 * time.Millisecond) // decided, not stored
		st.status("0000000000000001")
		if !st.holds(eventlog.TypeItemCreated, "sci_0000000000000001") {
			t.Error("a read showed what was not stored")
		}
		asking.Wait()
	})
}

// A run is sent when its claim is stored, a report is acknowledged when its
// event is.
func TestEffectsFollowTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, slowly(5*time.Millisecond))
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 4, succeed(time.Millisecond))
		defer e.kill()
		runs, acknowledgements := 0, 0
		watch := func(subject string, look func([]byte)) {
			stop, err := st.bus.Subscribe(subject, func(_ string, body []byte) { look(body) })
			if err != nil {
				t.Fatal(err)
			}
			e.stops = append(e.stops, stop)
		}
		watch(wire.DefaultPrefix.RunSubject("default", "local"), func(body []byte) {
			var r wire.Run
			_ = json.Unmarshal(body, &r)
			if runs++; !st.holds(eventlog.TypeItemClaimed, r.Source.ID) {
				t.Errorf("%s was sent before its claim was stored", r.Run)
			}
		})
		watch(wire.DefaultPrefix.ExecSubject("local", wire.VerbStored), func(body []byte) {
			var s wire.Stored
			_ = json.Unmarshal(body, &s)
			for _, a := range s.Attempts {
				if acknowledgements++; !st.holds(eventlog.TypeItemCompleted, eventlog.ItemOfRun(a.Run)) {
					t.Errorf("the report of %s was acknowledged before it was stored", a.Run)
				}
			}
		})
		st.function("hello", "code")
		for n := range 20 {
			st.do(st.item(fmt.Sprintf("%016d", n), "hello", 0))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if runs != 20 || acknowledgements < 20 {
			t.Errorf("%d runs, %d acknowledgements", runs, acknowledgements)
		}
	})
}

// A stream that loses messages while it is served ends the process, which says
// why.
func TestDamageWhileRunning(t *testing.T) {
	for name, harm := range map[string]func(*memlog.Log){
		"shorter": func(l *memlog.Log) { l.Truncate(3) },
		"a hole":  func(l *memlog.Log) { l.Drop(2) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStage(t, memlog.Faults{})
				st.boot()
				defer st.Stop()
				st.function("hello", "code")
				for n := range 5 {
					st.do(st.item(fmt.Sprintf("%016d", n), "hello", time.Hour))
				}
				time.Sleep(2 * time.Second)
				harm(st.log)
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if !errors.Is(st.Err(), eventlog.ErrDamaged) {
					t.Fatalf("it goes on: %v", st.Err())
				}
				_, refused := st.Do(t.Context(), false, nil, st.item("0000000000000009", "hello", time.Hour))
				if refused == nil || refused.Code != api.Unavailable {
					t.Errorf("a command is answered with %v", refused)
				}
			})
		})
	}
}

// A stop stores what is decided, also a commit that waits for company.
func TestAStopStoresWhatIsDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, slowly(5*time.Millisecond))
		st.boot()
		st.function("hello", "code")
		var asking sync.WaitGroup
		acknowledged := make([]bool, 200)
		for n := range acknowledged {
			asking.Go(func() {
				time.Sleep(time.Duration(n) * 100 * time.Microsecond)
				id := fmt.Sprintf("%016d", n)
				_, refused := st.Do(t.Context(), false, nil, st.item(id, "hello", time.Hour))
				acknowledged[n] = refused == nil
			})
		}
		time.Sleep(11 * time.Millisecond)
		begun := time.Now()
		st.Stop()
		if took := time.Since(begun); took > 100*time.Millisecond {
			t.Errorf("the stop took %v", took)
		}
		asking.Wait()
		for n, ok := range acknowledged {
			if ok && !st.holds(eventlog.TypeItemCreated, eventlog.PrefixItem+fmt.Sprintf("%016d", n)) {
				t.Errorf("item %d was acknowledged and is not in the log", n)
			}
		}
	})
}

// While the log does not answer, nobody is taken for lost: a long run goes on.
func TestASilentLogLosesNoExecutor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var outage atomic.Bool
		st := newStage(t, memlog.Faults{BeforeAppend: func(string, string) memlog.Fault {
			if outage.Load() {
				return memlog.Fault{Kind: memlog.Lost, Delay: time.Second}
			}
			return memlog.Fault{}
		}})
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 1, succeed(time.Minute))
		defer e.kill()
		st.function("slow", "code")
		st.do(st.item("0000000000000001", "slow", 0))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		outage.Store(true)
		for n := range 40 { // more than may be open
			go func() {
				_, _ = st.Do(t.Context(), false, nil, st.item(fmt.Sprintf("%016d", n+2), "slow", time.Hour, func(in *api.ItemInput) {
					in.Data = []byte(`{"x":"` + strings.Repeat("x", 200_000) + `"}`)
				}))
			}()
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		outage.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if i := st.judge().Items["sci_0000000000000001"]; i.Status != "Completed" || len(i.Claims) != 1 {
			t.Errorf("the long run is %s after %d claims", i.Status, len(i.Claims))
		}
	})
}
