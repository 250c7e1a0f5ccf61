package sim

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/exec/wire"
)

// worldsMax bounds the search for a world in which a planted fault shows: the
// rarest shows in a third of them.
const worldsMax = 40

// TestControls plants faults into the wiring between the product's parts: the
// judge must see each, as one of the properties that it breaks.
func TestControls(t *testing.T) {
	for name, c := range map[string]struct {
		plant   func(w *World) plant
		kinds   []string // of faults that bring it out
		objects []string // properties, one of which must break
	}{
		"an append without expectation": {
			func(*World) plant { return onLog(func(l eventlog.Log) eventlog.Log { return unfenced{l} }) },
			[]string{faultTakeLive, faultTakeLive, faultTakeSlow, faultBad}, []string{"L7", "L6", "N1"},
		},
		"a new owner that starts before it folded what was before the hand-over": {
			func(*World) plant { return onLog(func(l eventlog.Log) eventlog.Log { return hasty{l} }) },
			[]string{faultHandOver, faultTakeLive}, []string{"N1", "L6", "R1", "R3", "R4", "C1", "C2", "C4"},
		},
		"an effect before the acknowledgement": {
			func(*World) plant { return onLog(func(l eventlog.Log) eventlog.Log { return boaster{l} }) },
			[]string{faultBad, faultCrash}, []string{"L1", "L6", "R6", "L7"},
		},
		"a result of an old attempt accepted": {
			func(w *World) plant {
				w.plan.hosts, w.plan.long = 3, true
				return plant{message: new(forger).rewrite}
			},
			[]string{faultExecCut, faultExecKill}, []string{"R2", "R6"},
		},
		"a projection that forgets an event": {
			func(*World) plant { return onLog(func(l eventlog.Log) eventlog.Log { return forgetful{l} }) },
			[]string{faultBad}, []string{"P1", "L6"},
		},
		"runs that begin late": {
			func(w *World) plant { return plant{dawdle: 100 * w.plan.scale} },
			[]string{faultBad}, []string{"C3"},
		},
		"a trigger that starts from now after a restart": {
			func(w *World) plant {
				return onLog(func(l eventlog.Log) eventlog.Log { return fromNow{l, 5 * w.plan.scale} })
			},
			[]string{faultCrashBlank}, []string{"C2", "C4"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= worldsMax; seed++ {
				_, v := run(t, seed, func(w *World) {
					w.plan.kinds, w.plan.nodes, w.plant = c.kinds, max(w.plan.nodes, 3), c.plant(w)
					w.populate()
				})
				for _, violation := range v.Violations {
					if slices.Contains(c.objects, violation.Property) {
						t.Logf("seen with seed %d: %s", seed, violation)
						return
					}
				}
			}
			t.Errorf("the judge saw nothing of %v in %d worlds", c.objects, worldsMax)
		})
	}
}

func onLog(wrap func(eventlog.Log) eventlog.Log) plant {
	return plant{log: func(_ string, l eventlog.Log) eventlog.Log { return wrap(l) }}
}

// unfenced appends wherever the lane ends.
type unfenced struct{ eventlog.Log }

func (l unfenced) Append(ctx context.Context, lane string, expect eventlog.Expect, id string, body []byte) (uint64, error) {
	for {
		seq, err := l.Log.Append(ctx, lane, expect, id, body)
		if expect.Empty || !errors.Is(err, eventlog.ErrOccupied) {
			return seq, err
		}
		for m, err := l.Next(ctx, lane, expect.LaneSeq+1); err == nil; m, err = l.Next(ctx, lane, expect.LaneSeq+1) {
			if m.ID == id {
				return m.Seq, nil
			}
			expect.LaneSeq = m.Seq
		}
	}
}

// moved says that a commit holds a move.
func moved(body []byte) bool { return bytes.Contains(body, []byte("belfry.partitions.moved")) }

// hasty delivers moves before what stands before them.
type hasty struct{ eventlog.Log }

func (l hasty) Follow(ctx context.Context, seq uint64, deliver func(eventlog.Message) error) error {
	return l.Log.Follow(ctx, seq, func(m eventlog.Message) error {
		time.Sleep(300 * time.Millisecond)
		for ahead := m.Seq + 1; ahead < m.Seq+20; ahead++ {
			if later, err := l.Get(ctx, ahead); err == nil && moved(later.Body) {
				if err := deliver(later); err != nil {
					return err
				}
			}
		}
		return deliver(m)
	})
}

// boaster acknowledges what it was not sure to have stored.
type boaster struct{ eventlog.Log }

func (l boaster) Append(ctx context.Context, lane string, expect eventlog.Expect, id string, body []byte) (uint64, error) {
	seq, err := l.Log.Append(ctx, lane, expect, id, body)
	if errors.Is(err, eventlog.ErrUnknown) && !expect.Empty {
		if info, err := l.Info(ctx); err == nil {
			return info.LastSeq + 1, nil
		}
	}
	return seq, err
}

// rewritten is a log whose followers see other bodies than are stored.
func rewritten(ctx context.Context, l eventlog.Log, seq uint64, deliver func(eventlog.Message) error, change func([]byte) []byte) error {
	return l.Follow(ctx, seq, func(m eventlog.Message) error {
		m.Body = change(m.Body)
		return deliver(m)
	})
}

// forgetful does not show the changes of items.
type forgetful struct{ eventlog.Log }

func (l forgetful) Follow(ctx context.Context, seq uint64, deliver func(eventlog.Message) error) error {
	return rewritten(ctx, l.Log, seq, deliver, func(body []byte) []byte {
		return bytes.ReplaceAll(body, []byte(`"run_date_time":"2000-01-0`), []byte(`"run_date_time":"2000-02-0`))
	})
}

// fromNow shows next runs that have passed as to come.
type fromNow struct {
	eventlog.Log
	in time.Duration
}

func (l fromNow) Follow(ctx context.Context, seq uint64, deliver func(eventlog.Message) error) error {
	next := regexp.MustCompile(`"next_run":"([^"]+)"`)
	return rewritten(ctx, l.Log, seq, deliver, func(body []byte) []byte {
		return next.ReplaceAllFunc(body, func(found []byte) []byte {
			at, err := time.Parse(time.RFC3339Nano, string(next.FindSubmatch(found)[1]))
			if err != nil || !at.Before(time.Now()) {
				return found
			}
			return []byte(`"next_run":"` + time.Now().Add(l.in).UTC().Format(eventlog.TimeLayout) + `"`)
		})
	})
}

// forger has results of old attempts look like those of the newest.
type forger struct {
	mu     sync.Mutex
	newest map[string]sent
}

type sent struct {
	executor, incarnation string
	attempt               int
}

func (f *forger) rewrite(m *nats.Msg) *nats.Msg {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.newest == nil {
		f.newest = map[string]sent{}
	}
	token := strings.Split(m.Subject, ".")
	switch {
	case strings.HasPrefix(m.Subject, "belfry.run."):
		var r wire.Run
		if json.Unmarshal(m.Data, &r) == nil && r.Attempt >= f.newest[r.Run].attempt {
			f.newest[r.Run] = sent{token[3], r.Incarnation, r.Attempt}
		}
	case strings.HasPrefix(m.Subject, "belfry.result."):
		var r wire.Report
		if json.Unmarshal(m.Data, &r) != nil || r.Data.Attempt >= f.newest[r.Data.Run].attempt {
			return m
		}
		newest := f.newest[r.Data.Run]
		r.Data.Attempt, r.Data.Incarnation = newest.attempt, newest.incarnation
		data, err := json.Marshal(r)
		if err != nil {
			return m
		}
		return &nats.Msg{Subject: wire.DefaultPrefix.ReportSubject(newest.executor, r.Data.Partition), Data: data}
	}
	return m
}

// A node that reads other events than are stored stops claiming and says why:
// because of an event that cannot be, or because the other nodes made something
// else of a partition. Another one stops with it where it was one word against
// the other.
func TestTheAuditorStopsTheNodeThatErrs(t *testing.T) {
	for name, c := range map[string]struct {
		wrap func(eventlog.Log) eventlog.Log
		says string
	}{
		"it forgets a change":    {func(l eventlog.Log) eventlog.Log { return forgetful{l} }, "C3"},
		"it misreads every name": {func(l eventlog.Log) eventlog.Log { return misreader{l} }, "P1: partition"},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= worldsMax; seed++ {
				w, _ := run(t, seed, func(w *World) {
					w.plan.kinds, w.plan.nodes = []string{faultBad}, 3
					w.plant.log = func(node string, l eventlog.Log) eventlog.Log {
						if node == "n2" {
							return c.wrap(l)
						}
						return l
					}
					w.populate()
				})
				said := strings.Join(w.breaks, "\n")
				if said != "" && !strings.Contains(said, "node n2 is not ready") {
					t.Errorf("seed %d: %s", seed, said)
				}
				if strings.Contains(said, c.says) {
					t.Logf("seed %d: %s", seed, said)
					return
				}
			}
			t.Errorf("no auditor said so in %d worlds", worldsMax)
		})
	}
}

// Where nobody ever leads, partitions stay as the faults left them, and the world
// says so.
func TestUnevenOwnersAreSeen(t *testing.T) {
	for seed := uint64(1); seed <= worldsMax; seed++ {
		w, _ := run(t, seed, func(w *World) {
			w.plan.kinds, w.plan.nodes, w.plan.coordinated = []string{faultCrash}, 3, true
			w.plant.leaderless = true
			w.populate()
		})
		if strings.Contains(strings.Join(w.breaks, "\n"), "N1: node n") {
			return
		}
	}
	t.Errorf("nobody said so in %d worlds", worldsMax)
}

// misreader shows records under other names.
type misreader struct{ eventlog.Log }

func (l misreader) Follow(ctx context.Context, seq uint64, deliver func(eventlog.Message) error) error {
	return rewritten(ctx, l.Log, seq, deliver, func(body []byte) []byte {
		return bytes.ReplaceAll(body, []byte(`"name":"item"`), []byte(`"name":"itme"`))
	})
}
