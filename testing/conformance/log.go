package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/belfryhq/belfry/eventlog"
)

// patience bounds what must happen soon; it is only waited for by a failure.
const patience = 20 * time.Second

// Log says whether an implementation keeps the promises of eventlog.Log. open
// makes an empty log for each case.
func Log(t *testing.T, open func(t *testing.T) eventlog.Log) {
	cases := []struct {
		name string
		run  func(t *testing.T, log eventlog.Log)
	}{
		{"a commit gets the next sequence and is read back whole", readBack},
		{"a genesis is accepted only while nothing was ever stored", genesis},
		{"of many geneses at once one wins", geneses},
		{"an overtaken expectation is occupied", overtaken},
		{"an expectation that nothing holds is unknown, not occupied", ahead},
		{"an older process is refused after a newer opening", fenced},
		{"the same commit again is refused and its first copy is found", again},
		{"an append whose context has ended is unknown", ended},
		{"the caller's buffer is its own again after an append", reused},
		{"lanes do not disturb each other", lanes},
		{"of many appenders to a lane one wins each place", contended},
		{"what is not there is not found", notFound},
		{"next is the first of the lane at or after", next},
		{"info counts what is stored", info},
		{"a read whose context has ended fails and is not 'not found'", readEnded},
		{"bodies are intact up to the largest", bodies},
		{"following begins anywhere", followFrom},
		{"following sees what is stored meanwhile, in order and without gaps", followLive},
		{"following from the future waits for it", followFuture},
		{"followers do not disturb each other", followTwice},
		{"following ends with the cause of its context", followCancel},
		{"following ends with deliver's error", followError},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// lane appends to a lane as a process does that knows what it did.
type lane struct {
	log  eventlog.Log
	name string
	last uint64
	n    int
}

// put appends one commit and returns it as it must be stored.
func (l *lane) put(ctx context.Context) (eventlog.Message, error) {
	l.n++
	m := eventlog.Message{Lane: l.name, ID: fmt.Sprintf("%s-%d", l.name, l.n), Body: fmt.Appendf(nil, `[{"lane":%q,"n":%d}]`, l.name, l.n)}
	var err error
	m.Seq, err = settle(ctx, l.log, m.Lane, eventlog.Expect{LaneSeq: l.last}, m.ID, m.Body)
	if err == nil {
		l.last = m.Seq
	}
	return m, err
}

// settle appends as every user of a log must: what is unknown is sent again,
// identical, until it is acknowledged or a message holds its place; that may be
// its own first copy. An implementation may answer unknown at any time.
func settle(ctx context.Context, log eventlog.Log, lane string, expect eventlog.Expect, id string, body []byte) (uint64, error) {
	seq, err := known(ctx, log, lane, expect, id, body)
	if !errors.Is(err, eventlog.ErrOccupied) {
		return seq, err
	}
	holds, look := log.Next(ctx, lane, expect.LaneSeq+1)
	if look == nil && holds.ID == id {
		return holds.Seq, nil
	}
	return 0, err
}

// known is Append, repeated while its outcome is unknown.
func known(ctx context.Context, log eventlog.Log, lane string, expect eventlog.Expect, id string, body []byte) (uint64, error) {
	for {
		seq, err := log.Append(ctx, lane, expect, id, body)
		if !errors.Is(err, eventlog.ErrUnknown) || ctx.Err() != nil {
			return seq, err
		}
	}
}

// fill appends n commits.
func fill(t *testing.T, l *lane, n int) []eventlog.Message {
	t.Helper()
	stored := make([]eventlog.Message, n)
	for i := range stored {
		var err error
		if stored[i], err = l.put(within(t)); err != nil {
			t.Fatalf("append %d to %s: %v", i+1, l.name, err)
		}
	}
	return stored
}

// within is the test's context, bounded by patience.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// same fails unless a message is the expected one.
func same(t *testing.T, got, want eventlog.Message) {
	t.Helper()
	if got.Seq != want.Seq || got.Lane != want.Lane || got.ID != want.ID {
		t.Errorf("got sequence %d lane %s id %s, want %d %s %s", got.Seq, got.Lane, got.ID, want.Seq, want.Lane, want.ID)
	}
	if !bytes.Equal(got.Body, want.Body) {
		t.Errorf("the body of sequence %d changed: %d bytes, want %d", want.Seq, len(got.Body), len(want.Body))
	}
}

// is fails unless err is the wanted kind and none of the others.
func is(t *testing.T, err, want error) {
	t.Helper()
	for _, kind := range []error{eventlog.ErrOccupied, eventlog.ErrUnknown, eventlog.ErrNotFound, eventlog.ErrDamaged} {
		if errors.Is(err, kind) != errors.Is(want, kind) {
			t.Errorf("got error %q, want one that is %q and nothing else", err, want)
		}
	}
}

// last is the stream's last sequence.
func last(t *testing.T, log eventlog.Log) uint64 {
	t.Helper()
	i, err := log.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return i.LastSeq
}
