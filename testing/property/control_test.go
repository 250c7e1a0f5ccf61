package property

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// control is a fault in the rules, and what may be said of it, by whichever
// check meets it first.
type control struct {
	plant func(*rules)
	says  []string // any of it
}

// TestAPlantedFaultIsFound: sequences that follow by wrong rules do not pass.
func TestAPlantedFaultIsFound(t *testing.T) {
	noFiles(t)
	set(t, "rapid.shrinktime", "0s") // it is enough that it is found
	set(t, "rapid.checks", "2000")
	for name, c := range controls() {
		t.Run(name, func(t *testing.T) {
			r := product()
			c.plant(&r)
			said := falsified(t.Name(), sequence(r))
			if !slices.ContainsFunc(c.says, func(words string) bool { return strings.Contains(said, words) }) {
				t.Errorf("it was to be found as %q; rapid says: %s", c.says, said)
			}
		})
	}
}

func controls() map[string]control {
	decide := product().decide
	return map[string]control{
		"a fold that forgets an event": {func(r *rules) {
			evolve := r.evolve
			r.evolve = func(s *projection.State, e *eventlog.Event, at projection.At) {
				if _, paused := e.Data.(*eventlog.TriggerPaused); !paused {
					evolve(s, e, at)
				}
			}
		}, foldSays()},
		"a fold that forgets a field": {func(r *rules) {
			evolve := r.evolve
			r.evolve = func(s *projection.State, e *eventlog.Event, at projection.At) {
				if d, called := e.Data.(*eventlog.RunCreated); called {
					less, other := *d, *e
					less.Data, other.Data = nil, &less
					e = &other
				}
				evolve(s, e, at)
			}
		}, foldSays()},
		"a fold that forgets a claim": {func(r *rules) {
			r.evolve = func(s *projection.State, e *eventlog.Event, at projection.At) {
				if _, claimed := eventlog.ForItem(e.Data).(*eventlog.ItemClaimed); !claimed {
					s.Evolve(e, at)
				}
			}
		}, foldSays()},
		"a fold that is not the log's": {func(r *rules) {
			r.evolve = func(s *projection.State, e *eventlog.Event, at projection.At) {
				late := *e
				late.Time++
				s.Evolve(&late, at)
			}
		}, foldSays()},
		"a snapshot that lacks the end": {func(r *rules) {
			r.encode = func(p *projection.Partition) ([]byte, error) { return projection.NewState().Partition(p.ID).Encode() }
		}, []string{"P2: snapshot + tail"}},
		"a revision that is skipped":                 {skipping(decide, false), []string{"the auditor objects"}},
		"a revision that is skipped, and no auditor": {skipping(decide, true), []string{"L6 does not hold"}},
		"a command that is executed twice": {func(r *rules) {
			r.silent = true
			r.decide = func(own *projection.Partition, hints projection.Hints, c command.Command) ([]eventlog.Event, *api.Error) {
				events, refused := decide(own, hints, c)
				if _, claim := c.(command.ClaimItem); claim && len(events) == 1 {
					again := events[0]
					again.Revision++
					events = append(events, again)
				}
				return events, refused
			}
		}, []string{"C1 does not hold"}},
		"a claim before its time": {each(decide, func(c command.Command, events []eventlog.Event) {
			if _, claim := c.(command.ClaimItem); claim && len(events) > 0 {
				events[0].Time -= 3_600_000
			}
		}, false), []string{"C3: it is claimed before its time"}},
		"a report of any attempt": {func(r *rules) {
			r.decide = func(own *projection.Partition, hints projection.Hints, c command.Command) ([]eventlog.Event, *api.Error) {
				f, finish := c.(command.FinishItem)
				if i := own.Item(f.ID); finish && i != nil && i.Live != nil && i.Live.Run != nil {
					f.Attempt = i.Live.Run.Attempt
					c = f
				}
				return decide(own, hints, c)
			}
		}, []string{"a report of which it is false that it counts"}},
		"a create that does not look": {func(r *rules) {
			r.decide = func(own *projection.Partition, hints projection.Hints, c command.Command) ([]eventlog.Event, *api.Error) {
				switch c.(type) {
				case command.CreateItem, command.CreateTrigger, command.CreateFunction:
					own = projection.NewState().Partition(own.ID)
				}
				return decide(own, hints, c)
			}
		}, []string{"L6: it has revision 1 after", "R1: it is created again"}},
		"a refusal that stores something": {func(r *rules) {
			r.decide = func(own *projection.Partition, hints projection.Hints, c command.Command) ([]eventlog.Event, *api.Error) {
				events, refused := decide(own, hints, c)
				if len(events) > 0 {
					refused = api.Errorf(api.Conflict, "", "it is refused and stored")
				}
				return events, refused
			}
		}, []string{"it is refused ("}},
		"a decision by chance": {func(r *rules) {
			n := 0
			r.decide = func(own *projection.Partition, hints projection.Hints, c command.Command) ([]eventlog.Event, *api.Error) {
				events, refused := decide(own, hints, c)
				events = slices.Clone(events)
				if n++; len(events) > 0 && n%2 == 0 {
					events[0].Time++
				}
				return events, refused
			}
		}, []string{"it is decided as"}},
		"a panic": {instead(decide, func(c command.Command) command.Command {
			if f, ok := c.(command.FinishItem); ok && f.Attempt != 1 {
				panic(fmt.Sprint("there is no attempt ", f.Attempt))
			}
			return c
		}), []string{"there is no attempt"}},
	}
}

// each lets a fault change the events of every decision. Silent leaves it to the
// judge to find it.
func each(decide decideFunc, change func(command.Command, []eventlog.Event), silent bool) func(*rules) {
	return func(r *rules) {
		r.silent = silent
		r.decide = func(own *projection.Partition, hints projection.Hints, c command.Command) ([]eventlog.Event, *api.Error) {
			events, refused := decide(own, hints, c)
			change(c, events)
			return events, refused
		}
	}
}

// foldSays is what may be said of a fold that is not the log's: the auditor knows
// the owner's state, the others the log's.
func foldSays() []string {
	return []string{"P1: ", "the auditor objects", "is remembered at", "is done a second time", "is due at", "a report of which"}
}

// skipping leaves out a revision of whatever changes.
func skipping(decide decideFunc, silent bool) func(*rules) {
	return each(decide, func(_ command.Command, events []eventlog.Event) {
		if len(events) > 0 && events[0].Revision > 1 {
			events[0].Revision++
		}
	}, silent)
}

// instead decides another command.
func instead(decide decideFunc, of func(command.Command) command.Command) func(*rules) {
	return func(r *rules) {
		r.decide = func(own *projection.Partition, hints projection.Hints, c command.Command) ([]eventlog.Event, *api.Error) {
			return decide(own, hints, of(c))
		}
	}
}

// set sets a flag of rapid's for the time of a test.
func set(t *testing.T, name, value string) {
	before := flag.Lookup(name).Value.String()
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := flag.Set(name, before); err != nil {
			t.Error(err)
		}
	})
}

// falsified is what rapid says of a property that must not hold; "" if it holds.
func falsified(name string, property func(*rapid.T)) string {
	r := &recorder{name: name}
	done := make(chan struct{})
	go func() {
		defer close(done)
		rapid.Check(r, property)
	}()
	<-done
	return r.said.String()
}

// recorder takes a failure in the place of a test.
type recorder struct {
	name   string
	failed bool
	said   strings.Builder
}

// Errorf implements rapid.TB, as all that follows.
func (r *recorder) Errorf(format string, args ...any) {
	r.failed = true
	fmt.Fprintf(&r.said, format+"\n", args...)
}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fail() { r.failed = true }

func (r *recorder) FailNow() {
	r.failed = true
	runtime.Goexit()
}

func (r *recorder) Failed() bool { return r.failed }

func (r *recorder) Name() string { return r.name }

func (r *recorder) Helper() {}

func (r *recorder) Log(...any) {}

func (r *recorder) Logf(string, ...any) {}

func (r *recorder) Skip(...any) { runtime.Goexit() }

func (r *recorder) Skipf(string, ...any) { runtime.Goexit() }

func (r *recorder) SkipNow() { runtime.Goexit() }
