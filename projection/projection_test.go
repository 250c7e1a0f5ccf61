package projection_test

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
)

// event makes an event of an item's or a definition's life.
func event(entity eventlog.Entity, id string, revision uint64, at eventlog.Time, data eventlog.Payload) *eventlog.Event {
	return &eventlog.Event{
		Subject: id, Entity: entity, Revision: revision, Time: at, Actor: "admin",
		Partition: eventlog.PartitionOf(entity, id), CauseIndex: -1, Data: data,
	}
}

func created(id string, due eventlog.Time, function string) *eventlog.Event {
	return event(eventlog.EntityItem, id, 1, 1000, &eventlog.ItemCreated{
		Name: "name of " + id, RunDateTime: due, Function: eventlog.Ref{ID: function}, Data: []byte(`{"k":1}`),
	})
}

func head(id string, attempt int) eventlog.RunHead {
	return eventlog.RunHead{Run: eventlog.RunOfItem(id), Attempt: attempt, Executor: "local", ScheduledFor: 2000}
}

// life is the events of one item that is claimed, interrupted, retried and ends.
func life(id string, end eventlog.Payload) []*eventlog.Event {
	payloads := []eventlog.Payload{
		&eventlog.ItemClaimed{RunHead: head(id, 1), Incarnation: "i"},
		&eventlog.ItemInterrupted{RunHead: head(id, 1), Reason: eventlog.InterruptionLost},
		&eventlog.ItemClaimed{RunHead: head(id, 2), Incarnation: "i"},
		&eventlog.ItemRetryScheduled{RunHead: head(id, 2), RetryAt: 9000, Error: eventlog.Error{Type: "E"}},
		&eventlog.ItemClaimed{RunHead: head(id, 3), Incarnation: "i"},
		end,
	}
	events := []*eventlog.Event{created(id, 2000, "fun_a")}
	for n, p := range payloads {
		events = append(events, event(eventlog.EntityItem, id, uint64(n)+2, eventlog.Time(3000+n), p))
	}
	return events
}

func fold(s *projection.State, events ...*eventlog.Event) {
	for n, e := range events {
		s.Evolve(e, projection.At{Seq: uint64(n + 1), Lane: "local"})
	}
}

// Each event of an item's life leads to the status that the contract names.
func TestAnItemsLife(t *testing.T) {
	const id = "sci_0000000000000001"
	s := projection.NewState()
	want := []projection.Status{
		projection.Queued, projection.Processing, projection.Queued, projection.Processing,
		projection.Queued, projection.Processing, projection.Completed,
	}
	for n, e := range life(id, &eventlog.ItemCompleted{RunHead: head(id, 3), Result: []byte("1")}) {
		s.Evolve(e, projection.At{Seq: uint64(n + 1)})
		i := s.Item(id)
		if i.Status != want[n] {
			t.Errorf("after %s it is %v, not %v", e.Type(), i.Status, want[n])
		}
		if (i.Live == nil) != i.Status.Final() {
			t.Errorf("after %s: live %v", e.Type(), i.Live != nil)
		}
		if s.CountItems(i.Status) != 1 {
			t.Errorf("after %s no item is counted as %v", e.Type(), i.Status)
		}
		if due, queued := s.NextDue(); queued != (i.Status == projection.Queued) || n == 4 && due != 9000 {
			t.Errorf("after %s the due index says %v %v", e.Type(), due, queued)
		}
		if open := s.OpenItems("fun_a")["admin"]; open == 1 == i.Status.Final() {
			t.Errorf("after %s %d open items refer to the function", e.Type(), open)
		}
	}
}

// A clock that went back brings nothing forward: what comes again is due no
// earlier than it was.
func TestAClockThatWentBackBringsNothingForward(t *testing.T) {
	const id = "sci_0000000000000001"
	for name, end := range map[string]eventlog.Payload{
		"interrupted": &eventlog.ItemInterrupted{RunHead: head(id, 1), Reason: eventlog.InterruptionHandedBack},
		"retried":     &eventlog.ItemRetryScheduled{RunHead: head(id, 1), RetryAt: 1600},
	} {
		s := projection.NewState()
		fold(s, created(id, 2000, "fun_a"),
			event(eventlog.EntityItem, id, 2, 2000, &eventlog.ItemClaimed{RunHead: head(id, 1)}),
			event(eventlog.EntityItem, id, 3, 1500, end))
		if due, queued := s.NextDue(); due != 2000 || !queued {
			t.Errorf("%s: it is due at %v (%v), it was at 2000", name, due, queued)
		}
	}
}

// What ended is read back from its events, whole.
func TestAnEndedItemComesBackFromItsEvents(t *testing.T) {
	const id = "sci_0000000000000001"
	var events []eventlog.Event
	var seqs []uint64
	for n, e := range life(id, &eventlog.ItemFailed{RunHead: head(id, 3), Error: eventlog.Error{Type: "ValueError"}}) {
		events, seqs = append(events, *e), append(seqs, uint64(n+1))
	}
	i := projection.ItemFromLog(events, seqs)
	if i.Status != projection.Failed || i.Live.Name != "name of "+id || string(i.Live.Data) != `{"k":1}` ||
		i.Live.Run.Attempt != 3 || i.Live.Run.Failures != 1 || i.Live.Run.Losses != 1 || i.Live.Run.Error.Type != "ValueError" || i.Seq != 7 {
		t.Errorf("it is %+v, live %+v, run %+v", i, i.Live, i.Live.Run)
	}
}

// The log may hold what must not be there; folding it never fails.
func TestEvolveNeverRefuses(t *testing.T) {
	const id = "sci_0000000000000001"
	for _, p := range []eventlog.Payload{
		&eventlog.ItemUpdated{}, &eventlog.ItemClaimed{}, &eventlog.ItemInterrupted{}, &eventlog.ItemRetryScheduled{},
		&eventlog.ItemCompleted{}, &eventlog.ItemFailed{}, &eventlog.ItemCanceled{RunHead: head(id, 1)},
	} {
		s := projection.NewState()
		fold(s, event(eventlog.EntityItem, id, 1, 1, p), event(eventlog.EntityItem, id, 2, 2, p))
		ended := life(id, &eventlog.ItemCompleted{})
		s = projection.NewState()
		fold(s, append(ended, event(eventlog.EntityItem, id, 9, 9, p))...)
	}
	s := projection.NewState()
	fold(s, event(eventlog.EntityFunction, "fun_x", 1, 1, &eventlog.FunctionDeleted{}),
		event(eventlog.EntityFunction, "fun_y", 1, 1, &eventlog.FunctionUpdated{}),
		event(eventlog.EntityUser, "u", 1, 1, &eventlog.UserUpdated{}),
		event(eventlog.EntityUser, "v", 1, 1, &eventlog.UserDeleted{}))
}

// The due index gives items in the order of their due times, whatever was
// moved or canceled; nothing comes before its time.
func TestTheDueIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := projection.NewState()
		due := map[string]eventlog.Time{}
		revision := map[string]uint64{}
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := fmt.Sprintf("sci_%016d", rapid.IntRange(0, 15).Draw(t, "id"))
			at := eventlog.Time(rapid.IntRange(1, 50).Draw(t, "at"))
			var data eventlog.Payload
			switch _, exists := due[id]; {
			case revision[id] == 0:
				data, due[id] = &eventlog.ItemCreated{RunDateTime: at, Function: eventlog.Ref{ID: "f"}}, at
			case exists && rapid.Bool().Draw(t, "move"):
				data, due[id] = &eventlog.ItemUpdated{RunDateTime: at}, at
			case exists:
				data = &eventlog.ItemCanceled{}
				delete(due, id)
			default:
				continue
			}
			revision[id]++
			s.Evolve(event(eventlog.EntityItem, id, revision[id], eventlog.Time(step+1), data), projection.At{Seq: uint64(step + 1)})
		}
		now := eventlog.Time(rapid.IntRange(0, 51).Draw(t, "now"))
		last := eventlog.Time(0)
		for i := s.TakeDue(now); i != nil; i = s.TakeDue(now) {
			if want, open := due[i.ID]; !open || want != i.Live.Due || i.Live.Due > now || i.Live.Due < last {
				t.Fatalf("item %s with due time %v came at %v after %v", i.ID, i.Live.Due, now, last)
			}
			last = i.Live.Due
			delete(due, i.ID)
		}
		for id, at := range due {
			if at <= now {
				t.Fatalf("item %s, due at %v, did not come at %v", id, at, now)
			}
		}
	})
}

// Lists go from the newest to the oldest, page by page, each item once.
func TestScanGoesFromNewToOld(t *testing.T) {
	s := projection.NewState()
	for n := range 100 {
		id := fmt.Sprintf("sci_%016d", n)
		e := created(id, 5000, "f")
		e.Time = eventlog.Time(1000 + (n*37)%100) // not in order
		s.Evolve(e, projection.At{Seq: uint64(n + 1)})
	}
	var seen []projection.Item
	var c projection.Cursor
	for done := false; !done; {
		var found []projection.Item
		found, c, done = s.ScanItems(c, 7, 3, func(*projection.Item) bool { return true })
		if len(found) > 3 {
			t.Fatalf("%d items in a look at 3", len(found))
		}
		seen = append(seen, found...)
	}
	if len(seen) != 100 {
		t.Fatalf("%d items were seen", len(seen))
	}
	for n := 1; n < len(seen); n++ {
		if seen[n].Created >= seen[n-1].Created {
			t.Fatalf("%v comes after %v", seen[n].Created, seen[n-1].Created)
		}
	}
}

// A loaded snapshot is the state that was encoded, with its indexes.
func TestSnapshotRoundTrip(t *testing.T) {
	s := projection.NewState()
	var all []*eventlog.Event
	for n := range 50 {
		id := fmt.Sprintf("sci_%016d", n)
		events := life(id, &eventlog.ItemCompleted{})
		events[0].Cause = fmt.Sprint("request ", n)
		all = append(all, events[:1+n%7]...)
	}
	all = append(all,
		event(eventlog.EntityFunction, "fun_a", 1, 1, &eventlog.FunctionCreated{Name: "a", Code: "c", Version: 1}),
		event(eventlog.EntityFunction, "fun_b", 1, 1, &eventlog.FunctionCreated{Name: "b"}),
		event(eventlog.EntityFunction, "fun_b", 2, 1, &eventlog.FunctionDeleted{}),
		event(eventlog.EntityUser, "u", 1, 1, &eventlog.UserCreated{Name: "u", Fields: eventlog.UserFields{"x": []byte("[1]"), "a": []byte("2")}}))
	fold(s, all...)
	s.Advance(uint64(len(all)), "local")

	loaded := projection.NewState()
	for p := range eventlog.Partitions {
		encoded, err := s.Partition(p).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := loaded.Load(p, s.Partition(p).Seq, encoded); err != nil {
			t.Fatal(err)
		}
		again, err := loaded.Partition(p).Encode()
		if err != nil || !bytes.Equal(encoded, again) {
			t.Errorf("partition %d is not what it was: %v", p, err)
		}
	}
	loaded.Reindex()
	for status := projection.Queued; status <= projection.Canceled; status++ {
		if loaded.CountItems(status) != s.CountItems(status) {
			t.Errorf("%d items are %v, not %d", loaded.CountItems(status), status, s.CountItems(status))
		}
	}
	p := eventlog.PartitionOf(eventlog.EntityItem, "sci_0000000000000007")
	if got := loaded.Partition(p).Request("request 7"); len(got) != 1 || got[0] == 0 {
		t.Errorf("the request is known as %v", got)
	}
	if !loaded.Partition(0).Gone("fun_b") || loaded.FunctionByRef("a", false) == nil || loaded.FunctionByRef("b", false) != nil {
		t.Error("functions are not what they were")
	}
	if fmt.Sprint(loaded.OpenItems("fun_a")) != fmt.Sprint(s.OpenItems("fun_a")) {
		t.Error("references are not what they were")
	}
	for {
		a, b := s.TakeDue(1<<40), loaded.TakeDue(1<<40)
		if a == nil && b == nil {
			break
		}
		if a == nil || b == nil || a.ID != b.ID {
			t.Fatalf("due: %v and %v", a, b)
		}
	}
}

// A request is remembered for ten minutes of event time.
func TestRequestMemory(t *testing.T) {
	s := projection.NewState()
	ids := map[int][]string{} // by partition
	for n := 0; len(ids[7]) < 2; n++ {
		id := fmt.Sprintf("sci_%016d", n)
		p := eventlog.PartitionOf(eventlog.EntityItem, id)
		ids[p] = append(ids[p], id)
	}
	first, second := created(ids[7][0], 1, "f"), created(ids[7][1], 1, "f")
	first.Cause, second.Cause = "mine", "~generated"
	first.Time, second.Time = 1000, 1000+eventlog.Time(projection.RequestMemory.Milliseconds())
	s.Evolve(first, projection.At{Seq: 5})
	s.Evolve(second, projection.At{Seq: 6})
	if got := s.Partition(7).Request("mine"); len(got) != 1 || got[0] != 5 {
		t.Errorf("after ten minutes the request is %v", got)
	}
	if got := s.Partition(7).Request("~generated"); got != nil {
		t.Errorf("a generated id is remembered: %v", got)
	}
	third := event(eventlog.EntityItem, ids[7][1], 2, second.Time+1, &eventlog.ItemCanceled{})
	s.Evolve(third, projection.At{Seq: 7})
	if got := s.Partition(7).Request("mine"); got != nil {
		t.Errorf("a millisecond later it is %v", got)
	}
}

// A pending sequence is replaced wherever the events of its commit left it.
func TestSettle(t *testing.T) {
	const id = "sci_0000000000000001"
	s := projection.NewState()
	pending := projection.Pending(3)
	events := life(id, &eventlog.ItemCompleted{})[:2]
	events[0].Cause = "mine"
	var list []eventlog.Event
	for _, e := range events {
		s.Evolve(e, projection.At{Seq: pending})
		list = append(list, *e)
	}
	s.Settle(list, pending, 42)
	i := s.Item(id)
	if i.Seq != 42 || i.Live.Run.ClaimSeq != 42 || s.Partition(events[0].Partition).Request("mine")[0] != 42 {
		t.Errorf("seq %d, claim %d", i.Seq, i.Live.Run.ClaimSeq)
	}
}

// A move counts only for what the lane's node owns at that place.
func TestOwnership(t *testing.T) {
	s := projection.NewState()
	move := func(lane, to string, seq uint64, partitions ...int) {
		s.Evolve(event(eventlog.EntityPartitions, "cluster", seq, 1, &eventlog.PartitionsMoved{To: to, Partitions: partitions, Stream: "s" + lane}), projection.At{Seq: seq, Lane: lane})
	}
	move("a", "a", 1, 0, 1, 2, 3)
	move("b", "b", 2, 1)  // b owns nothing
	move("a", "b", 3, 1)  // a gives
	move("a", "c", 4, 1)  // no longer a's
	move("a", "a", 5, 99) // no such partition
	c := s.Cluster()
	if c.Stream != "sa" || c.Owners[0] != (projection.Ownership{Node: "a", Epoch: 1}) || c.Owners[1] != (projection.Ownership{Node: "b", Epoch: 3}) {
		t.Errorf("stream %s, owners %+v", c.Stream, c.Owners[:4])
	}
	s.Evolve(event(eventlog.EntityNode, "a", 1, 1, &eventlog.NodeOpened{Process: "p"}), projection.At{Seq: 6, Lane: "a"})
	if c.Owners[0].Epoch != 6 || c.Owners[1].Epoch != 3 {
		t.Errorf("after an opening of a the epochs are %+v", c.Owners[:4])
	}
}
