package scheduler_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// R2 among several owners: an executor falls silent, its owner dies, another takes
// over, declares the attempt lost and has the next one run elsewhere. When the
// first executor comes back with its result, that changes nothing, and it is told
// to forget it.
func TestAnExecutorThatComesBackLateChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		n1, n2 := st.join("n1", memlog.Faults{}), st.join("n2", memlog.Faults{})
		defer n1.Stop()
		defer n2.Stop()
		st.Scheduler = n1
		st.function("hello", "code")
		x1 := st.executor("x1", "i1", 1, succeed(40*time.Second))
		defer x1.kill()
		time.Sleep(2 * time.Second)
		const id = "0000000000000001"
		st.do(st.item(id, "hello", time.Second))
		time.Sleep(2 * time.Second)
		if status := st.status(id); status != projection.Processing {
			t.Fatalf("its status is %d", status)
		}
		x1.mu.Lock()
		x1.silent = true
		x1.mu.Unlock()
		n1.Fail(context.Canceled)
		if err := n2.TakeFrom(soon(t), "n1", map[string][]int{"n2": everyPartition()}); err != nil {
			t.Fatal(err)
		}
		st.Scheduler = n2
		x2 := st.executor("x2", "j1", 1, succeed(60*time.Second))
		defer x2.kill()
		time.Sleep(20 * time.Second)
		if got := x2.runs()[eventlog.RunOfItem(eventlog.PrefixItem+id)]; len(got) != 1 || got[0].Attempt != 2 {
			t.Fatalf("the other executor has %+v, want attempt 2", got)
		}
		x1.mu.Lock()
		x1.silent = false
		x1.mu.Unlock()
		time.Sleep(25 * time.Second) // it ends its run and says so
		if status := st.status(id); status != projection.Processing {
			t.Errorf("the late result was taken: status %d", status)
		}
		x1.mu.Lock()
		if len(x1.held) != 0 {
			t.Errorf("it still holds %v, and nobody will ever want it", x1.held)
		}
		x1.mu.Unlock()
		time.Sleep(30 * time.Second)
		if status := st.status(id); status != projection.Completed {
			t.Errorf("the second attempt has ended, status %d", status)
		}
		st.judge().Owned("n2")
	})
}

// An owner tells executors at once when something begins to wait for a slot, and
// when nothing does any more: other owners' slots are not left to it for a second.
func TestDemandIsToldWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		n1 := st.join("n1", memlog.Faults{})
		defer n1.Stop()
		st.Scheduler = n1
		st.function("hello", "code")
		x := st.executor("x1", "i1", 0, succeed(time.Second)) // it grants nothing
		defer x.kill()
		type told struct {
			waiting int
			at      time.Time
		}
		var mu sync.Mutex
		var all []told
		x.on(wire.DefaultPrefix.ExecSubject("x1", wire.VerbDemand), func(body []byte) {
			var d wire.Demand
			_ = json.Unmarshal(body, &d)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, told{d.Waiting, time.Now()})
		})
		// first is when a number was told first since a moment.
		first := func(waiting int, since time.Time) time.Duration {
			mu.Lock()
			defer mu.Unlock()
			for _, d := range all {
				if d.waiting == waiting && !d.at.Before(since) {
					return d.at.Sub(since)
				}
			}
			return time.Hour
		}
		time.Sleep(2300 * time.Millisecond) // not when it keeps house
		const id = "0000000000000001"
		due := time.Now().Add(100 * time.Millisecond)
		st.do(st.item(id, "hello", 100*time.Millisecond))
		time.Sleep(110 * time.Millisecond)
		if after := first(1, due); after > 5*time.Millisecond {
			t.Errorf("that something waits was told after %s", after)
		}
		begun := time.Now()
		n1.HoldClaims(true)
		time.Sleep(2 * demandGap)
		if after := first(0, begun); after > demandGap {
			t.Errorf("that nothing may be claimed was told after %s", after)
		}
		n1.HoldClaims(false)
		time.Sleep(2 * demandGap)
		begun = time.Now()
		n1.HoldClaims(true)
		time.Sleep(time.Millisecond)
		n1.HoldClaims(false) // soon after, and told a little later
		time.Sleep(2 * demandGap)
		if after := first(1, begun); after < time.Millisecond || after > 2*demandGap {
			t.Errorf("that it may be claimed again was told after %s", after)
		}
		st.do(command.CancelItem{By: st.by(api.Admin), ID: eventlog.PrefixItem + id})
		mu.Lock()
		defer mu.Unlock()
		if n := len(all); n > 8 {
			t.Errorf("%d demands in 3 s", n)
		}
	})
}

// demandGap is the least time between two demands.
const demandGap = 10 * time.Millisecond

// A node that comes back while nobody can tell the stream's state, as its replicas
// have not found together yet, waits for them instead of ending.
func TestAStartWaitsForTheStreamsReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		n1 := st.join("n1", memlog.Faults{})
		defer n1.Stop()
		begun := time.Now()
		n2 := st.join("n2", memlog.Faults{BeforeRead: func() error {
			if time.Since(begun) < 5*time.Second {
				return errors.New("1 of 3 replicas is heard")
			}
			return nil
		}})
		defer n2.Stop()
		if took := time.Since(begun); took < 5*time.Second || took > 7*time.Second {
			t.Errorf("it took its part after %v", took)
		}
	})
}
