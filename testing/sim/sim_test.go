package sim

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/testing/check"
)

func number(t *testing.T, name string, or uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return or
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// run lives a world out, in a bubble, and returns it with the judge's verdict.
func run(t *testing.T, seed uint64, change func(*World)) (w *World, v *check.Verdict) {
	t.Helper()
	dir := t.TempDir()
	cryptotest.SetGlobalRandom(t, seed) // ids are drawn from it
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w = newWorld(seed, dir)
		change(w)
		w.live()
		v = w.judge()
		w.stop()
		t.Logf("seed %d: %d nodes, coordinated: %t, scale %s: %s, %d commits, %d events, %d items, %d triggers, %d runs, %d operations, %d faults, %d lines of the journal",
			seed, w.plan.nodes, w.plan.coordinated, w.plan.scale, time.Since(began).Round(time.Second), v.Commits, v.Events,
			len(v.Items), len(v.Triggers), len(v.Runs), len(w.history.all()), len(w.faults.all()), len(w.journal.all()))
	})
	return w, v
}

// enough is how much must happen in a world for its verdict to count.
func enough() check.Minimum { return check.Minimum{Ops: 20, Events: 30, Faults: 5, Ended: 3} }

// sound runs a seed of the product as it is, and fails the test if the judge
// objects to anything, or saw too little.
func sound(t *testing.T, seed uint64, all *tally) {
	t.Helper()
	again := fmt.Sprintf("GOMAXPROCS=1 SIM_SEED=%d SIM_SEEDS=1 go test -run TestSeeds ./testing/sim", seed)
	var talk bytes.Buffer
	w, v := run(t, seed, func(w *World) {
		if os.Getenv("SIM_LOG") != "" {
			w.talk = &talk
		}
	})
	all.add(w, v)
	for _, b := range w.breaks {
		t.Errorf("%s\nagain: %s", b, again)
	}
	if report := v.Report(again); report != "" {
		t.Error(report)
	}
	if err := v.Enough(enough()); err != nil {
		t.Errorf("%v\nagain: %s", err, again)
	}
	if t.Failed() {
		t.Log(talk.String())
	}
}

// tally sums up what happened in several worlds.
type tally struct {
	worlds, operations, events, runs int
	coordinated                      int
	given, taken                     int64 // moves of coordinators
	lived                            time.Duration
	faults                           map[string]int
}

func (a *tally) add(w *World, v *check.Verdict) {
	a.worlds++
	a.operations += len(w.history.all())
	a.events += v.Events
	a.runs += len(w.journal.all())
	a.lived += v.Last.Sub(w.born)
	for _, f := range w.faults.all() {
		a.faults[f.Kind]++
	}
	if w.council != nil {
		a.coordinated++
		a.given += w.council.given.Load()
		a.taken += w.council.taken.Load()
	}
}

func (a *tally) String() string {
	s := fmt.Sprintf("%d worlds, %.0f simulated hours, %d operations, %d events, %d lines in journals, %d worlds that coordinate themselves: given %d times, taken %d times; faults:\n",
		a.worlds, a.lived.Hours(), a.operations, a.events, a.runs, a.coordinated, a.given, a.taken)
	for _, kind := range slices.Sorted(maps.Keys(a.faults)) {
		s += fmt.Sprintf("  %7d  %s\n", a.faults[kind], kind)
	}
	return s
}

// TestSeeds runs worlds from the seed SIM_SEED on: SIM_SEEDS of them, or those
// that can be run within SIM_MINUTES. Of several processes that share the work,
// SIM_CORES, this one runs each whose turn is SIM_CORE. A failure names its seed.
func TestSeeds(t *testing.T) {
	first, count := number(t, "SIM_SEED", 1), number(t, "SIM_SEEDS", 0)
	minutes, core, cores := number(t, "SIM_MINUTES", 0), number(t, "SIM_CORE", 0), number(t, "SIM_CORES", 1)
	if count == 0 && minutes == 0 {
		if count = 20; Race {
			count = 4
		}
	}
	began, told, all := time.Now(), time.Now(), &tally{faults: map[string]int{}}
	until := began.Add(time.Duration(minutes) * time.Minute)
	for seed := first + core; count > 0 && seed < first+count || count == 0 && time.Now().Before(until); seed += cores {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { sound(t, seed, all) })
		if time.Since(told) > time.Minute {
			told = time.Now()
			fmt.Printf("core %d: %d worlds, the last is seed %d\n", core, all.worlds, seed)
		}
	}
	if minutes > 0 || os.Getenv("SIM_SEEDS") != "" {
		fmt.Printf("core %d: in %s %s", core, time.Since(began).Round(time.Second), all)
	}
}
