package scheduler_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/projection"
)

// split is a node that is on the wrong side of a network, together with a leader
// of the stream that does not know it yet: it reads the past, hears nothing new,
// and nothing that it appends is stored.
type split struct {
	past   atomic.Uint64 // 0: the network is whole
	healed chan struct{}
}

func (s *split) faults() memlog.Faults {
	return memlog.Faults{
		Past: s.past.Load,
		BeforeAppend: func(string, string) memlog.Fault {
			if s.past.Load() != 0 {
				return memlog.Fault{Kind: memlog.Lost, Delay: 100 * time.Millisecond}
			}
			return memlog.Fault{}
		},
		BeforeDeliver: func(seq uint64) time.Duration {
			if past := s.past.Load(); past != 0 && seq > past {
				<-s.healed
			}
			return 0
		},
	}
}

func (s *split) heal() {
	s.past.Store(0)
	close(s.healed)
}

// strong is known after a Mark, within a time.
func strong(t *testing.T, s *scheduler.Scheduler, id string, within time.Duration) (found bool, refused *api.Error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if refused := s.Mark(ctx); refused != nil {
		return false, refused
	}
	_, refused = s.Read(ctx, func(st *projection.State) { found = st.Item(eventlog.PrefixItem+id) != nil })
	return found, refused
}

// P3: while a leader that was cut off answers, a plain read may be of the past.
// A strong one is not: it is refused, and when the network is whole it is current.
func TestAStrongReadIsNeverOfThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		cut := &split{healed: make(chan struct{})}
		n1, n2 := st.join("n1", memlog.Faults{}), st.join("n2", cut.faults())
		defer n1.Stop()
		defer n2.Stop()
		st.Scheduler = n1
		st.function("hello", "code")
		if known(t, n2, "0000000000000001") {
			t.Fatal("it is known before it is created")
		}
		cut.past.Store(n2.LastSeq())
		st.do(st.item("0000000000000001", "hello", time.Hour))
		if known(t, n2, "0000000000000001") {
			t.Fatal("the leader of the past knows the present: nothing is tried here")
		}
		if found, refused := strong(t, n2, "0000000000000001", 5*time.Second); refused == nil || refused.Code != api.Unavailable {
			t.Errorf("cut off, a strong read is answered: found %v, %v", found, refused)
		}
		time.AfterFunc(time.Second, cut.heal)
		if found, refused := strong(t, n2, "0000000000000001", 10*time.Second); refused != nil || !found {
			t.Errorf("a strong read when the network is whole again: found %v, %v", found, refused)
		}
		if v := st.judge(); v.Markers == 0 {
			t.Error("no marker is in the log")
		}
	})
}

// A marker that the old leader's side cannot see is enough: the append goes to
// the leader that there is, and the read waits until it is folded.
func TestAStrongReadWaitsForItsOwnMarker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		var past atomic.Uint64
		n1 := st.join("n1", memlog.Faults{})
		n2 := st.join("n2", memlog.Faults{Past: past.Load, BeforeDeliver: func(uint64) time.Duration {
			if past.Load() == 0 {
				return 0
			}
			return time.Second
		}})
		defer n1.Stop()
		defer n2.Stop()
		st.Scheduler = n1
		st.function("hello", "code")
		_ = known(t, n2, "0000000000000001")
		past.Store(n2.LastSeq())
		st.do(st.item("0000000000000001", "hello", time.Hour))
		if known(t, n2, "0000000000000001") {
			t.Fatal("the leader of the past knows the present: nothing is tried here")
		}
		if found, refused := strong(t, n2, "0000000000000001", 10*time.Second); refused != nil || !found {
			t.Errorf("found %v, %v", found, refused)
		}
		st.judge()
	})
}

// Strong reads that come while a marker is on its way share the next one; what
// others have decided meanwhile serves as well.
func TestStrongReadsOfAMomentShareAMarker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		var appends atomic.Int64
		n1 := st.join("n1", memlog.Faults{BeforeAppend: func(string, string) memlog.Fault {
			appends.Add(1)
			return memlog.Fault{Kind: memlog.Delayed, Delay: 5 * time.Millisecond}
		}})
		defer n1.Stop()
		before := appends.Load()
		const readers = 1000
		var all sync.WaitGroup
		for n := range readers {
			all.Go(func() {
				time.Sleep(time.Duration(n) * 10 * time.Microsecond) // over two appends
				if refused := n1.Mark(soon(t)); refused != nil {
					t.Error(refused)
				}
			})
		}
		all.Wait()
		if n := appends.Load() - before; n > 4 {
			t.Errorf("%d strong reads within 10 ms appended %d commits of 5 ms each", readers, n)
		}
		markers := st.judge().Markers
		st.Scheduler = n1
		all.Go(func() { st.function("one", "code") })
		synctest.Wait() // it is on its way
		all.Go(func() { st.function("two", "code") })
		synctest.Wait() // it waits for that
		if refused := n1.Mark(soon(t)); refused != nil {
			t.Error(refused)
		}
		all.Wait()
		if now := st.judge().Markers; now != markers {
			t.Errorf("%d markers beside commits that were not sent yet", now-markers)
		}
	})
}

// A commit that was sent before the read came does not count: what was stored
// since then may stand behind it.
func TestACommitOnItsWayIsNoMarker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		n1 := st.join("n1", memlog.Faults{})
		defer n1.Stop()
		st.Scheduler = n1
		st.function("hello", "code")
		var slow atomic.Bool
		var past atomic.Uint64
		// What n2 appends is stored at once, and acknowledged a second later.
		n2 := st.join("n2", memlog.Faults{Past: past.Load, BeforeAppend: func(string, string) memlog.Fault {
			if slow.Load() {
				return memlog.Fault{Kind: memlog.AckLost, Delay: time.Second}
			}
			return memlog.Fault{}
		}, BeforeDeliver: func(uint64) time.Duration {
			if slow.Load() {
				return 3 * time.Second
			}
			return 0
		}})
		defer n2.Stop()
		_ = known(t, n2, "0000000000000001")
		past.Store(n2.LastSeq())
		slow.Store(true)
		first := make(chan *api.Error, 1)
		go func() { first <- n2.Mark(soon(t)) }()
		synctest.Wait() // its marker is stored
		st.do(st.item("0000000000000001", "hello", time.Hour))
		slow.Store(false)
		past.Store(0)
		if found, refused := strong(t, n2, "0000000000000001", time.Minute); refused != nil || !found {
			t.Errorf("found %v, %v", found, refused)
		}
		if refused := <-first; refused != nil {
			t.Error(refused)
		}
		if v := st.judge(); v.Markers != 2 {
			t.Errorf("%d markers, want one of each read", v.Markers)
		}
	})
}

// A marker that was on its way when the coordinator wrote into the lane is never
// stored; the read is answered all the same.
func TestAStrongReadOutlivesATaking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		var slow atomic.Bool
		n1 := st.join("n1", memlog.Faults{BeforeAppend: func(string, string) memlog.Fault {
			if slow.Load() {
				return memlog.Fault{Kind: memlog.Delayed, Delay: 100 * time.Millisecond}
			}
			return memlog.Fault{}
		}})
		n2 := st.join("n2", memlog.Faults{})
		defer n1.Stop()
		defer n2.Stop()
		st.Scheduler = n2
		slow.Store(true)
		done := make(chan *api.Error, 1)
		go func() { done <- n1.Mark(soon(t)) }()
		synctest.Wait()
		if err := n2.TakeFrom(soon(t), "n1", map[string][]int{"n2": everyPartition()}); err != nil {
			t.Fatal(err)
		}
		slow.Store(false)
		if refused := <-done; refused != nil {
			t.Error(refused)
		}
		if err := n1.Err(); err != nil {
			t.Error(err)
		}
		if v := st.judge(); v.Markers != 1 {
			t.Errorf("%d markers, want the one behind the taking", v.Markers)
		}
	})
}

// The next process of a node goes on behind its markers, from a snapshot too.
func TestAnOpeningFollowsMarkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.snapshot = t.TempDir() + "/snapshot"
		for range 3 {
			n1 := st.join("n1", memlog.Faults{})
			if refused := n1.Mark(soon(t)); refused != nil {
				t.Error(refused)
			}
			n1.Stop()
		}
		if v := st.judge(); v.Markers != 3 || v.Openings != 3 {
			t.Errorf("%d markers, %d openings", v.Markers, v.Openings)
		}
	})
}

// A node alone has decided or folded all there is: a strong read costs nothing.
func TestANodeAloneNeedsNoMarker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		defer st.boot().Stop()
		before := st.LastSeq()
		if refused := st.Mark(soon(t)); refused != nil {
			t.Error(refused)
		}
		if now := st.LastSeq(); now != before {
			t.Errorf("the log went on from %d to %d", before, now)
		}
		for _, c := range st.commits() {
			if strings.Contains(string(c.Body), string(eventlog.TypeNodeMarked)) {
				t.Errorf("commit %d is a marker", c.Seq)
			}
		}
	})
}
