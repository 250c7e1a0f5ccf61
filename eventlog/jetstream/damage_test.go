package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/belfryhq/belfry/eventlog"
)

// damaged fails unless err is ErrDamaged.
func damaged(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, eventlog.ErrDamaged) {
		t.Errorf("%s: got %v, want that the stream is damaged", what, err)
	}
}

// followAll follows from seq until something ends it and counts.
func followAll(t *testing.T, l *Log, seq uint64) (n uint64, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err = l.Follow(ctx, seq, func(eventlog.Message) error { n++; return nil })
	return n, err
}

// stopped is a server's folder with a stream of 100 commits in lane n1, at rest.
func stopped(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := startServer(t, dir)
	put(t, create(t, s, Config{}), "n1", 0, 100)
	stopServer(s)
	return dir
}

// flip changes one bit in the body of the message after sequence at-1.
func flip(t *testing.T, dir string, at uint64) {
	t.Helper()
	for _, name := range blocks(t, dir) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		i := bytes.Index(data, fmt.Appendf(nil, "[\"n1-after-%d\"]", at-1))
		if i < 0 {
			continue
		}
		data[i+3] ^= 1
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("the body of sequence %d is in no block", at)
}

func forgetIndex(t *testing.T, dir string) {
	t.Helper()
	if err := os.Remove(filepath.Join(filepath.Dir(blocks(t, dir)[0]), "index.db")); err != nil {
		t.Fatal(err)
	}
}

// TestAFlippedBitIsFound: after a clean stop the server trusts its index and
// counts a message that it cannot read; nothing but reading finds that.
func TestAFlippedBitIsFound(t *testing.T) {
	for _, at := range []uint64{1, 50, 100} {
		t.Run(fmt.Sprintf("sequence %d", at), func(t *testing.T) {
			dir := stopped(t)
			flip(t, dir, at)
			l := open(t, startServer(t, dir), quick())
			info, err := l.Info(t.Context())
			if err != nil || info.Check(100) != nil {
				t.Fatalf("the server knows of the damage (%+v, %v): then this test tests nothing", info, err)
			}
			_, err = l.Get(t.Context(), at)
			if !errors.Is(err, eventlog.ErrNotFound) {
				t.Errorf("get: %v", err)
			}
			n, err := followAll(t, l, 1)
			damaged(t, "follow", err)
			if n != at-1 {
				t.Errorf("delivered %d before it, want %d", n, at-1)
			}
			_, err = l.Scrub(t.Context(), 1, atOnce)
			damaged(t, "scrub", err)
			damaged(t, "integrity", l.Integrity(t.Context(), at))
			if _, err := l.Scrub(t.Context(), at+1, atOnce); err != nil {
				t.Errorf("behind the damage all is well, but: %v", err)
			}
		})
	}
}

// TestAnAppendBehindADamagedMessageIsUnknown: the server refuses the
// expectation as if another message held the place.
func TestAnAppendBehindADamagedMessageIsUnknown(t *testing.T) {
	dir := stopped(t)
	flip(t, dir, 100)
	l := open(t, startServer(t, dir), quick())
	_, err := l.Append(t.Context(), "n1", eventlog.Expect{LaneSeq: 100}, "x", []byte("[]"))
	if !errors.Is(err, eventlog.ErrUnknown) || errors.Is(err, eventlog.ErrOccupied) {
		t.Errorf("got %v, want unknown", err)
	}
}

// TestALostIndexShortensTheStream: rebuilding it, the server stops at the
// flipped bit and forgets what follows. Only what is remembered tells.
func TestALostIndexShortensTheStream(t *testing.T) {
	for _, at := range []uint64{1, 50, 100} {
		t.Run(fmt.Sprintf("sequence %d", at), func(t *testing.T) {
			dir := stopped(t)
			flip(t, dir, at)
			forgetIndex(t, dir)
			l := open(t, startServer(t, dir), quick())
			damaged(t, "integrity", l.Integrity(t.Context(), 100))
		})
	}
}

func TestAStreamShorterThanRememberedIsDamaged(t *testing.T) {
	dir := stopped(t)
	name := blocks(t, dir)[0]
	size, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size.Size()/2); err != nil {
		t.Fatal(err)
	}
	forgetIndex(t, dir)
	l := open(t, startServer(t, dir), quick())
	info, err := l.Info(t.Context())
	if err != nil || info.LastSeq == 0 || info.LastSeq >= 100 {
		t.Fatalf("the stream ends at %d, %v: then this test tests nothing", info.LastSeq, err)
	}
	if err := l.Integrity(t.Context(), info.LastSeq); err != nil {
		t.Errorf("what is remembered is there, but: %v", err)
	}
	damaged(t, "integrity", l.Integrity(t.Context(), info.LastSeq+1))
}

// TestAHoleIsFound: a block that is gone leaves a hole that the server counts.
func TestAHoleIsFound(t *testing.T) {
	dir := t.TempDir()
	s := startFast(t, dir)
	l := create(t, s, Config{})
	body := bytes.Repeat([]byte("x"), eventlog.CommitBytesMax)
	const n = 40 // more than two blocks
	for last := range uint64(n) {
		if _, err := l.Append(t.Context(), "n1", eventlog.Expect{LaneSeq: last}, fmt.Sprint(last), body); err != nil {
			t.Fatal(err)
		}
	}
	stopServer(s)
	files := blocks(t, dir)
	if len(files) < 3 {
		t.Fatalf("%d blocks: then this test tests nothing", len(files))
	}
	forgetIndex(t, dir)
	if err := os.Remove(files[1]); err != nil {
		t.Fatal(err)
	}
	l = open(t, startFast(t, dir), quick())
	damaged(t, "integrity", l.Integrity(t.Context(), n))
	damaged(t, "integrity without a memory", l.Integrity(t.Context(), 0))
	_, err := followAll(t, l, 1)
	damaged(t, "follow", err)
}

func TestADeletedStreamIsDamage(t *testing.T) {
	s := startServer(t, t.TempDir())
	l := create(t, s, quick())
	put(t, l, "n1", 0, 3)
	following := make(chan error, 1)
	arrived := make(chan struct{}, 3)
	go func() {
		following <- l.Follow(t.Context(), 1, func(eventlog.Message) error { arrived <- struct{}{}; return nil })
	}()
	for range 3 {
		<-arrived
	}
	if err := l.js.DeleteStream(t.Context(), eventlog.DefaultPrefix.Stream()); err != nil {
		t.Fatal(err)
	}
	check := func(what string, err error) {
		t.Helper()
		damaged(t, what, err)
		if !errors.Is(err, ErrNoStream) {
			t.Errorf("%s: %v does not say that there is none", what, err)
		}
	}
	check("follow", <-following)
	check("integrity", l.Integrity(t.Context(), 0))
	_, err := l.Get(t.Context(), 1)
	check("get", err)
	_, err = l.Next(t.Context(), "n1", 1)
	check("next", err)
	_, err = l.Info(t.Context())
	check("info", err)
}

// TestAStreamMadeAnewIsDamage: it has the name, and may even be longer.
func TestAStreamMadeAnewIsDamage(t *testing.T) {
	s := startServer(t, t.TempDir())
	l := create(t, s, quick())
	put(t, l, "n1", 0, 3)
	following := make(chan error, 1)
	go func() { following <- l.Follow(t.Context(), 1, func(eventlog.Message) error { return nil }) }()
	if err := l.js.DeleteStream(t.Context(), eventlog.DefaultPrefix.Stream()); err != nil {
		t.Fatal(err)
	}
	nc := connect(t, s)
	eventually(t, "the deleted one is out of the way", func() bool { return Create(t.Context(), nc, Config{}) == nil })
	put(t, open(t, s, quick()), "n1", 0, 5)
	damaged(t, "integrity", l.Integrity(t.Context(), 3))
	damaged(t, "follow", <-following)
}

// TestRestartKeepsEverything is the control of the tests above.
func TestRestartKeepsEverything(t *testing.T) {
	dir := stopped(t)
	for range 2 {
		s := startServer(t, dir)
		l := open(t, s, quick())
		if err := l.Integrity(t.Context(), 100); err != nil {
			t.Error(err)
		}
		last, err := l.Scrub(t.Context(), 0, atOnce)
		if last != 100 || err != nil {
			t.Errorf("scrubbed to %d, %v", last, err)
		}
		put(t, l, "n2", 0, 0)
		stopServer(s)
	}
	l := open(t, startServer(t, dir), quick())
	put(t, l, "n1", 100, 1)
}

// TestAShorterStreamEndsFollowing: the server comes back with less than was
// delivered.
func TestAShorterStreamEndsFollowing(t *testing.T) {
	dir := t.TempDir()
	var o outage
	s := startServer(t, dir)
	o.now.Store(s)
	put(t, create(t, s, quick()), "n1", 0, 100)
	l := open(t, &o, quick())
	seen := make(chan uint64, 100)
	following := make(chan error, 1)
	go func() {
		following <- l.Follow(t.Context(), 1, func(m eventlog.Message) error { seen <- m.Seq; return nil })
	}()
	for range 100 {
		<-seen
	}
	o.now.Store((*server.Server)(nil))
	stopServer(s)
	flip(t, dir, 60)
	forgetIndex(t, dir)
	o.now.Store(startServer(t, dir))
	select {
	case err := <-following:
		damaged(t, "follow", err)
	case <-time.After(patience):
		t.Fatal("following goes on")
	}
}
