package exec_test

import (
	"maps"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

func (b *bench) windows(want map[string]int) {
	b.t.Helper()
	if !maps.Equal(b.told.Windows, want) {
		b.t.Errorf("the windows are %v, not %v", b.told.Windows, want)
	}
}

func TestSignsOfLife(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		if b.told.Version != wire.Version || b.told.Name != name || b.told.Pool != "default" || b.told.Slots != 4 ||
			b.told.Python != "3.99" || len(b.told.Incarnation) != 26 || b.told.Leaving {
			t.Errorf("announced %+v", b.told)
		}
		b.send(b.run("r1", 100))
		for range 5 {
			b.told = wire.Announce{}
			b.pass(wire.AnnounceEvery)
			if b.told.Busy != 1 || len(b.told.Held) != 1 {
				t.Fatalf("announced %+v", b.told)
			}
		}
	})
}

func TestALoneOwnerHasAllSlots(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		b.windows(map[string]int{"owner-a": 4})
		b.demand(wire.Demand{Owner: "owner-a", Epoch: 10, Waiting: 0})
		b.windows(map[string]int{"owner-a": 4})
		b.demand(wire.Demand{Owner: "owner-a", Epoch: 10, Waiting: 1000})
		b.windows(map[string]int{"owner-a": 4})
	})
}

func TestWindowsAreAnnouncedAtOnceWhenTheyChange(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		b.ask("owner-b", map[int]uint64{3: 10})
		b.pass(5 * time.Millisecond)
		b.windows(map[string]int{"owner-a": 2, "owner-b": 2})
		b.demand(wire.Demand{Owner: "owner-b", Epoch: 10, Waiting: 9})
		b.pass(5 * time.Millisecond)
		b.windows(map[string]int{"owner-a": 0, "owner-b": 4})
		b.demand(wire.Demand{Owner: "owner-a", Epoch: 10, Waiting: 1})
		b.pass(5 * time.Millisecond)
		b.windows(map[string]int{"owner-a": 1, "owner-b": 3})
	})
}

func TestASlotThatIsHeldIsNotGrantedTwice(t *testing.T) {
	bubble(t, exec.Config{Slots: 2}, func(b *bench) {
		b.demand(wire.Demand{Owner: "owner-a", Epoch: 10, Waiting: 9})
		b.send(b.run("r1", 100), b.run("r2", 101))
		b.ask("owner-b", map[int]uint64{3: 10})
		b.demand(wire.Demand{Owner: "owner-b", Epoch: 10, Waiting: 9})
		b.pass(time.Second)
		b.windows(map[string]int{"owner-a": 1, "owner-b": 0})
		b.complete("r1")
		b.pass(5 * time.Millisecond)
		b.windows(map[string]int{"owner-a": 1, "owner-b": 1})
	})
}

func TestASilentOwnerLosesItsWindow(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		b.ask("owner-b", map[int]uint64{3: 10})
		b.pass(3 * time.Second)
		b.demand(wire.Demand{Owner: "owner-b", Epoch: 10})
		b.pass(3 * time.Second)
		b.windows(map[string]int{"owner-b": 4})
		b.pass(3 * time.Second)
		b.windows(map[string]int{})
		b.demand(wire.Demand{Owner: "owner-a", Epoch: 10})
		b.pass(5 * time.Millisecond)
		b.windows(map[string]int{"owner-a": 4})
	})
}

// Who took everything from an owner has its slots at once, though the dead one was
// heard a moment ago; and one that lives and does not know it gets none back.
func TestAfterATakeoverTheNewOwnerHasTheSlotsAtOnce(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		b.ask("owner-b", map[int]uint64{3: 10})
		b.ask("owner-c", map[int]uint64{4: 10})
		b.demand(wire.Demand{Owner: "owner-a", Epoch: 10, Waiting: 100})
		b.demand(wire.Demand{Owner: "owner-b", Epoch: 10})
		b.demand(wire.Demand{Owner: "owner-c", Epoch: 10})
		b.pass(5 * time.Millisecond)
		b.windows(map[string]int{"owner-a": 4, "owner-b": 0, "owner-c": 0})
		b.ask("owner-b", map[int]uint64{1: 20, 3: 10}) // one of two partitions
		b.pass(5 * time.Millisecond)
		b.windows(map[string]int{"owner-a": 4, "owner-b": 0, "owner-c": 0})
		b.ask("owner-c", map[int]uint64{2: 21, 4: 10}) // and the other
		b.pass(5 * time.Millisecond)
		b.windows(map[string]int{"owner-b": 2, "owner-c": 2})
		b.demand(wire.Demand{Owner: "owner-a", Epoch: 10, Waiting: 100})
		b.refused("a past epoch", 1)
		b.pass(time.Second)
		b.windows(map[string]int{"owner-b": 2, "owner-c": 2})
		b.ask("owner-a", map[int]uint64{1: 30}) // it is back
		b.demand(wire.Demand{Owner: "owner-a", Epoch: 30, Waiting: 100})
		b.pass(5 * time.Millisecond)
		b.windows(map[string]int{"owner-a": 4, "owner-b": 0, "owner-c": 0})
	})
}

// What ran for the owner that is gone is counted to the new one: no slot is
// granted twice, and none is lost.
func TestAfterATakeoverWhatRunsIsTheNewOwners(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		b.send(b.run("r1", 100), b.run("r2", 101), b.run("r3", 102))
		b.ask("owner-b", map[int]uint64{1: 20, 2: 20, 3: 10})
		b.demand(wire.Demand{Owner: "owner-b", Epoch: 20, Waiting: 9})
		b.pass(5 * time.Millisecond)
		b.windows(map[string]int{"owner-b": 4})
		if held := len(b.told.Held); held != 3 {
			t.Errorf("%d are held, want 3", held)
		}
	})
}

func TestDemandOfAReplacedProcessIsRefused(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		b.ask("owner-a", map[int]uint64{1: 50, 2: 60})
		b.demand(wire.Demand{Owner: "owner-a", Epoch: 10, Waiting: 1})
		b.refused("a past epoch", 1)
		b.ask("owner-b", map[int]uint64{2: 70})
		b.demand(wire.Demand{Owner: "owner-a", Epoch: 50, Waiting: 1}) // its highest went down
		b.refused("a past epoch", 1)
	})
}

func TestTheBacklogFollowsThePaceOfRuns(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		b.runtime.auto = func(*exec.Job, func(wire.LogLine)) exec.Ended {
			time.Sleep(100 * time.Microsecond)
			return success()
		}
		b.demand(wire.Demand{Owner: "owner-a", Epoch: 10, Waiting: 1000})
		for i := range 50 {
			b.send(b.run(string(rune('a'+i)), uint64(100+i)))
			b.pass(time.Millisecond)
		}
		b.pass(time.Second)
		if w := b.told.Windows["owner-a"]; w < 50 || w > wire.WindowMax {
			t.Errorf("the window for runs of 0.1 ms is %d", w)
		}
		b.runtime.auto = nil
		for i := range 4 {
			b.send(b.run(string(rune('A'+i)), uint64(200+i)))
		}
		b.pass(time.Second)
		b.windows(map[string]int{"owner-a": 4}) // all slots are stuck: no backlog
	})
}

func TestEachStartIsAnIncarnation(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		first := b.told.Incarnation
		if err := b.exec.Start(b.t.Context()); err != nil {
			t.Fatal(err)
		}
		b.settle()
		if b.told.Incarnation != first {
			t.Error("a second Start began anew")
		}
		if err := b.exec.Stop(b.t.Context()); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Millisecond)
		if err := b.exec.Start(b.t.Context()); err != nil {
			t.Fatal(err)
		}
		b.settle()
		if b.told.Incarnation == first || b.told.Leaving {
			t.Errorf("announced %+v", b.told)
		}
		old := b.run("r1", 100)
		old.Incarnation = first
		b.ask("owner-a", map[int]uint64{1: 10})
		b.send(old)
		b.refused("another incarnation", 1)
	})
}

func TestConfigIsValidated(t *testing.T) {
	for _, cfg := range []exec.Config{
		{}, {Name: "UPPER"}, {Name: "-a"}, {Name: "a.b"}, {Name: "a234567890123456789012345678901234"},
		{Name: "a", Pool: "no good"}, {Name: "a", Slots: -1}, {Name: "a", Slots: 5000}, {Name: "a", Grace: -1},
	} {
		if _, err := exec.New(cfg, nil, nil); err == nil {
			t.Errorf("accepted %+v", cfg)
		}
	}
}

func TestAnAnnouncementIsTheWires(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		data, err := json.Marshal(b.told)
		if err != nil || len(data) == 0 {
			t.Fatal(err)
		}
	})
}
