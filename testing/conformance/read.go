package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
)

func notFound(t *testing.T, log eventlog.Log) {
	ctx := t.Context()
	_, err := log.Get(ctx, 1)
	is(t, err, eventlog.ErrNotFound)
	_, err = log.Next(ctx, "n1", 1)
	is(t, err, eventlog.ErrNotFound)
	fill(t, &lane{log: log, name: "n1"}, 3)
	for _, seq := range []uint64{0, 4, 99} {
		_, err = log.Get(ctx, seq)
		is(t, err, eventlog.ErrNotFound)
	}
	_, err = log.Next(ctx, "n1", 4)
	is(t, err, eventlog.ErrNotFound)
	_, err = log.Next(ctx, "n2", 1)
	is(t, err, eventlog.ErrNotFound)
}

func next(t *testing.T, log eventlog.Log) {
	a, b := &lane{log: log, name: "a"}, &lane{log: log, name: "b"}
	first := fill(t, a, 1)[0]
	fill(t, b, 3)
	second := fill(t, a, 1)[0]
	fill(t, b, 1)
	for _, c := range []struct {
		from uint64
		want eventlog.Message
	}{{0, first}, {1, first}, {2, second}, {4, second}, {5, second}} {
		got, err := log.Next(t.Context(), "a", c.from)
		if err != nil {
			t.Fatalf("next from %d: %v", c.from, err)
		}
		same(t, got, c.want)
	}
	_, err := log.Next(t.Context(), "a", 6)
	is(t, err, eventlog.ErrNotFound)
}

func info(t *testing.T, log eventlog.Log) {
	check := func(messages uint64) {
		t.Helper()
		got, err := log.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.FirstSeq != 1 || got.LastSeq != messages || got.Messages != messages || got.Deleted != 0 || got.Replicas < 1 || got.Online < 1 {
			t.Errorf("got %+v, want %d messages from 1 on, no holes, a replica", got, messages)
		}
		if (got.Bytes > 0) != (messages > 0) {
			t.Errorf("%d messages take %d bytes", messages, got.Bytes)
		}
		if err := got.Check(messages); err != nil {
			t.Errorf("whole, but: %v", err)
		}
		is(t, got.Check(messages+1), eventlog.ErrDamaged)
	}
	check(0)
	fill(t, &lane{log: log, name: "n1"}, 3)
	fill(t, &lane{log: log, name: "n2"}, 2)
	check(5)
}

func readEnded(t *testing.T, log eventlog.Log) {
	fill(t, &lane{log: log, name: "n1"}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, get := log.Get(ctx, 1)
	_, next := log.Next(ctx, "n1", 1)
	_, info := log.Info(ctx)
	for _, err := range []error{get, next, info} {
		if !errors.Is(err, context.Canceled) || errors.Is(err, eventlog.ErrNotFound) || errors.Is(err, eventlog.ErrDamaged) {
			t.Errorf("got %v, want the context's error and nothing else", err)
		}
	}
}

func bodies(t *testing.T, log eventlog.Log) {
	sizes := []int{1, 2, 1000, 65_535, 65_536, eventlog.CommitBytesMax - 1, eventlog.CommitBytesMax}
	noise := rand.NewChaCha8([32]byte{1})
	stored := make([]eventlog.Message, 0, len(sizes)+1)
	put := func(body []byte) {
		m := eventlog.Message{Lane: "n1", ID: fmt.Sprintf("c%d", len(stored)), Body: body}
		var err error
		if m.Seq, err = settle(within(t), log, m.Lane, eventlog.Expect{LaneSeq: last(t, log)}, m.ID, m.Body); err != nil {
			t.Fatalf("a body of %d bytes: %v", len(body), err)
		}
		stored = append(stored, m)
	}
	put([]byte("[{\"a\":\"\\u2028 é 🔔 \x00\r\n\"}]"))
	for _, size := range sizes {
		body := make([]byte, size)
		_, _ = noise.Read(body) // never fails
		put(body)
	}
	for _, want := range stored {
		got, err := log.Get(t.Context(), want.Seq)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, want)
	}
	followed := collect(t, log, 1, len(stored))
	for i, want := range stored {
		same(t, followed[i], want)
	}
	if bytes.Equal(stored[len(sizes)].Body, stored[len(sizes)-1].Body) {
		t.Error("the bodies must differ for this test to mean anything")
	}
}
