package conformance

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
)

func readBack(t *testing.T, log eventlog.Log) {
	for i, want := range fill(t, &lane{log: log, name: "n1"}, 5) {
		if want.Seq != uint64(i)+1 {
			t.Errorf("commit %d got sequence %d", i+1, want.Seq)
		}
		got, err := log.Get(t.Context(), want.Seq)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, want)
	}
}

func genesis(t *testing.T, log eventlog.Log) {
	seq, err := settle(within(t), log, "n1", eventlog.Expect{Empty: true}, "genesis", []byte("[]"))
	if seq != 1 || err != nil {
		t.Fatalf("the first genesis: sequence %d, error %v", seq, err)
	}
	for _, name := range []string{"n1", "n2"} {
		_, err := known(within(t), log, name, eventlog.Expect{Empty: true}, "other-"+name, []byte("[]"))
		is(t, err, eventlog.ErrOccupied)
	}
	if n := last(t, log); n != 1 {
		t.Errorf("the stream ends at %d, want 1", n)
	}
}

func geneses(t *testing.T, log eventlog.Log) {
	const nodes = 8
	ctx := within(t)
	won := race(nodes, func(i int) (uint64, error) {
		name := fmt.Sprintf("n%d", i)
		return settle(ctx, log, name, eventlog.Expect{Empty: true}, name, []byte("[]"))
	})
	one(t, won)
	if n := last(t, log); n != 1 {
		t.Errorf("the stream ends at %d, want 1", n)
	}
}

func overtaken(t *testing.T, log eventlog.Log) {
	l := &lane{log: log, name: "n1"}
	fill(t, l, 3)
	for _, expect := range []uint64{0, 1, 2} {
		_, err := known(within(t), log, "n1", eventlog.Expect{LaneSeq: expect}, fmt.Sprint("late-", expect), []byte("[]"))
		is(t, err, eventlog.ErrOccupied)
	}
	fill(t, l, 1) // refusals changed nothing
	if n := last(t, log); n != 4 {
		t.Errorf("the stream ends at %d, want 4", n)
	}
}

func ahead(t *testing.T, log eventlog.Log) {
	fill(t, &lane{log: log, name: "n1"}, 2)
	fill(t, &lane{log: log, name: "n2"}, 2)
	for _, c := range []struct {
		lane   string
		expect uint64
	}{{"n1", 3}, {"n1", 4}, {"n1", 99}, {"n3", 1}} {
		_, err := log.Append(t.Context(), c.lane, eventlog.Expect{LaneSeq: c.expect}, "early", []byte("[]"))
		is(t, err, eventlog.ErrUnknown)
	}
	if n := last(t, log); n != 4 {
		t.Errorf("the stream ends at %d, want 4", n)
	}
}

func fenced(t *testing.T, log eventlog.Log) {
	old := &lane{log: log, name: "n1"}
	fill(t, old, 3)
	opening, err := settle(within(t), log, "n1", eventlog.Expect{LaneSeq: old.last}, "opening", []byte("[]"))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, &lane{log: log, name: "n2"}, 1)
	_, err = old.put(within(t))
	is(t, err, eventlog.ErrOccupied)
	found, err := log.Next(t.Context(), "n1", 4)
	if err != nil || found.Seq != opening || found.ID != "opening" {
		t.Errorf("the message that holds the place: %+v, %v; want the opening at %d", found, err, opening)
	}
}

func again(t *testing.T, log eventlog.Log) {
	l := &lane{log: log, name: "n1"}
	fill(t, l, 2)
	expect := eventlog.Expect{LaneSeq: l.last}
	seq, err := settle(within(t), log, "n1", expect, "mine", []byte("[1]"))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, &lane{log: log, name: "n2"}, 1)
	_, err = known(within(t), log, "n1", expect, "mine", []byte("[1]"))
	is(t, err, eventlog.ErrOccupied)
	found, err := log.Next(t.Context(), "n1", expect.LaneSeq+1)
	if err != nil {
		t.Fatal(err)
	}
	same(t, found, eventlog.Message{Seq: seq, Lane: "n1", ID: "mine", Body: []byte("[1]")})
}

func ended(t *testing.T, log eventlog.Log) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := log.Append(ctx, "n1", eventlog.Expect{}, "x", []byte("[]"))
	is(t, err, eventlog.ErrUnknown)
}

func reused(t *testing.T, log eventlog.Log) {
	body := []byte("[1]")
	seq, err := settle(within(t), log, "n1", eventlog.Expect{}, "x", body)
	if err != nil {
		t.Fatal(err)
	}
	body[1] = '2'
	got, err := log.Get(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, eventlog.Message{Seq: seq, Lane: "n1", ID: "x", Body: []byte("[1]")})
}

func lanes(t *testing.T, log eventlog.Log) {
	all := []*lane{{log: log, name: "n1"}, {log: log, name: "n2"}, {log: log, name: "n1-b"}}
	for i := range 30 {
		m := fill(t, all[i%len(all)], 1)[0]
		if m.Seq != uint64(i)+1 {
			t.Fatalf("commit %d got sequence %d", i+1, m.Seq)
		}
	}
}

// contended: as many appenders as places, all of one lane. Whoever loses reads
// on from what holds the place, as only a test may.
func contended(t *testing.T, log eventlog.Log) {
	const appenders, places = 4, 20
	ctx := within(t)
	var lane uint64
	for place := range places {
		won := race(appenders, func(i int) (uint64, error) {
			return settle(ctx, log, "n1", eventlog.Expect{LaneSeq: lane}, fmt.Sprintf("%d-%d", place, i), []byte("[]"))
		})
		winner := one(t, won)
		found, err := log.Next(t.Context(), "n1", lane+1)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%d-%d", place, winner); found.ID != want {
			t.Errorf("place %d: %s was acknowledged, but %s holds it", place, want, found.ID)
		}
		lane = found.Seq
	}
	if n := last(t, log); n != places {
		t.Errorf("the stream ends at %d, want %d", n, places)
	}
}

// outcome is how one of several concurrent appends went.
type outcome struct {
	seq uint64
	err error
}

// race runs n appends at once.
func race(n int, try func(i int) (uint64, error)) []outcome {
	all := make([]outcome, n)
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-start
			all[i].seq, all[i].err = try(i)
		})
	}
	close(start)
	group.Wait()
	return all
}

// one fails unless exactly one append was acknowledged and the others were
// refused; it returns the winner.
func one(t *testing.T, all []outcome) int {
	t.Helper()
	winner := -1
	for i, o := range all {
		switch {
		case o.err != nil:
			is(t, o.err, eventlog.ErrOccupied)
		case winner >= 0:
			t.Fatalf("appends %d and %d were both acknowledged, at %d and %d", winner, i, all[winner].seq, o.seq)
		default:
			winner = i
		}
	}
	if winner < 0 {
		t.Fatal("no append was acknowledged")
	}
	return winner
}
