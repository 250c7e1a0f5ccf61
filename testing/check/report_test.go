package check

import (
	"strings"
	"testing"
	"time"
)

// The first violation is the one with the lowest sequence, whenever it was
// found, with what stands around it and how to see it again.
func TestTheFirstViolation(t *testing.T) {
	g := newGood()
	g.hashes[1].Sum[0]++ // at 20, found late
	g.find("item.completed", 0).data["executor"] = "x2"
	g.tune = func(v *Verdict) { v.Reproduce = "SEED=17 go test ./testing/sim" }
	v := g.judge()
	r := v.First(2)
	if r.Property != "R2" || r.Seq != g.find("item.completed", 0).seq || r.Subject != itemID || r.Further != 1 {
		t.Fatalf("%+v", r.Violation)
	}
	if len(r.Before) != 2 || len(r.At) != 1 || len(r.After) != 2 { // after it the move, and the claim of the item that it scheduled
		t.Fatal(r)
	}
	for _, want := range []string{"R2 does not hold: belfry.item.completed of item " + itemID, "item.claimed", "partitions.moved", "again: SEED=17", "and 1 more"} {
		if !strings.Contains(r.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, r)
		}
	}
	if newGood().judge().First(2) != nil {
		t.Error("a sound log has a first violation")
	}
}

// A report costs bounded memory, and keeps what stood around a violation that
// many events follow.
func TestReportsAreBounded(t *testing.T) {
	g := busy(2 * recentMax)
	g.find("item.interrupted", 0).data["executor"] = "x2"
	v := Log(g.render())
	if r := v.First(3); r == nil || len(r.Before) != 3 || len(r.At) != 1 || len(r.After) != 3 {
		t.Fatalf("%v", r)
	}
	if len(v.recent.events) != recentMax || len(v.first.Before)+len(v.first.After) > 2*contextMax {
		t.Fatalf("%d events are kept", len(v.recent.events))
	}
	var last uint64
	for e := range v.recent.all {
		if e.seq < last {
			t.Fatal("the ring is out of order")
		}
		last = e.seq
	}
	for range 2 * violationsMax {
		v.object("L3", place{seq: 1}, "again")
	}
	if len(v.Violations) != violationsMax || v.Unsaid == 0 {
		t.Fatalf("%d violations are kept, %d not", len(v.Violations), v.Unsaid)
	}
}

// Too little is no pass.
func TestEnough(t *testing.T) {
	g := newGood()
	g.faults = []Fault{{Kind: "crash", Node: "A", From: clock(1), To: clock(2)}}
	v := g.judge()
	if err := v.Enough(Minimum{Ops: 8, Events: 30, Faults: 1, Ended: 6}); err != nil || v.Outcome() != Clean {
		t.Fatal(err, v.Outcome())
	}
	err := v.Enough(Minimum{Ops: 8, Events: 1000, Faults: 2, Ended: 6})
	if err == nil || !strings.HasPrefix(err.Error(), "inconclusive: ") || !strings.Contains(err.Error(), "1 of 2 faults") || v.Outcome() != Inconclusive {
		t.Fatal(err, v.Outcome())
	}
	v.object("L3", place{seq: 1}, "a gap")
	if v.Outcome() != Broken {
		t.Fatal("a violation is more than a lack")
	}
}

// Faults excuse what they explain, and nothing else.
func TestFaultsExcuse(t *testing.T) {
	for name, c := range map[string]struct {
		fault   Fault
		plant   func(*good)
		objects string
	}{
		"who is not ready in a fault": {Fault{Kind: "crash", From: clock(3.9), To: clock(4.1)}, func(g *good) { g.ready[0].Served = false }, ""},
		"who is not ready after one":  {Fault{Kind: "crash", From: clock(3), To: clock(3.9)}, func(g *good) { g.ready[0].Served = false }, "N4"},
		"a start that a fault delayed": {Fault{Kind: "crash", From: clock(1.05), To: clock(1.55)}, func(g *good) {
			g.tune = func(v *Verdict) { v.Lateness = 100 * time.Millisecond }
			g.lines[0].Start = clock(1.5)
		}, ""},
		"a start that one delayed, and then some": {Fault{Kind: "crash", From: clock(1.05), To: clock(1.3)}, func(g *good) {
			g.tune = func(v *Verdict) { v.Lateness = 100 * time.Millisecond }
			g.lines[0].Start = clock(1.5)
		}, "C3"},
		"a start by a clock that was wrong":     {Fault{Kind: "clock", Node: "A", From: clock(0.5), To: clock(0.6)}, func(g *good) { g.lines[0].Start = clock(0.9) }, ""},
		"a start by the clock of another":       {Fault{Kind: "clock", Node: "B", From: clock(0.5), To: clock(0.6)}, func(g *good) { g.lines[0].Start = clock(0.9) }, "R6"},
		"a plain read while the net was split":  {Fault{Kind: "split", From: clock(3.6), To: clock(5)}, staleRead(time.Minute), ""},
		"a plain read of who promised no stale": {Fault{Kind: "split", From: clock(3.6), To: clock(5)}, staleRead(0), "P3"},
		"a plain read beside an executor":       {Fault{Kind: "executor killed", From: clock(3.6), To: clock(5)}, staleRead(time.Minute), "P3"},
		"a plain read after the split":          {Fault{Kind: "split", From: clock(1), To: clock(2)}, staleRead(time.Second), "P3"},
	} {
		g := newGood()
		g.faults = []Fault{c.fault}
		c.plant(g)
		v := g.judge()
		r := v.First(3)
		if c.objects == "" && r != nil || c.objects != "" && (r == nil || r.Property != c.objects) {
			t.Errorf("%s: want %q, the judge says %v", name, c.objects, r)
		}
	}
}

func staleRead(allowed time.Duration) func(*good) {
	return func(g *good) {
		g.tune = func(v *Verdict) { v.StaleFor = allowed }
		g.ops[len(g.ops)-1].of = g.find("trigger.fired", 2)
	}
}

// The slack of a window is the union of the faults that it meets, also of those
// that it meets only because of others.
func TestSlack(t *testing.T) {
	v := New()
	v.Faults([]Fault{
		{From: clock(1), To: clock(3)}, {From: clock(2), To: clock(4)}, {From: clock(2), To: clock(2.5)},
		{From: clock(6), To: clock(7)}, {From: clock(20), To: clock(30)},
	})
	for _, c := range []struct{ from, to, want float64 }{
		{0, 0.5, 0},     // before all
		{0, 1, 3},       // to 4, where nothing is
		{0, 5, 4},       // to 8 with the first three, so the fourth, too
		{4, 5, 0},       // between
		{3.5, 3.6, 0.5}, // the rest of one
		{10, 40, 10},
	} {
		if got := v.slack(clock(c.from), clock(c.to)).Seconds(); got != c.want {
			t.Errorf("from %v to %v the slack is %v, not %v", c.from, c.to, got, c.want)
		}
	}
}
