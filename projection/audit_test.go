package projection_test

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
)

// itemIn is an item of partition p.
func itemIn(p int) string {
	for n := 'a'; ; n++ {
		if id := eventlog.PrefixItem + strings.Repeat(string(n), 16); eventlog.PartitionOf(eventlog.EntityItem, id) == p || p < 0 {
			return id
		}
	}
}

// The auditor objects to each event that must not be, and to nothing else.
func TestTheAuditor(t *testing.T) {
	id := itemIn(-1)
	p := eventlog.PartitionOf(eventlog.EntityItem, id)
	event := func(revision, prev uint64, at eventlog.Time, data eventlog.Payload) eventlog.Event {
		e := eventlog.Event{Subject: id, Time: at, Revision: revision, Prev: prev, Data: data, Partition: p}
		e.Entity = e.Type().Entity()
		return e
	}
	all := make([]int, eventlog.Partitions)
	for n := range all {
		all[n] = n
	}
	genesis := eventlog.Event{Subject: "cluster", Revision: 1, Partition: -1, Entity: eventlog.EntityPartitions, Data: &eventlog.PartitionsMoved{To: "n1", Partitions: all, Stream: "S"}}
	move := func(from, to string) eventlog.Event {
		return eventlog.Event{Subject: from, Revision: 1, Partition: -1, Entity: eventlog.EntityPartitions, Data: &eventlog.PartitionsMoved{From: from, To: to, Partitions: []int{p}}}
	}
	opened := eventlog.Event{Subject: "n1", Revision: 1, Partition: -1, Entity: eventlog.EntityNode, Data: &eventlog.NodeOpened{Process: "p1"}}
	marked := func(process string) eventlog.Event {
		return eventlog.Event{Subject: "n1", Revision: 2, Prev: 2, Partition: -1, Entity: eventlog.EntityNode, Data: &eventlog.NodeMarked{Process: process}}
	}
	head := eventlog.RunHead{Run: eventlog.RunOfItem(id), Attempt: 1, Executor: "x1"}
	created := event(1, 0, 1, &eventlog.ItemCreated{RunDateTime: 10})
	claimed := event(2, 2, 10, &eventlog.ItemClaimed{RunHead: head})
	completed := event(3, 3, 11, &eventlog.ItemCompleted{RunHead: head})
	with := func(e eventlog.Event, change func(*eventlog.Event)) eventlog.Event {
		change(&e)
		return e
	}
	attempt := func(n int, executor string) eventlog.RunHead {
		return eventlog.RunHead{Run: head.Run, Attempt: n, Executor: executor}
	}
	for name, c := range map[string]struct {
		log     []eventlog.Event // one a commit, the first at sequence 1
		lane    string           // of the last one; n1 if empty
		objects string
	}{
		"nothing":               {[]eventlog.Event{genesis, created, claimed, completed}, "", ""},
		"a foreign lane":        {[]eventlog.Event{genesis, created}, "n2", "L7"},
		"after it was moved":    {[]eventlog.Event{genesis, move("n1", "n2"), event(1, 0, 1, &eventlog.ItemCreated{RunDateTime: 10})}, "n1", "L7"},
		"moved by who lacks it": {[]eventlog.Event{genesis, move("n2", "n3")}, "n2", "N1"},
		"another partition":     {[]eventlog.Event{genesis, with(created, func(e *eventlog.Event) { e.Partition = (p + 1) % eventlog.Partitions })}, "", "L7"},
		"a revision left out":   {[]eventlog.Event{genesis, created, with(claimed, func(e *eventlog.Event) { e.Revision = 3 })}, "", "L6"},
		"a wrong prev":          {[]eventlog.Event{genesis, created, with(claimed, func(e *eventlog.Event) { e.Prev = 1 })}, "", "L6"},
		"never created":         {[]eventlog.Event{genesis, event(1, 0, 10, &eventlog.ItemClaimed{RunHead: head})}, "", "R1"},
		"created twice":         {[]eventlog.Event{genesis, created, event(2, 2, 2, &eventlog.ItemCreated{})}, "", "R1"},
		"claimed twice":         {[]eventlog.Event{genesis, created, claimed, event(3, 3, 11, &eventlog.ItemClaimed{RunHead: attempt(2, "x1")})}, "", "C1"},
		"claimed too early":     {[]eventlog.Event{genesis, created, event(2, 2, 9, &eventlog.ItemClaimed{RunHead: head})}, "", "C3"},
		"an attempt left out":   {[]eventlog.Event{genesis, created, event(2, 2, 10, &eventlog.ItemClaimed{RunHead: attempt(2, "x1")})}, "", "R3"},
		"ended by another":      {[]eventlog.Event{genesis, created, claimed, event(3, 3, 11, &eventlog.ItemCompleted{RunHead: attempt(1, "x2")})}, "", "R2"},
		"ended by another try":  {[]eventlog.Event{genesis, created, claimed, event(3, 3, 11, &eventlog.ItemFailed{RunHead: attempt(2, "x1")})}, "", "R2"},
		"ended without an open": {[]eventlog.Event{genesis, created, event(2, 2, 11, &eventlog.ItemCompleted{RunHead: head})}, "", "R3"},
		"changed after its end": {[]eventlog.Event{genesis, created, claimed, completed, event(4, 4, 12, &eventlog.ItemCanceled{})}, "", "R4"},
		"updated as it runs":    {[]eventlog.Event{genesis, created, claimed, event(3, 3, 12, &eventlog.ItemUpdated{})}, "", "R1"},
		"a stranger's opening":  {[]eventlog.Event{genesis, {Subject: "n2", Revision: 1, Partition: -1, Entity: eventlog.EntityNode, Data: &eventlog.NodeOpened{}}}, "n1", "L7"},
		"an opening of its own": {[]eventlog.Event{genesis, {Subject: "n2", Revision: 1, Partition: -1, Entity: eventlog.EntityNode, Data: &eventlog.NodeOpened{}}}, "n2", ""},
		"a marker":              {[]eventlog.Event{genesis, opened, marked("p1")}, "", ""},
		"a marker, not opened":  {[]eventlog.Event{genesis, with(marked("p1"), func(e *eventlog.Event) { e.Revision, e.Prev = 1, 0 })}, "", "L7"},
		"a marker of a process": {[]eventlog.Event{genesis, opened, marked("p0")}, "", "L7"},
		"a marker elsewhere":    {[]eventlog.Event{genesis, opened, marked("p1")}, "n2", "L7"},
		"an opening behind one": {[]eventlog.Event{genesis, opened, marked("p1"), with(opened, func(e *eventlog.Event) { e.Revision, e.Prev = 3, 3 })}, "", ""},
		"a partition too many":  {[]eventlog.Event{genesis, {Subject: "n1", Revision: 1, Partition: -1, Entity: eventlog.EntityPartitions, Data: &eventlog.PartitionsMoved{Partitions: []int{64}}}}, "n1", "N1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := projection.NewState()
			for n := range c.log {
				at := projection.At{Seq: uint64(n + 1), Lane: "n1"}
				last := n == len(c.log)-1
				if last && c.lane != "" {
					at.Lane = c.lane
				}
				err := s.Audit(&c.log[n], at)
				if !last && err != nil {
					t.Fatalf("event %d: %v", n, err)
				}
				if last && (c.objects == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), ": "+c.objects+":") {
					t.Errorf("the auditor said %v, want %q", err, c.objects)
				}
				s.Evolve(&c.log[n], at)
				s.Advance(at.Seq, at.Lane)
			}
		})
	}
}

// Of a snapshot the cluster may be of a later sequence than a partition: what
// stood in the right lane then is not objected to now.
func TestTheAuditorKnowsThatOwnersMayBeOfLater(t *testing.T) {
	id := itemIn(-1)
	p := eventlog.PartitionOf(eventlog.EntityItem, id)
	all := make([]int, eventlog.Partitions)
	for n := range all {
		all[n] = n
	}
	genesis := eventlog.Event{Subject: "cluster", Revision: 1, Partition: -1, Data: &eventlog.PartitionsMoved{To: "n1", Partitions: all, Stream: "S"}}
	created := eventlog.Event{Subject: id, Revision: 1, Partition: p, Data: &eventlog.ItemCreated{RunDateTime: 10}}
	moved := eventlog.Event{Subject: "n1", Revision: 1, Partition: -1, Data: &eventlog.PartitionsMoved{From: "n1", To: "n2", Partitions: []int{p}}}
	late := eventlog.Event{Subject: id, Revision: 2, Prev: 2, Partition: p, Data: &eventlog.ItemCanceled{}}
	var log []eventlog.Message
	for n, e := range []eventlog.Event{genesis, created, moved, late} {
		e.Entity = e.Type().Entity()
		encoded, err := eventlog.Encode(&e)
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, eventlog.Message{Seq: uint64(n + 1), Lane: "n1", Body: eventlog.AppendCommit(nil, []eventlog.Encoded{encoded}, []uint64{e.Prev})})
	}
	from := projection.NewState()
	for _, m := range log[:3] {
		if _, objection, err := from.Fold(m); err != nil || objection != nil {
			t.Fatal(err, objection)
		}
	}
	cluster, err := from.EncodeCluster()
	if err != nil {
		t.Fatal(err)
	}
	s := projection.NewState()
	if err := s.LoadCluster(cluster); err != nil {
		t.Fatal(err)
	}
	s.Reindex() // all partitions are of before the first commit
	for n, m := range log {
		_, objection, err := s.Fold(m)
		if err != nil || (objection != nil) != (n == 3) {
			t.Errorf("message %d: %v, objection %v", m.Seq, err, objection)
		}
	}
}
