package scheduler

import (
	"slices"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
)

// A user and a node may have one name: events chain by entity.
func TestACommitChainsByEntity(t *testing.T) {
	c := newCommit(1, "c")
	for _, e := range []struct {
		data   eventlog.Payload
		before uint64
	}{
		{&eventlog.UserUpdated{}, 5}, {&eventlog.PartitionsMoved{}, 7}, {&eventlog.UserUpdated{}, 0}, {&eventlog.PartitionsMoved{}, 0},
	} {
		c.add(&eventlog.Event{Subject: "bob", Entity: typeOf(e.data).Entity(), Data: e.data}, nil, link{seq: e.before})
	}
	var prev []uint64
	for _, l := range c.prev {
		prev = append(prev, l.resolve())
	}
	if want := []uint64{5, 7, 5, 7}; !slices.Equal(prev, want) {
		t.Errorf("prev are %v, not %v", prev, want)
	}
}

func typeOf(p eventlog.Payload) eventlog.Type {
	e := eventlog.Event{Data: p}
	return e.Type()
}
