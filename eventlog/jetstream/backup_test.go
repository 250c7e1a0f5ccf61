package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/eventlog"
)

// saved is a stream of a server alone, with its backup.
func saved(t *testing.T, commits int) (all []eventlog.Message, s Saved, backup []byte) {
	t.Helper()
	l := create(t, startFast(t, t.TempDir()), quick())
	for n := range commits {
		put(t, l, fmt.Sprint("lane", n%3), lastOf(all, fmt.Sprint("lane", n%3)), 1)
		m, err := l.Get(t.Context(), uint64(n+1))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	var to bytes.Buffer
	s, err := Save(t.Context(), l.nc, eventlog.DefaultPrefix.Stream(), &to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Save(t.Context(), l.nc, "OTHER", &to); !errors.Is(err, ErrNoStream) {
		t.Errorf("a stream that is not there was backed up: %v", err)
	}
	return all, s, to.Bytes()[:s.Bytes]
}

func lastOf(all []eventlog.Message, lane string) (seq uint64) {
	for _, m := range all {
		if m.Lane == lane {
			seq = m.Seq
		}
	}
	return seq
}

// A stream of a server alone comes back on three, message by message, and remains
// the same one whoever leads it.
func TestABackupIsRestoredOnThree(t *testing.T) {
	t.Parallel()
	all, s, backup := saved(t, 500)
	if err := s.Check(bytes.NewReader(backup)); err != nil {
		t.Fatal(err)
	}
	servers, _ := startCluster(t)
	nc := connect(t, servers[0])
	s = s.Marked("restored for a test")
	s.Config.Replicas = 3
	for range 2 { // also over what an earlier try has left
		no(t, Remove(t.Context(), nc, eventlog.DefaultPrefix.Stream()))
		no(t, Restore(t.Context(), nc, s, bytes.NewReader(backup)))
	}
	if err := Restore(t.Context(), nc, s, bytes.NewReader(backup)); err == nil {
		t.Error("a stream that is there was restored")
	}
	var l *Log
	eventually(t, "the stream is opened", func() (ok bool) {
		var err error
		l, err = Open(t.Context(), nc, quick())
		return err == nil
	})
	led := map[string]bool{}
	eventually(t, "each server has led it", func() bool {
		info, err := l.Info(t.Context())
		switch {
		case errors.Is(err, eventlog.ErrDamaged), errors.Is(err, eventlog.ErrDoubtful):
			t.Fatal(err)
		case err != nil:
			return false
		case !led[info.Leader]:
			f := follow(t.Context(), l, 1)
			f.until(t, all[len(all)-1].Seq)
			led[info.Leader] = true
		}
		for _, s := range servers {
			if !led[s.Name()] {
				_ = HandOn(t.Context(), nc, eventlog.DefaultPrefix.Stream(), s.Name()) // it may not be up to date yet
				break
			}
		}
		return len(led) == len(servers)
	})
	for _, want := range all {
		got, err := l.Get(t.Context(), want.Seq)
		if err != nil || got.Lane != want.Lane || got.ID != want.ID || !bytes.Equal(got.Body, want.Body) {
			t.Fatalf("sequence %d is %+v, %v; want %+v", want.Seq, got, err, want)
		}
	}
	put(t, l, "lane0", lastOf(all, "lane0"), 1)
}

// A backup that was damaged is known as such, each bit of it.
func TestADamagedBackupIsFound(t *testing.T) {
	t.Parallel()
	_, s, backup := saved(t, 20)
	for _, at := range []int{0, len(backup) / 2, len(backup) - 1} {
		bad := bytes.Clone(backup)
		bad[at] ^= 1
		if err := s.Check(bytes.NewReader(bad)); !errors.Is(err, ErrNotAsSaved) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	if err := s.Check(bytes.NewReader(backup[:len(backup)-1])); !errors.Is(err, ErrNotAsSaved) {
		t.Errorf("a short one: %v", err)
	}
}

// A backup that is given up half way leaves no stream that could be taken for one
// that is whole, and the next try succeeds.
func TestAHalfRestoredStreamIsNone(t *testing.T) {
	t.Parallel()
	_, s, backup := saved(t, 300)
	nc := connect(t, startFast(t, t.TempDir()))
	half := &stopsAt{backup: bytes.NewReader(backup), left: len(backup) / 2}
	if err := Restore(t.Context(), nc, s, half); err == nil {
		t.Fatal("half a backup was restored")
	}
	if _, err := Open(t.Context(), nc, quick()); !errors.Is(err, ErrNoStream) {
		t.Fatalf("half a stream is opened: %v", err)
	}
	no(t, Remove(t.Context(), nc, eventlog.DefaultPrefix.Stream()))
	eventually(t, "the whole is restored", func() bool { return Restore(t.Context(), nc, s, bytes.NewReader(backup)) == nil })
}

// stopsAt is a backup on a disk that fails.
type stopsAt struct {
	backup *bytes.Reader
	left   int
}

func (s *stopsAt) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, errors.New("the disk has failed")
	}
	n, err := s.backup.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

func no(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A server that was stopped while it unpacked a backup never answers.
func TestTheEndOfARestoreIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	nc := connect(t, startFast(t, t.TempDir()))
	_, err := nc.SubscribeSync("silent")
	no(t, err)
	err = end(t.Context(), nc, "silent", 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "not said within 50ms that it has unpacked it") {
		t.Errorf("error: %v", err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if err := end(stopped, nc, "silent", time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	for bytes, within := range map[int64]time.Duration{0: time.Minute, 600 << 20: 2 * time.Minute, 36 << 30: time.Minute + 3686*time.Second} {
		if got := unpackWithin(bytes); got != within {
			t.Errorf("%d bytes are waited for %s, want %s", bytes, got, within)
		}
	}
}
