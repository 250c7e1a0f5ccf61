package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/projection"
)

// join starts a node of several on the stage's log, which it sees with its own
// faults.
func (st *stage) join(name string, faults memlog.Faults) *scheduler.Scheduler {
	st.t.Helper()
	st.processes++
	s, err := scheduler.New(scheduler.Config{
		Node: name, Process: fmt.Sprint(name, st.processes), Version: "test",
		Log: st.log.With(faults), Stream: streamID, Bus: st.bus, Clock: st.clock,
		SnapshotEvents: st.snapshotEvents, SnapshotFile: st.snapshot, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		st.t.Fatal(err)
	}
	if err := s.Start(st.t.Context()); err != nil {
		st.t.Fatal(err)
	}
	return s
}

func everyPartition() []int {
	all := make([]int, eventlog.Partitions)
	for p := range all {
		all[p] = p
	}
	return all
}

// soon bounds what must not hang.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// known says whether a node's projection holds an item.
func known(t *testing.T, s *scheduler.Scheduler, id string) bool {
	t.Helper()
	var found bool
	if _, refused := s.Read(soon(t), func(st *projection.State) { found = st.Item(eventlog.PrefixItem+id) != nil }); refused != nil {
		t.Fatal(refused)
	}
	return found
}

// A read on a node at which nothing happens is answered at once.
func TestAReadRightAfterTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		n1 := st.join("n1", memlog.Faults{})
		defer n1.Stop()
		if known(t, n1, "0000000000000001") {
			t.Error("an item that was never created is known")
		}
	})
}

// An orderly hand-over: what was decided stands before it, and who got it
// decides from there on.
func TestAnOrderlyHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		n1, n2 := st.join("n1", memlog.Faults{}), st.join("n2", memlog.Faults{})
		defer n1.Stop()
		defer n2.Stop()
		st.Scheduler = n1
		st.function("hello", "code")
		st.do(st.item("0000000000000001", "hello", time.Hour))
		if err := n1.GiveAway(soon(t), "n3", everyPartition()); !errors.Is(err, scheduler.ErrUnknownNode) {
			t.Errorf("given to nobody: %v", err)
		}
		if err := n1.GiveAway(soon(t), "n2", everyPartition()); err != nil {
			t.Fatal(err)
		}
		answer, refused := n1.Do(soon(t), false, nil, st.item("0000000000000002", "hello", time.Hour))
		if refused != nil || answer.Outcomes[0].Err == nil || answer.Outcomes[0].Err.Code != api.Unavailable {
			t.Errorf("who gave it away decides: %v, %v", answer.Outcomes, refused)
		}
		if !known(t, n2, "0000000000000001") {
			t.Error("the new owner does not know what was before")
		}
		st.Scheduler = n2
		st.do(st.item("0000000000000002", "hello", time.Hour))
		if err := n1.GiveAway(soon(t), "n2", everyPartition()); !errors.Is(err, scheduler.ErrNotOwned) {
			t.Errorf("given away twice: %v", err)
		}
		st.judge().Owned("n2")
	})
}

// A node from which everything is taken while a commit of it is on its way
// learns it from its lane: what it could not store is unavailable to who asked,
// it folds again, and time goes on for everybody.
func TestTakenFromWhileItDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		var slow atomic.Bool
		n1 := st.join("n1", memlog.Faults{
			BeforeAppend: func(string, string) memlog.Fault {
				if slow.Load() {
					return memlog.Fault{Kind: memlog.Delayed, Delay: 3 * time.Second}
				}
				return memlog.Fault{}
			},
			BeforeDeliver: func(uint64) time.Duration { return 100 * time.Millisecond },
		})
		n2 := st.join("n2", memlog.Faults{})
		defer n1.Stop()
		defer n2.Stop()
		st.Scheduler = n1
		st.function("hello", "code")
		slow.Store(true)
		told := make(chan *api.Error)
		go func() {
			_, refused := n1.Do(soon(t), false, nil, st.item("0000000000000001", "hello", time.Hour))
			told <- refused
		}()
		time.Sleep(time.Second) // it is on its way
		if err := n2.TakeFrom(soon(t), "n1", map[string][]int{"n2": everyPartition()}); err != nil {
			t.Fatal(err)
		}
		if refused := <-told; refused == nil || refused.Code != api.Unavailable {
			t.Errorf("who asked was told %v, want that nothing was stored", refused)
		}
		if known(t, n1, "0000000000000001") || known(t, n2, "0000000000000001") {
			t.Error("what could not be stored is known")
		}
		if err := n2.TakeFrom(soon(t), "n1", map[string][]int{"n2": everyPartition()}); !errors.Is(err, scheduler.ErrNotOwned) {
			t.Errorf("taken twice: %v", err)
		}
		st.judge().Owned("n2")
	})
}

// A node that was taken from and has not heard of it answers nothing from what it
// knew: also what stores nothing is decided on the newest state.
func TestAnAnswerThatStoresNothingIsCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		n1 := st.join("n1", memlog.Faults{BeforeDeliver: func(uint64) time.Duration { return 300 * time.Millisecond }})
		n2 := st.join("n2", memlog.Faults{})
		defer n1.Stop()
		defer n2.Stop()
		st.Scheduler = n1
		st.function("hello", "code")
		st.do(st.item("0000000000000001", "hello", time.Hour))
		rename := func(name string) command.Command {
			c, refused := command.NewUpdateItem(st.by("admin"), api.ItemInput{ID: eventlog.PrefixItem + "0000000000000001", Name: &name})
			if refused != nil {
				t.Fatal(refused)
			}
			return c
		}
		if err := n2.TakeFrom(soon(t), "n1", map[string][]int{"n2": everyPartition()}); err != nil {
			t.Fatal(err)
		}
		st.Scheduler = n2
		st.do(rename("another"))
		answer, refused := n1.Do(soon(t), false, nil, rename("0000000000000001")) // its name, as n1 knows it
		if refused != nil || answer.Outcomes[0].Err == nil || answer.Outcomes[0].Err.Code != api.Unavailable {
			t.Errorf("from what it knew it answers %+v, %v", answer.Outcomes, refused)
		}
	})
}

// Who gave a partition away says nothing more under its epoch, neither before the
// move is stored nor after it: executors would refuse who decides for it now.
func TestReportsOfWhatWasGivenAwayAreLeftToTheNewOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		var slow atomic.Bool
		n1 := st.join("n1", memlog.Faults{BeforeAppend: func(lane, _ string) memlog.Fault {
			if slow.Load() && lane == "n1" {
				return memlog.Fault{Kind: memlog.Delayed, Delay: 300 * time.Millisecond}
			}
			return memlog.Fault{}
		}})
		n2 := st.join("n2", memlog.Faults{})
		defer n1.Stop()
		defer n2.Stop()
		st.Scheduler = n1
		e := st.executor("local", "i1", 2, succeed(50*time.Millisecond))
		defer e.kill()
		var mu sync.Mutex
		epochs := map[uint64]int{}
		stop, err := st.bus.Subscribe(wire.DefaultPrefix.ExecSubject("local", wire.VerbStored), func(_ string, body []byte) {
			var stored wire.Stored
			if err := json.Unmarshal(body, &stored); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			epochs[stored.Epoch]++
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		st.function("hello", "code")
		st.do(st.item("0000000000000001", "hello", time.Second))
		time.Sleep(time.Second + 20*time.Millisecond) // it runs
		slow.Store(true)
		time.Sleep(50 * time.Millisecond) // its report is being stored
		if err := n1.GiveAway(soon(t), "n2", everyPartition()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		owner := st.judge().Commits // the move is the last commit
		for epoch := range epochs {
			if epoch != uint64(owner) {
				t.Errorf("acknowledged under the epoch %d, the partition is decided by that of %d", epoch, owner)
			}
		}
		if len(epochs) == 0 {
			t.Error("nobody acknowledged the report")
		}
	})
}

// A coordinator whose own move is not stored yet takes nothing: whom it takes for
// the owner may not be one when the log has it.
func TestNothingIsTakenByAMoveThatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		var slow atomic.Bool
		n1 := st.join("n1", memlog.Faults{BeforeAppend: func(lane, _ string) memlog.Fault {
			if slow.Load() && lane == "n1" {
				return memlog.Fault{Kind: memlog.Delayed, Delay: 3 * time.Second}
			}
			return memlog.Fault{}
		}})
		n2 := st.join("n2", memlog.Faults{})
		defer n1.Stop()
		defer n2.Stop()
		known(t, n1, "none") // it has heard of the other
		if err := n1.GiveAway(soon(t), "n2", everyPartition()[:32]); err != nil {
			t.Fatal(err)
		}
		slow.Store(true)
		given := make(chan error)
		go func() { given <- n1.GiveAway(soon(t), "n2", everyPartition()[32:]) }()
		time.Sleep(time.Second) // it is on its way
		if err := n1.TakeFrom(soon(t), "n2", map[string][]int{"n1": everyPartition()}); !errors.Is(err, scheduler.ErrMovePending) {
			t.Errorf("taken meanwhile: %v", err)
		}
		if err := <-given; err != nil {
			t.Fatal(err)
		}
		if err := n1.TakeFrom(soon(t), "n2", map[string][]int{"n1": everyPartition()}); err != nil {
			t.Errorf("taken after it: %v", err)
		}
		st.judge().Owned("n1")
	})
}

// Of two coordinators that take from one node at the same place of its lane,
// one finds it occupied.
func TestTwoCoordinators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		late := memlog.Faults{BeforeAppend: func(lane, _ string) memlog.Fault {
			if lane == "n1" {
				return memlog.Fault{Kind: memlog.Delayed, Delay: time.Second}
			}
			return memlog.Fault{}
		}}
		n1, n2, n3 := st.join("n1", memlog.Faults{}), st.join("n2", late), st.join("n3", late)
		defer n1.Stop()
		defer n2.Stop()
		defer n3.Stop()
		results := make(chan error)
		for name, n := range map[string]*scheduler.Scheduler{"n2": n2, "n3": n3} {
			go func() { results <- n.TakeFrom(soon(t), "n1", map[string][]int{name: everyPartition()}) }()
		}
		one, other := <-results, <-results
		if (one == nil) == (other == nil) || !errors.Is(errors.Join(one, other), scheduler.ErrLaneMoved) {
			t.Errorf("they were told %v and %v, want that one was too late", one, other)
		}
		st.judge().Owned("n2", "n3")
	})
}

// A second process of a name ends the first, and takes its part.
func TestASecondProcessAmongSeveralNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		first, n2 := st.join("n1", memlog.Faults{}), st.join("n2", memlog.Faults{})
		second := st.join("n1", memlog.Faults{})
		defer second.Stop()
		defer n2.Stop()
		select {
		case <-first.Done():
		case <-time.After(time.Minute):
			t.Error("the first process goes on")
		}
		first.Stop()
		if !errors.Is(first.Err(), scheduler.ErrFenced) {
			t.Errorf("it ended because of %v", first.Err())
		}
		st.Scheduler = second
		st.function("hello", "code")
		st.judge().Owned("n1")
	})
}

// A process that ends amidst a snapshot leaves nothing behind, neither a file
// nor a goroutine (which the bubble would find).
func TestAnEndAmidstASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.snapshot, st.snapshotEvents = t.TempDir()+"/snapshot", 3
		n1 := st.join("n1", memlog.Faults{})
		st.Scheduler = n1
		st.function("hello", "code")
		for n := range 3 {
			st.do(st.item(fmt.Sprintf("%016d", n), "hello", time.Hour))
		}
		time.Sleep(20 * time.Millisecond) // some partitions are taken
		n1.Fail(errors.New("an end"))
		n1.Stop()
	})
}

// While a commit of ours is stored and what stands before it in other lanes is
// not yet folded, a snapshot waits, and the log is still heard.
func TestASnapshotBesideALaggingLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.snapshotEvents = 2
		n2 := st.join("n2", memlog.Faults{}) // it owns everything: it is first
		st.snapshot = t.TempDir() + "/snapshot"
		n1 := st.join("n1", memlog.Faults{BeforeDeliver: func(uint64) time.Duration { return 400 * time.Millisecond }})
		defer n1.Stop()
		defer n2.Stop()
		st.Scheduler = n2
		st.function("hello", "code")
		var there []int
		for p := range eventlog.Partitions {
			if p%2 == 1 {
				there = append(there, p)
			}
		}
		if err := n2.GiveAway(soon(t), "n1", there); err != nil {
			t.Fatal(err)
		}
		known(t, n1, "none")
		for n := range 40 {
			for _, s := range []*scheduler.Scheduler{n1, n2} {
				id := s.DrawID("", "")
				if _, refused := s.Do(soon(t), false, nil, st.item(id, "hello", time.Hour)); refused != nil {
					t.Fatalf("item %d: %v", n, refused)
				}
			}
		}
		known(t, n1, "none")
		st.judge().Owned("n1", "n2")
	})
}
