package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// electedPrefix and the stream's name are where a server says that it leads the
// stream from now on.
const electedPrefix = "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED."

// listensAfter is how much later it takes what it is asked: it says so a moment
// before.
const listensAfter = 5 * time.Millisecond

// errElected ends what waits for a leader that is one no more.
var errElected = errors.New("another server leads the stream now")

// elections tells who waits for the stream's leader that there is a new one: what
// was asked of the last is lost, and need not be waited for until a time-out. It
// only hastens: a server that is cut off is not heard. It is safe for concurrent
// use.
type elections struct {
	mu      sync.Mutex
	waiting map[*context.CancelCauseFunc]struct{}
}

// watchElections listens until nc is closed.
func watchElections(nc *nats.Conn, stream string) (*elections, error) {
	e := &elections{waiting: map[*context.CancelCauseFunc]struct{}{}}
	_, err := nc.Subscribe(electedPrefix+stream, func(*nats.Msg) { time.AfterFunc(listensAfter, e.elected) })
	if err != nil {
		return nil, fmt.Errorf("listen for the stream's leaders: %w", err)
	}
	return e, nil
}

func (e *elections) elected() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for end := range e.waiting {
		(*end)(errElected)
	}
	clear(e.waiting)
}

// term is ctx until the next election, whose cause is errElected then. The
// stream of one server has none: e is nil.
func (e *elections) term(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	if e == nil {
		return ctx, func() { end(nil) }
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting[&end] = struct{}{}
	return ctx, func() {
		e.mu.Lock()
		delete(e.waiting, &end)
		e.mu.Unlock()
		end(nil)
	}
}
