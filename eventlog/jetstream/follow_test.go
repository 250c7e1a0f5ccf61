package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/eventlog"
)

// following is a Follow in a goroutine of its own that checks the order.
type following struct {
	seen chan uint64
	done chan error
}

func follow(ctx context.Context, l *Log, seq uint64) *following {
	f := &following{seen: make(chan uint64, 100_000), done: make(chan error, 1)}
	go func() {
		f.done <- l.Follow(ctx, seq, func(m eventlog.Message) error {
			if m.Seq != seq {
				return fmt.Errorf("got sequence %d, want %d", m.Seq, seq)
			}
			seq++
			f.seen <- m.Seq
			return nil
		})
	}()
	return f
}

// until waits for a sequence.
func (f *following) until(t *testing.T, seq uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		select {
		case got := <-f.seen:
			if got == seq {
				return
			}
		case err := <-f.done:
			t.Fatalf("following ended before sequence %d: %v", seq, err)
		case <-ctx.Done():
			t.Fatalf("sequence %d never comes", seq)
		}
	}
}

func TestFollowSurvivesRestarts(t *testing.T) {
	dir := t.TempDir()
	var o outage
	s := startServer(t, dir)
	o.now.Store(s)
	last := put(t, create(t, s, quick()), "n1", 0, 10)
	l := open(t, &o, quick())
	f := follow(t.Context(), l, 1)
	for range 3 {
		f.until(t, last)
		o.now.Store((*server.Server)(nil))
		stopServer(s)
		s = startServer(t, dir)
		last = put(t, open(t, s, quick()), "n1", last, 10)
		o.now.Store(s)
	}
	f.until(t, last)
	eventually(t, "the connection is back", l.nc.IsConnected)
	last = put(t, l, "n1", last, 5)
	f.until(t, last)
}

func TestFollowSurvivesTheLossOfItsConsumer(t *testing.T) {
	l := create(t, startServer(t, t.TempDir()), quick())
	last := put(t, l, "n1", 0, 10)
	f := follow(t.Context(), l, 1)
	for range 2 {
		f.until(t, last)
		for _, name := range consumers(t, l) {
			if err := l.js.DeleteConsumer(t.Context(), eventlog.DefaultPrefix.Stream(), name); err != nil {
				t.Fatal(err)
			}
		}
		last = put(t, l, "n1", last, 10)
	}
	f.until(t, last)
}

// consumers are the stream's.
func consumers(t *testing.T, l *Log) []string {
	t.Helper()
	stream, err := l.js.Stream(t.Context(), eventlog.DefaultPrefix.Stream())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range stream.ConsumerNames(t.Context()).Name() {
		names = append(names, name)
	}
	return names
}

// TestFollowLeavesNothingBehind: no goroutine, no subscription, no consumer.
func TestFollowLeavesNothingBehind(t *testing.T) {
	l := create(t, startServer(t, t.TempDir()), quick())
	last := put(t, l, "n1", 0, 3)
	before := 0
	for round := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		f := follow(ctx, l, 1)
		f.until(t, last)
		cancel()
		if err := <-f.done; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if round == 0 {
			eventually(t, "no consumer", func() bool { return len(consumers(t, l)) == 0 })
			before = runtime.NumGoroutine()
		}
	}
	eventually(t, "no consumer", func() bool { return len(consumers(t, l)) == 0 })
	eventually(t, "no more goroutines than before", func() bool { return runtime.NumGoroutine() <= before })
	if n := l.nc.NumSubscriptions(); n > 1 {
		t.Errorf("%d subscriptions are left, want that of the replies alone", n)
	}
}

// TestFollowBoundsWhatIsUnderWay: large commits and a deliver that is slower
// than the server.
func TestFollowBoundsWhatIsUnderWay(t *testing.T) {
	l := create(t, startFast(t, t.TempDir()), Config{PullBytes: 2 * eventlog.CommitBytesMax})
	const n = 100
	body := bytes.Repeat([]byte("x"), eventlog.CommitBytesMax)
	for last := range uint64(n) {
		if _, err := l.Append(t.Context(), "n1", eventlog.Expect{LaneSeq: last}, fmt.Sprint(last), body); err != nil {
			t.Fatal(err)
		}
	}
	in := l.nc.Stats().InBytes
	err := l.Follow(t.Context(), 1, func(m eventlog.Message) error {
		if m.Seq == n {
			return errEnd
		}
		came := l.nc.Stats().InBytes - in
		if ahead := came - min(came, m.Seq*uint64(len(body))); ahead > 5*eventlog.CommitBytesMax {
			return fmt.Errorf("%d bytes are under way at sequence %d", ahead, m.Seq)
		}
		return nil
	})
	if !errors.Is(err, errEnd) {
		t.Error(err)
	}
}

// TestFollowPullsAgainWhatDidNotFit: the client drops what finds no room.
func TestFollowPullsAgainWhatDidNotFit(t *testing.T) {
	l := create(t, startFast(t, t.TempDir()), quick())
	const n = 2000
	put(t, l, "n1", 0, n)
	l.buffer = 16
	f := follow(t.Context(), l, 1)
	f.until(t, n)
}

// TestFollowRunsOverManyPulls: requests end, by bytes and by time, and are
// renewed while messages trickle.
func TestFollowRunsOverManyPulls(t *testing.T) {
	cfg := quick()
	cfg.PullBytes = 2 * eventlog.CommitBytesMax
	l := create(t, startFast(t, t.TempDir()), cfg)
	f := follow(t.Context(), l, 1)
	body := bytes.Repeat([]byte("x"), 300_000)
	for last := range uint64(60) {
		if _, err := l.Append(t.Context(), "n1", eventlog.Expect{LaneSeq: last}, fmt.Sprint(last), body); err != nil {
			t.Fatal(err)
		}
		f.until(t, last+1)
	}
}

// TestACutFrontIsNotDamage: history was shortened on purpose.
func TestACutFrontIsNotDamage(t *testing.T) {
	l := create(t, startServer(t, t.TempDir()), quick())
	last := put(t, l, "n1", 0, 10)
	stream, err := l.js.Stream(t.Context(), eventlog.DefaultPrefix.Stream())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), js.WithPurgeSequence(6)); err != nil {
		t.Fatal(err)
	}
	if err := l.Integrity(t.Context(), last); err != nil {
		t.Error(err)
	}
	if _, err := followAll(t, l, 5); !errors.Is(err, eventlog.ErrNotFound) || errors.Is(err, eventlog.ErrDamaged) {
		t.Errorf("from before the cut: got %v, want not found", err)
	}
	follow(t.Context(), l, 6).until(t, last)
	if n, err := l.Scrub(t.Context(), 1, atOnce); n != last || err != nil {
		t.Errorf("scrub: %d, %v", n, err)
	}
	put(t, l, "n1", last, 1)
}

func TestFollowEndsWithItsConnection(t *testing.T) {
	l := create(t, startServer(t, t.TempDir()), quick())
	last := put(t, l, "n1", 0, 3)
	f := follow(t.Context(), l, 1)
	f.until(t, last)
	l.nc.Close()
	if err := <-f.done; err == nil || errors.Is(err, eventlog.ErrDamaged) {
		t.Errorf("got %v, want that the connection is closed", err)
	}
}
