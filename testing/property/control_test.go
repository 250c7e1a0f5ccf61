package property

import (
	"flag"
	"fmt"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// witness is a test that may fail.
type witness struct {
	testing.TB
	failed bool
	said   string
}

func (w *witness) Helper()      {}
func (w *witness) Log(...any)   {}
func (w *witness) Failed() bool { return w.failed }
func (w *witness) Fail()        { w.failed = true }

// FailNow implements rapid.TB.
func (w *witness) FailNow() {
	w.failed = true
	runtime.Goexit()
}

// Logf keeps the last line: the reason.
func (w *witness) Logf(format string, args ...any) { w.said = fmt.Sprintf(format, args...) }

// Errorf implements rapid.TB.
func (w *witness) Errorf(format string, args ...any) {
	w.Logf(format, args...)
	w.Fail()
}

// Fatalf implements rapid.TB.
func (w *witness) Fatalf(format string, args ...any) {
	w.Logf(format, args...)
	w.FailNow()
}

// TestControls plants faults into deciding and evolving, each of which must be
// found.
func TestControls(t *testing.T) {
	shrink := flag.Lookup("rapid.shrinktime")
	defer func(before string) { _ = shrink.Value.Set(before) }(shrink.Value.String())
	if err := shrink.Value.Set("100ms"); err != nil { // nobody reads these sequences
		t.Fatal(err)
	}
	for name, plant := range map[string]func(*world){
		"an evolution that forgets a claim": func(w *world) {
			w.evolve = func(s *projection.State, e *eventlog.Event, at projection.At) {
				if _, claimed := eventlog.ForItem(e.Data).(*eventlog.ItemClaimed); !claimed {
					s.Evolve(e, at)
				}
			}
		},
		"an evolution that is not the log's": func(w *world) {
			w.evolve = func(s *projection.State, e *eventlog.Event, at projection.At) {
				late := *e
				late.Time++
				s.Evolve(&late, at)
			}
		},
		"a decision that takes any report": func(w *world) {
			w.decide = func(own *projection.Partition, hints projection.Hints, c command.Command) ([]eventlog.Event, *api.Error) {
				if f, finishes := c.(command.FinishItem); finishes {
					if i := own.Item(f.ID); i != nil && i.Live != nil && i.Live.Run != nil {
						f.Attempt, f.Executor, f.Incarnation = i.Live.Run.Attempt, i.Live.Run.Executor, i.Live.Run.Incarnation
					}
					c = f
				}
				return command.Decide(own, hints, c)
			}
		},
		"a decision with the revision before": func(w *world) {
			w.decide = func(own *projection.Partition, hints projection.Hints, c command.Command) ([]eventlog.Event, *api.Error) {
				events, refused := command.Decide(own, hints, c)
				for n := range events {
					if events[n].Revision > 1 {
						events[n].Revision--
					}
				}
				return events, refused
			}
		},
		"a claim before its time": func(w *world) {
			w.decide = func(own *projection.Partition, hints projection.Hints, c command.Command) ([]eventlog.Event, *api.Error) {
				claim, claims := c.(command.ClaimItem)
				if !claims {
					return command.Decide(own, hints, c)
				}
				now := claim.Now
				claim.Now += 60_000
				events, refused := command.Decide(own, hints, claim)
				for n := range events {
					events[n].Time = now
				}
				return events, refused
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			found, done := &witness{TB: t}, make(chan struct{})
			go func() {
				defer close(done)
				rapid.Check(found, sequence(plant))
			}()
			<-done
			if !found.failed {
				t.Fatal("nothing was found")
			}
			t.Logf("%.400s", found.said)
		})
	}
}
