package memlog_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
)

// always is the same fault for each append.
func always(f memlog.Fault) memlog.Faults {
	return memlog.Faults{BeforeAppend: func(string, string) memlog.Fault { return f }}
}

// first appends the lane's first commit.
func first(t *testing.T, log *memlog.Log, lane string) (uint64, error) {
	t.Helper()
	return log.Append(t.Context(), lane, eventlog.Expect{}, lane+"-1", []byte("[]"))
}

// stored is how many messages the stream holds.
func stored(t *testing.T, log *memlog.Log) uint64 {
	t.Helper()
	info, err := log.With(memlog.Faults{}).Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.Messages
}

func TestFaultsOfAnAppend(t *testing.T) {
	for name, c := range map[string]struct {
		fault       memlog.Fault
		unknown     bool
		took        time.Duration
		then, later uint64 // stored at the return, and an hour later
	}{
		"none":                      {memlog.Fault{}, false, 0, 1, 1},
		"lost":                      {memlog.Fault{Kind: memlog.Lost}, true, 0, 0, 0},
		"lost, noticed later":       {memlog.Fault{Kind: memlog.Lost, Delay: time.Second}, true, time.Second, 0, 0},
		"acknowledgement lost":      {memlog.Fault{Kind: memlog.AckLost}, true, 0, 1, 1},
		"ack lost, noticed later":   {memlog.Fault{Kind: memlog.AckLost, Delay: time.Second}, true, time.Second, 1, 1},
		"late":                      {memlog.Fault{Kind: memlog.Late, Delay: time.Minute}, true, 0, 0, 1},
		"delayed":                   {memlog.Fault{Kind: memlog.Delayed, Delay: time.Second}, false, time.Second, 1, 1},
		"delayed beyond the caller": {memlog.Fault{Kind: memlog.Delayed, Delay: time.Minute}, true, 2 * time.Second, 0, 1},
		"lost beyond the caller":    {memlog.Fault{Kind: memlog.Lost, Delay: time.Minute}, true, 2 * time.Second, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := memlog.New(always(c.fault))
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				begin := time.Now()
				seq, err := log.Append(ctx, "n1", eventlog.Expect{}, "n1-1", []byte("[]"))
				if errors.Is(err, eventlog.ErrUnknown) != c.unknown || (err == nil) != (seq == 1) {
					t.Errorf("got sequence %d, error %v", seq, err)
				}
				if took := time.Since(begin); took != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
				if n := stored(t, log); n != c.then {
					t.Errorf("%d messages are stored, want %d", n, c.then)
				}
				time.Sleep(time.Hour)
				if n := stored(t, log); n != c.later {
					t.Errorf("later %d messages are stored, want %d", n, c.later)
				}
			})
		})
	}
}

// TestALateAppendIsGuardedWhenItLands: what took its place meanwhile keeps it.
func TestALateAppendIsGuardedWhenItLands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Faults{})
		late := log.With(always(memlog.Fault{Kind: memlog.Late, Delay: time.Minute}))
		body := []byte("[1]")
		if _, err := late.Append(t.Context(), "n1", eventlog.Expect{}, "late", body); !errors.Is(err, eventlog.ErrUnknown) {
			t.Fatal(err)
		}
		body[1] = '2' // the caller's again
		if _, err := late.Append(t.Context(), "n2", eventlog.Expect{}, "late too", body); !errors.Is(err, eventlog.ErrUnknown) {
			t.Fatal(err)
		}
		if _, err := first(t, log, "n1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		m, err := log.Get(t.Context(), 2)
		if err != nil || m.ID != "late too" || string(m.Body) != "[2]" {
			t.Errorf("second is %+v, %v, want what landed in the free lane", m, err)
		}
		if n := stored(t, log); n != 2 {
			t.Errorf("%d messages are stored, want 2", n)
		}
	})
}

func TestFaultsAreANodesOwn(t *testing.T) {
	asked := ""
	log := memlog.New(memlog.Faults{})
	cut := log.With(memlog.Faults{
		BeforeAppend: func(lane, id string) memlog.Fault {
			asked = lane + " " + id
			return memlog.Fault{Kind: memlog.Lost}
		},
		BeforeRead: func() error { return errors.New("cut off") },
	})
	if _, err := first(t, cut, "n1"); !errors.Is(err, eventlog.ErrUnknown) || asked != "n1 n1-1" {
		t.Errorf("got %v, asked for %q", err, asked)
	}
	if _, err := first(t, log, "n1"); err != nil {
		t.Fatal(err)
	}
	_, get := cut.Get(t.Context(), 1)
	_, next := cut.Next(t.Context(), "n1", 1)
	_, info := cut.Info(t.Context())
	for _, err := range []error{get, next, info, cut.Integrity(t.Context(), 0)} {
		if err == nil || err.Error() != "cut off" {
			t.Errorf("a read of the cut node: %v", err)
		}
	}
	if _, err := log.Get(t.Context(), 1); err != nil {
		t.Errorf("a read of the other: %v", err)
	}
}

// TestALeaderOfThePast: reads know nothing of what came since, until it heals.
func TestALeaderOfThePast(t *testing.T) {
	var past atomic.Uint64
	log := memlog.New(memlog.Faults{})
	cut := log.With(memlog.Faults{Past: past.Load})
	for i := range uint64(3) {
		if _, err := log.Append(t.Context(), "n1", eventlog.Expect{LaneSeq: i}, "c", []byte("[]")); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ past, last uint64 }{{0, 3}, {2, 2}, {9, 3}, {0, 3}} {
		past.Store(c.past)
		info, err := cut.Info(t.Context())
		if err != nil || info.LastSeq != c.last || info.Check(c.last) != nil {
			t.Errorf("past %d: it tells %+v, %v", c.past, info, err)
		}
		_, get := cut.Get(t.Context(), 3)
		_, next := cut.Next(t.Context(), "n1", 3)
		if known := c.last == 3; known != (get == nil) || known != (next == nil) {
			t.Errorf("past %d: message 3: %v, %v", c.past, get, next)
		}
	}
}

func TestALaggingFollowerKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Faults{BeforeDeliver: func(seq uint64) time.Duration { return time.Duration(seq%3) * time.Second }})
		ctx, cancel := context.WithCancel(t.Context())
		var seen []uint64
		done := make(chan error)
		go func() {
			done <- log.Follow(ctx, 1, func(m eventlog.Message) error { seen = append(seen, m.Seq); return nil })
		}()
		for i := range uint64(6) {
			if _, err := log.Append(t.Context(), "n1", eventlog.Expect{LaneSeq: i}, "c", []byte("[]")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3500 * time.Millisecond) // 1 s, 2 s, 0 s, 1 s …: the fourth is on its way
		synctest.Wait()
		if len(seen) != 3 || seen[0] != 1 || seen[2] != 3 {
			t.Errorf("seen %v, want 1 2 3", seen)
		}
		cancel() // while it waits
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestDamageIsFound(t *testing.T) {
	fill := func(t *testing.T) *memlog.Log {
		t.Helper()
		log := memlog.New(memlog.Faults{})
		for i := range uint64(5) {
			if _, err := log.Append(t.Context(), "n1", eventlog.Expect{LaneSeq: i}, "c", []byte("[]")); err != nil {
				t.Fatal(err)
			}
		}
		return log
	}
	t.Run("a hole", func(t *testing.T) {
		log := fill(t)
		log.Drop(3)
		log.Drop(3)
		log.Drop(99)
		damaged(t, log.Integrity(t.Context(), 0))
		last := uint64(0)
		damaged(t, log.Follow(t.Context(), 1, func(m eventlog.Message) error { last = m.Seq; return nil }))
		if last != 2 {
			t.Errorf("delivered up to %d, want 2", last)
		}
		if _, err := log.Get(t.Context(), 3); !errors.Is(err, eventlog.ErrNotFound) {
			t.Error(err)
		}
		if m, err := log.Next(t.Context(), "n1", 3); err != nil || m.Seq != 4 {
			t.Errorf("next is %d, %v", m.Seq, err)
		}
		log.Truncate(2) // nothing of the damage is left
		if err := log.Integrity(t.Context(), 2); err != nil {
			t.Error(err)
		}
	})
	t.Run("a lost end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			log := fill(t)
			done := make(chan error)
			go func() { done <- log.Follow(t.Context(), 1, func(eventlog.Message) error { return nil }) }()
			synctest.Wait()
			log.Truncate(3)
			damaged(t, <-done)
			damaged(t, log.Integrity(t.Context(), 4))
			if err := log.Integrity(t.Context(), 3); err != nil {
				t.Error(err)
			}
			if seq, err := log.Append(t.Context(), "n1", eventlog.Expect{LaneSeq: 3}, "c", []byte("[]")); seq != 4 || err != nil {
				t.Errorf("the lane goes on at %d, %v", seq, err)
			}
		})
	})
}

func damaged(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, eventlog.ErrDamaged) {
		t.Errorf("got %v, want that the stream is damaged", err)
	}
}
