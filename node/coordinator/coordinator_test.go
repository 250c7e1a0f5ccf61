package coordinator_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/node/cluster"
	"github.com/belfryhq/belfry/node/coordinator"
	"github.com/belfryhq/belfry/node/scheduler"
)

// bubble tells a story of a cluster, of which the first node leads and all own
// their share.
func bubble(t *testing.T, names []string, story func(*testing.T, *stage)) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t)
		st.join(names...)
		st.lead(names[0])
		time.Sleep(6 * time.Second)
		st.node(names[0]).even(names...)
		story(t, st)
	})
}

// Who joins gets its share, a portion at a time, and nothing moves afterwards.
func TestWhoJoinsGetsItsShareQuietly(t *testing.T) {
	bubble(t, []string{"n1"}, func(t *testing.T, st *stage) {
		n1, began := st.node("n1"), time.Now()
		st.join("n2")
		time.Sleep(beat / 2) // between two beats
		for before := 64; before > 32; {
			time.Sleep(beat)
			now := n1.owned()["n1"]
			if before-now > 8 {
				t.Errorf("%d partitions moved at once", before-now)
			}
			before = now
			if time.Since(began) > time.Minute {
				t.Fatalf("n1 still has %d", now)
			}
		}
		st.join("n3")
		time.Sleep(4 * time.Second)
		n1.even("n1", "n2", "n3")
		commits, plans := st.commits(), st.raft.planned()
		time.Sleep(time.Minute)
		if st.commits() != commits || st.raft.planned() != plans {
			t.Error("something moved although nobody came or went")
		}
		if plans != 3 {
			t.Errorf("%d plans for three members", plans)
		}
		if taken := n1.taken(); len(taken) > 0 {
			t.Errorf("taken from the living: %v", taken)
		}
		st.end("n1", "n2", "n3")
	})
}

// What a dead node owned is owned by the living within a silence and a beat, and
// nothing else moves.
func TestTheDeadAreTakenFrom(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
		n1, commits := st.node("n1"), st.commits()
		st.node("n3").kill()
		time.Sleep(silence - beat - time.Millisecond)
		if n1.owned()["n3"] == 0 {
			t.Error("it was taken from before its silence was over")
		}
		time.Sleep(2*beat + 10*time.Millisecond)
		n1.even("n1", "n2")
		time.Sleep(time.Minute)
		if n := st.commits() - commits; n != 1 {
			t.Errorf("%d commits for one taking", n)
		}
		st.join("n3") // it comes back
		time.Sleep(5 * time.Second)
		n1.even("n1", "n2", "n3")
		st.end("n1", "n2", "n3")
	})
}

// Who is known to have ended is not waited for; but nothing is known of those who
// are heard.
func TestTheEndedAreTakenFromAtOnce(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
		n1 := st.node("n1")
		st.gone.Store("n2", nil)
		st.gone.Store("n3", nil)
		st.node("n3").kill()
		time.Sleep(3 * beat)
		n1.even("n1", "n2")
		if taken := n1.taken(); !slices.Equal(taken, []string{"n3"}) {
			t.Errorf("taken from %v", taken)
		}
		st.join("n3") // it comes back
		time.Sleep(5 * time.Second)
		n1.even("n1", "n2", "n3")
		st.end("n1", "n2", "n3")
	})
}

// The dead leader's partitions are taken by whoever leads next, who has listened
// all the time.
func TestTheDeadLeaderIsTakenFrom(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
		st.node("n1").kill()
		time.Sleep(time.Second) // an election
		st.lead("n2")
		time.Sleep(silence + beat - time.Second + 10*time.Millisecond)
		st.node("n2").even("n2", "n3")
		st.end("n2", "n3")
	})
}

// A leader that stood still, or was cut off, hears nobody's past when it wakes,
// and takes from nobody.
func TestWhoWakesTakesFromNobody(t *testing.T) {
	for name, trouble := range map[string][2]bool{"it stood still": {false, true}, "it was cut off": {true, false}} {
		for _, d := range []time.Duration{300 * time.Millisecond, time.Second, silence, 20 * time.Second, 5 * time.Minute} {
			t.Run(name+" for "+d.String(), func(t *testing.T) {
				bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
					n1 := st.node("n1")
					n1.line.set(trouble[0], trouble[1])
					time.Sleep(d)
					n1.line.set(false, false)
					time.Sleep(10 * time.Second)
					if taken := n1.taken(); len(taken) > 0 {
						t.Errorf("taken from the living: %v", taken)
					}
					n1.even("n1", "n2", "n3")
					st.end("n1", "n2", "n3")
				})
			})
		}
	}
}

// A leader that has just started has not heard everybody yet, and takes from
// nobody whom it could not hear.
func TestWhoHasJustStartedTakesFromNobody(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
		st.node("n1").kill()
		time.Sleep(100 * time.Millisecond)
		st.node("n2").line.set(true, false)
		st.join("n1")
		n1 := st.lead("n1")
		time.Sleep(time.Second)
		st.node("n2").line.set(false, false)
		time.Sleep(10 * time.Second)
		if taken := n1.taken(); len(taken) > 0 {
			t.Errorf("taken from the living: %v", taken)
		}
		n1.even("n1", "n2", "n3")
		st.end("n1", "n2", "n3")
	})
}

// Without agreement nothing is taken: who cannot reach the others is the one that
// is cut off.
func TestWithoutAgreementNothingIsTaken(t *testing.T) {
	bubble(t, []string{"n1", "n2"}, func(t *testing.T, st *stage) {
		n1 := st.node("n1")
		st.raft.change(func(*cluster.State) { st.raft.refuse = cluster.ErrNotLeader })
		st.node("n2").kill()
		time.Sleep(10 * time.Second)
		if taken := n1.taken(); len(taken) > 0 {
			t.Errorf("taken: %v", taken)
		}
		st.raft.change(func(*cluster.State) { st.raft.refuse = nil })
		time.Sleep(2 * beat)
		n1.even("n1")
		st.end("n1")
	})
}

// Two coordinators at once take once and plan the same.
func TestTwoCoordinators(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3", "n4"}, func(t *testing.T, st *stage) {
		n1, n2 := st.node("n1"), st.lead("n2")
		st.node("n4").kill()
		time.Sleep(silence + 2*beat)
		n1.even("n1", "n2", "n3")
		commits, plans := st.commits(), st.raft.planned()
		st.join("n4")
		time.Sleep(10 * time.Second)
		n2.even("n1", "n2", "n3", "n4")
		if more := st.raft.planned() - plans; more > 2 {
			t.Errorf("%d plans for one that joined", more)
		}
		if more := st.commits() - commits; more > 10 { // its opening, and a few portions
			t.Errorf("%d commits for one that joined", more)
		}
		st.end("n1", "n2", "n3", "n4")
	})
}

// A silent node whose lane goes on lives: it is left alone for another silence.
func TestWhoseLaneGoesOnIsSpared(t *testing.T) {
	bubble(t, []string{"n1", "n2"}, func(t *testing.T, st *stage) {
		n1, n2 := st.node("n1"), st.node("n2")
		n1.mu.Lock()
		n1.refuse = scheduler.ErrLaneMoved
		n1.mu.Unlock()
		n2.line.set(true, false)
		time.Sleep(silence + beat)
		if taken := n1.taken(); len(taken) != 1 {
			t.Fatalf("tried: %v", taken)
		}
		time.Sleep(silence - 4*beat)
		if taken := n1.taken(); len(taken) != 1 {
			t.Errorf("it was not spared: %v", taken)
		}
		n2.line.set(false, false)
		time.Sleep(10 * time.Second)
		if taken := n1.taken(); len(taken) != 1 {
			t.Errorf("robbed although it is heard again: %v", taken)
		}
		n1.even("n1", "n2")
		st.end("n1", "n2")
	})
}

// A move of the leader's own that is not stored yet is waited for.
func TestAPendingMoveIsTriedAgain(t *testing.T) {
	bubble(t, []string{"n1", "n2"}, func(t *testing.T, st *stage) {
		n1 := st.node("n1")
		n1.mu.Lock()
		n1.refuse = scheduler.ErrMovePending
		n1.mu.Unlock()
		st.node("n2").kill()
		time.Sleep(silence + 2*beat)
		n1.mu.Lock()
		n1.refuse = nil
		n1.mu.Unlock()
		time.Sleep(beat)
		n1.even("n1")
		st.end("n1")
	})
}

// A node whose clock is off gives its partitions away and gets them back when
// the clock is set.
func TestWhoseClockIsOffOwnsNothing(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
		n1, n2 := st.node("n1"), st.node("n2")
		n2.skew.Store(int64(200 * time.Millisecond))
		time.Sleep(10 * time.Second)
		n1.even("n1", "n2", "n3")
		n2.skew.Store(int64(-2 * time.Second))
		time.Sleep(10 * time.Second)
		n1.even("n1", "n3")
		if off := n2.Coordinator.Status().ClockOff; off != -2*time.Second {
			t.Errorf("off by %s", off)
		}
		n2.skew.Store(0)
		time.Sleep(10 * time.Second)
		n1.even("n1", "n2", "n3")
		if taken := n1.taken(); len(taken) > 0 {
			t.Errorf("taken from the living: %v", taken)
		}
		st.end("n1", "n2", "n3")
	})
}

// A node whose clock is off takes nothing that is due, from the beat on that knows,
// before anybody has taken its partitions.
func TestWhoseClockIsOffClaimsNothing(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
		n2 := st.node("n2")
		time.Sleep(10 * time.Second)
		if n2.held.Load() {
			t.Error("held, and all clocks agree")
		}
		n2.skew.Store(int64(2 * time.Second))
		time.Sleep(300 * time.Millisecond) // a beat
		if !n2.held.Load() {
			t.Error("not held a beat after its clock has jumped")
		}
		time.Sleep(10 * time.Second)
		if !n2.held.Load() {
			t.Error("not held, and its clock is off by 2 s")
		}
		if st.node("n1").held.Load() || st.node("n3").held.Load() {
			t.Error("those are held whose clocks are right")
		}
		n2.skew.Store(0)
		time.Sleep(3 * time.Second)
		if n2.held.Load() {
			t.Error("held 3 s after its clock was set")
		}
		st.end("n1", "n2", "n3")
	})
}

// After a jump within the limit a node measures anew, then goes on: it keeps what
// it owns. Where nobody can tell, it goes on at once.
func TestAfterAJumpItIsMeasuredFirst(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
		n2 := st.node("n2")
		time.Sleep(10 * time.Second)
		commits := st.commits()
		n2.skew.Store(int64(200 * time.Millisecond))
		time.Sleep(300 * time.Millisecond)
		if !n2.held.Load() {
			t.Error("not held after a jump, before it is measured")
		}
		time.Sleep(time.Second)
		if n2.held.Load() {
			t.Error("held a second later")
		}
		if st.commits() != commits {
			t.Error("something moved")
		}
		st.end("n1", "n2", "n3")
	})
	bubble(t, []string{"n1", "n2"}, func(t *testing.T, st *stage) {
		n2 := st.node("n2")
		time.Sleep(10 * time.Second)
		n2.skew.Store(int64(time.Hour))
		for range 40 {
			time.Sleep(50 * time.Millisecond)
			if n2.held.Load() {
				t.Fatal("held, and two clocks have no median")
			}
		}
		st.end("n1", "n2")
	})
}

// Two clocks have no median: nothing moves.
func TestTwoClocksThatDiffer(t *testing.T) {
	bubble(t, []string{"n1", "n2"}, func(t *testing.T, st *stage) {
		commits := st.commits()
		st.node("n2").skew.Store(int64(time.Hour))
		time.Sleep(10 * time.Second)
		if st.commits() != commits {
			t.Error("something moved")
		}
		st.end("n1", "n2")
	})
}

func TestStatus(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
		st.node("n2").skew.Store(int64(100 * time.Millisecond))
		st.node("n3").kill()
		time.Sleep(10 * time.Second)
		status := st.node("n1").Coordinator.Status()
		if len(status.Nodes) != 3 || !status.Listening || status.ClockOff != 0 {
			t.Fatalf("%+v", status)
		}
		n1, n2, n3 := status.Nodes[0], status.Nodes[1], status.Nodes[2]
		if !n1.Alive || !n1.Ready || n1.Offset != 0 || !n1.Measured {
			t.Errorf("itself: %+v", n1)
		}
		if !n2.Alive || !n2.Ready || n2.Offset != 100*time.Millisecond || n2.Silent > beat {
			t.Errorf("another: %+v", n2)
		}
		if n3.Alive || n3.Silent < 9*time.Second {
			t.Errorf("a dead one: %+v", n3)
		}
		if len(status.Moved) != 2 || status.Moved[0].From != "n3" || len(status.Moved[0].Partitions)+len(status.Moved[1].Partitions) < 21 {
			t.Errorf("moved: %+v", status.Moved)
		}
		st.end("n1", "n2")
	})
}

func TestConfigIsChecked(t *testing.T) {
	st := newStage(t)
	good := coordinator.Config{Node: "n1", Process: "p", Bus: &line{bus: st.bus}, Agreement: st.raft, Mover: &member{}}
	if _, err := coordinator.New(good); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*coordinator.Config){
		"no name":         func(c *coordinator.Config) { c.Node = "" },
		"no process":      func(c *coordinator.Config) { c.Process = "" },
		"no bus":          func(c *coordinator.Config) { c.Bus = nil },
		"no mover":        func(c *coordinator.Config) { c.Mover = nil },
		"a short silence": func(c *coordinator.Config) { c.Silence = 2 * beat },
		"a short gap":     func(c *coordinator.Config) { c.GapMax = beat },
	} {
		bad := good
		spoil(&bad)
		if _, err := coordinator.New(bad); err == nil {
			t.Errorf("%s: nobody objects", name)
		}
	}
}
