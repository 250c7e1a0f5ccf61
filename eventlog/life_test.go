package eventlog_test

import (
	"errors"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
)

const item = "sci_01jxs7e8000000000000000002"

// itemEvent is the n-th event of the item's life.
func itemEvent(revision, prev uint64, p eventlog.Payload) eventlog.Event {
	return eventlog.Event{ID: "e", Subject: item, Time: noon, Entity: eventlog.EntityItem, Revision: revision, Prev: prev, CauseIndex: -1, Data: p}
}

// store appends one commit for each list of events.
func store(t *testing.T, commits ...[]eventlog.Event) *memlog.Log {
	t.Helper()
	log := memlog.New(memlog.Faults{})
	for i, events := range commits {
		if _, err := log.Append(t.Context(), "n1", eventlog.Expect{LaneSeq: uint64(i)}, "c", encode(t, events...)); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

func TestALifeIsReadBackAlongPrev(t *testing.T) {
	other := samples()[0]
	want := []eventlog.Event{
		itemEvent(1, 0, &eventlog.ItemCreated{Name: "a"}),
		itemEvent(2, 1, &eventlog.ItemClaimed{Pool: "default"}),
		itemEvent(3, 1, &eventlog.ItemInterrupted{Reason: eventlog.InterruptionLost}),
		itemEvent(4, 3, &eventlog.ItemClaimed{Pool: "default"}),
	}
	log := store(t,
		[]eventlog.Event{other, want[0]},
		[]eventlog.Event{other},
		[]eventlog.Event{want[1], other, want[2]},
		[]eventlog.Event{other},
		[]eventlog.Event{want[3]},
	)
	got, seqs, err := eventlog.Life(t.Context(), log, item, 5)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
	for i, seq := range []uint64{1, 3, 3, 5} {
		if seqs[i] != seq {
			t.Errorf("event %d stands at %d, want %d", i+1, seqs[i], seq)
		}
	}
	if got, _, err := eventlog.Life(t.Context(), log, item, 3); err != nil || len(got) != 3 {
		t.Errorf("up to 3: %d events, %v", len(got), err)
	}
	if got, _, err := eventlog.Life(t.Context(), log, item, 0); err != nil || len(got) != 0 {
		t.Errorf("no commit: %d events, %v", len(got), err)
	}
}

func TestABrokenChainIsDamage(t *testing.T) {
	created := itemEvent(1, 0, &eventlog.ItemCreated{Name: "a"})
	for name, log := range map[string]*memlog.Log{
		"prev leads to a commit without it": store(t, []eventlog.Event{samples()[0]}, []eventlog.Event{itemEvent(2, 1, &eventlog.ItemFailed{})}),
		"prev leads to itself":              store(t, []eventlog.Event{created}, []eventlog.Event{itemEvent(2, 2, &eventlog.ItemFailed{})}),
		"prev leads forward":                store(t, []eventlog.Event{created}, []eventlog.Event{itemEvent(2, 9, &eventlog.ItemFailed{})}),
	} {
		if _, _, err := eventlog.Life(t.Context(), log, item, 2); !errors.Is(err, eventlog.ErrDamaged) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	log := store(t, []eventlog.Event{created}, []eventlog.Event{itemEvent(2, 1, &eventlog.ItemFailed{})})
	log.Drop(1)
	if _, _, err := eventlog.Life(t.Context(), log, item, 2); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("a commit is gone: got %v", err)
	}
}

func TestInfoChecks(t *testing.T) {
	for name, c := range map[string]struct {
		info       eventlog.Info
		remembered uint64
		whole      bool
	}{
		"empty":                     {eventlog.Info{FirstSeq: 1}, 0, true},
		"empty, but something was":  {eventlog.Info{FirstSeq: 1}, 1, false},
		"whole":                     {eventlog.Info{FirstSeq: 1, LastSeq: 9, Messages: 9}, 9, true},
		"grown":                     {eventlog.Info{FirstSeq: 1, LastSeq: 9, Messages: 9}, 3, true},
		"shorter":                   {eventlog.Info{FirstSeq: 1, LastSeq: 9, Messages: 9}, 10, false},
		"a counted hole":            {eventlog.Info{FirstSeq: 1, LastSeq: 9, Messages: 8, Deleted: 1}, 9, false},
		"an uncounted hole":         {eventlog.Info{FirstSeq: 1, LastSeq: 9, Messages: 8}, 9, false},
		"more than sequences":       {eventlog.Info{FirstSeq: 1, LastSeq: 9, Messages: 10}, 9, false},
		"the front was cut":         {eventlog.Info{FirstSeq: 5, LastSeq: 9, Messages: 5}, 9, true},
		"all was cut":               {eventlog.Info{FirstSeq: 10, LastSeq: 9}, 9, true},
		"all was cut, but one gone": {eventlog.Info{FirstSeq: 9, LastSeq: 9}, 9, false},
	} {
		err := c.info.Check(c.remembered)
		if (err == nil) != c.whole || (err != nil && !errors.Is(err, eventlog.ErrDamaged)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
