package conformance

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
)

// errEnough ends a Follow that has seen what it came for.
var errEnough = errors.New("enough")

// collect follows from seq until it has n messages.
func collect(t *testing.T, log eventlog.Log, seq uint64, n int) []eventlog.Message {
	t.Helper()
	got, err := followed(within(t), log, seq, n)
	if !errors.Is(err, errEnough) {
		t.Fatalf("following from %d ended after %d of %d messages: %v", seq, len(got), n, err)
	}
	return got
}

// followed is collect for other goroutines than the test's.
func followed(ctx context.Context, log eventlog.Log, seq uint64, n int) ([]eventlog.Message, error) {
	var got []eventlog.Message
	err := log.Follow(ctx, seq, func(m eventlog.Message) error {
		if got = append(got, m); len(got) == n {
			return errEnough
		}
		return nil
	})
	return got, err
}

func followFrom(t *testing.T, log eventlog.Log) {
	a, b := &lane{log: log, name: "a"}, &lane{log: log, name: "b"}
	var stored []eventlog.Message
	for range 25 {
		stored = append(stored, fill(t, a, 2)...)
		stored = append(stored, fill(t, b, 1)...)
	}
	for _, from := range []int{0, 1, 2, 37, len(stored)} {
		want := stored[max(from, 1)-1:]
		for i, m := range collect(t, log, uint64(from), len(want)) {
			same(t, m, want[i])
		}
	}
}

func followLive(t *testing.T, log eventlog.Log) {
	const nodes, each = 3, 40
	fill(t, &lane{log: log, name: "before"}, 10)
	ctx := within(t)
	var writers sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		writers.Go(func() {
			l := &lane{log: log, name: name}
			for range each {
				if _, err := l.put(ctx); err != nil {
					t.Errorf("append to %s: %v", name, err)
					return
				}
			}
		})
	}
	got := collect(t, log, 1, 10+nodes*each)
	writers.Wait()
	for i, m := range got {
		if m.Seq != uint64(i)+1 {
			t.Fatalf("message %d has sequence %d", i+1, m.Seq)
		}
		stored, err := log.Get(t.Context(), m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		same(t, m, stored)
	}
}

func followFuture(t *testing.T, log eventlog.Log) {
	l := &lane{log: log, name: "n1"}
	fill(t, l, 3)
	ctx := within(t)
	type result struct {
		got []eventlog.Message
		err error
	}
	results := make(chan result, 2)
	for _, from := range []uint64{4, 6} {
		go func() {
			got, err := followed(ctx, log, from, 10-int(from))
			results <- result{got, err}
		}()
	}
	stored := fill(t, l, 6)
	for range cap(results) {
		r := <-results
		if !errors.Is(r.err, errEnough) {
			t.Fatalf("following ended with %v", r.err)
		}
		for i, m := range r.got {
			same(t, m, stored[len(stored)-len(r.got)+i])
		}
	}
}

func followTwice(t *testing.T, log eventlog.Log) {
	ctx := within(t)
	const n, followers = 50, 3
	lengths := make(chan int, followers)
	for range followers {
		go func() {
			got, err := followed(ctx, log, 1, n)
			if !errors.Is(err, errEnough) {
				t.Errorf("following ended with %v", err)
			}
			lengths <- len(got)
		}()
	}
	fill(t, &lane{log: log, name: "n1"}, n)
	for range followers {
		if got := <-lengths; got != n {
			t.Errorf("a follower saw %d messages, want %d", got, n)
		}
	}
}

func followCancel(t *testing.T, log eventlog.Log) {
	fill(t, &lane{log: log, name: "n1"}, 3)
	cause := errors.New("the node stops")
	for _, stored := range []uint64{0, 3} { // at once, and when it waits for more
		ctx, cancel := context.WithCancelCause(within(t))
		if stored == 0 {
			cancel(cause)
		}
		err := log.Follow(ctx, 1, func(m eventlog.Message) error {
			if m.Seq == stored {
				cancel(cause)
			}
			return nil
		})
		if !errors.Is(err, cause) {
			t.Errorf("following ended with %v, want the context's cause", err)
		}
	}
}

func followError(t *testing.T, log eventlog.Log) {
	fill(t, &lane{log: log, name: "n1"}, 5)
	// Even an error of the log's own kinds is deliver's and ends it.
	for _, want := range []error{errEnough, eventlog.ErrUnknown, context.Canceled} {
		var seen []uint64
		err := log.Follow(within(t), 1, func(m eventlog.Message) error {
			seen = append(seen, m.Seq)
			if m.Seq == 3 {
				return want
			}
			return nil
		})
		if err != want { //nolint:errorlint // the very same error is promised
			t.Errorf("following ended with %v, want %v itself", err, want)
		}
		if len(seen) != 3 {
			t.Errorf("delivered %v, want 1 2 3 and nothing after the error", seen)
		}
	}
}
