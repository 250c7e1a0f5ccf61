package coordinator_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/cluster"
	"github.com/belfryhq/belfry/node/coordinator"
	"github.com/belfryhq/belfry/node/scheduler"
)

// Who leaves has given everything away when Leave returns, the leader, too, and
// gets nothing back.
func TestWhoLeavesOwnsNothing(t *testing.T) {
	for _, who := range []string{"n1", "n2"} {
		t.Run(who, func(t *testing.T) {
			bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
				n, began := st.node(who), time.Now()
				others := slices.DeleteFunc([]string{"n1", "n2", "n3"}, func(name string) bool { return name == who })
				if err := n.Leave(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 2*beat+100*time.Millisecond {
					t.Errorf("it took %s", took)
				}
				n.even(others...)
				time.Sleep(beat)
				n.stop()
				st.lead("n3")
				commits := st.commits()
				time.Sleep(time.Minute)
				if st.commits() != commits {
					t.Error("moves for one that had given all away")
				}
				st.node("n3").even(others...)
				st.join(who)
				time.Sleep(5 * time.Second)
				st.node("n3").even("n1", "n2", "n3")
				if err := st.node("n3").Leave(t.Context()); err != nil || st.node("n3").owned()["n3"] > 0 {
					t.Errorf("the next: %v", err)
				}
				st.end("n1", "n2", "n3")
			})
		})
	}
}

// A sign of life that was on its way when the node began to leave does not say
// afterwards that it stays: nobody gives it anything back.
func TestWhoLeavesSaysSoLast(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
		n2, before := st.node("n2"), st.node("n1").given()+st.node("n3").given()
		time.Sleep(beat / 2)
		n2.slow.Store(int64(beat / 5))
		time.Sleep(beat/2 + time.Millisecond) // its sign of life comes to be
		if err := n2.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := st.node("n1").given() + st.node("n3").given(); n != before {
			t.Errorf("the others gave something away, %d times", n-before)
		}
		n2.even("n1", "n3")
		st.end("n1", "n3")
	})
}

// Nobody is there to give to: whoever leaves need not wait.
func TestTheLastOneLeavesAtOnce(t *testing.T) {
	bubble(t, []string{"n1"}, func(t *testing.T, st *stage) {
		began := time.Now()
		if err := st.node("n1").Leave(t.Context()); err != nil || time.Since(began) > 0 {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		st.end("n1")
	})
}

// Two that leave at once do not give each other what they have.
func TestTwoLeaveAtOnce(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
		left := make(chan error, 2)
		for _, name := range []string{"n1", "n2"} {
			go func() { left <- st.node(name).Leave(t.Context()) }()
		}
		for range 2 {
			if err := <-left; err != nil {
				t.Error(err)
			}
		}
		st.node("n3").even("n3")
		st.end("n3")
	})
}

// A leaving that has no time ends with an error that says so; the rest is taken.
func TestALeavingThatIsCutShort(t *testing.T) {
	bubble(t, []string{"n1", "n2"}, func(t *testing.T, st *stage) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		n2 := st.node("n2")
		if err := n2.Leave(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("it left: %v", err)
		}
		n2.stop()
		time.Sleep(silence + 2*beat)
		st.node("n1").even("n1")
		st.end("n1")
	})
}

// Who decides nothing any more cannot give, and does not try until its time is
// over: the others wait for its last sign of life.
func TestWhoDecidesNothingLeavesAtOnce(t *testing.T) {
	bubble(t, []string{"n1", "n2"}, func(t *testing.T, st *stage) {
		n2, began := st.node("n2"), time.Now()
		n2.Fail(errors.New("its log is gone"))
		<-n2.Scheduler.Done()
		if err := n2.Leave(t.Context()); !errors.Is(err, scheduler.ErrStopped) || time.Since(began) > beat {
			t.Errorf("it left after %s: %v", time.Since(began), err)
		}
		n2.stop()
		time.Sleep(silence + 2*beat)
		st.node("n1").even("n1")
		st.end("n1")
	})
}

// A node that is to be removed gives everything away, gets nothing back, and is
// not done before it is no member.
func TestWhoIsToBeRemovedOwnsNothing(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
		n2 := st.node("n2")
		st.raft.change(func(s *cluster.State) { s.Leaving = map[string]bool{"n2": true} })
		time.Sleep(5 * time.Second)
		n2.even("n1", "n3")
		if plan := st.raft.State().Plan; slices.Contains(plan[:], "n2") || n2.Err() != nil {
			t.Errorf("the plan is %v, and n2 ended with %v", plan, n2.Err())
		}
		st.end("n1", "n2", "n3")
	})
}

// A node that is no member any more gives everything away and says that it is
// done.
func TestWhoIsRemovedEnds(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
		n2 := st.node("n2")
		st.raft.change(func(s *cluster.State) { delete(s.Members, "n2") })
		select {
		case <-n2.Done():
		case <-time.After(5 * time.Second):
			t.Fatal("it goes on")
		}
		if err := n2.Err(); !errors.Is(err, coordinator.ErrRemoved) {
			t.Errorf("it ended with %v", err)
		}
		n2.even("n1", "n3")
		st.end("n1", "n3")
	})
}

// A node that was removed and does not know, as it hears nothing of what is
// agreed on, has its partitions taken although it is heard.
func TestWhoDoesNotKnowItWasRemoved(t *testing.T) {
	bubble(t, []string{"n1", "n2", "n3"}, func(t *testing.T, st *stage) {
		n2 := st.node("n2")
		n2.Coordinator.Stop() // it does not follow, but is heard
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(beat):
					_ = n2.line.Publish("belfry.node.alive", []byte(`{"node":"n2","process":"x","ready":true}`))
				}
			}
		}()
		st.raft.change(func(s *cluster.State) { delete(s.Members, "n2") })
		time.Sleep(3 * silence)
		if n := st.node("n1").owned()["n2"]; n == 0 {
			t.Error("it had no time to give by itself")
		}
		time.Sleep(3 * silence)
		st.node("n1").even("n1", "n3")
		close(stop)
		st.end("n1", "n3")
	})
}
