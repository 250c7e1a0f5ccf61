package client

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Why an attempt ended before its time.
var (
	errLost      = errors.New("the connection was lost")
	errForbidden = errors.New("the connection may not ask as this user")
)

// attempts are the requests under way. NATS tells of a lost connection, and of
// a subject that it does not let through, beside them: without attempts they
// would wait for their time-outs.
type attempts struct {
	mu    sync.Mutex
	under map[*attempt]struct{}
}

// attempt is one of them. cancel ends it with a cause.
type attempt struct {
	subject string
	cancel  context.CancelCauseFunc
}

// begin makes the context of an attempt; end must be called after it.
func (a *attempts) begin(ctx context.Context, subject string, timeout time.Duration) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ctx, stop := context.WithTimeout(ctx, timeout)
	try := &attempt{subject, cancel}
	a.mu.Lock()
	a.under[try] = struct{}{}
	a.mu.Unlock()
	return ctx, func() {
		a.mu.Lock()
		delete(a.under, try)
		a.mu.Unlock()
		stop()
		cancel(nil)
	}
}

// lost ends all: what was sent on that connection is not answered any more.
func (a *attempts) lost(*nats.Conn, error) {
	a.interrupt(errLost, func(string) bool { return true })
}

// refused ends those whose subject an error of NATS names.
func (a *attempts) refused(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		a.interrupt(errForbidden, func(subject string) bool { return names(err, subject) })
	}
}

// names says whether an error of NATS names a subject, or what a server of several
// makes of it: it puts its node's name behind.
func names(err error, subject string) bool {
	return strings.Contains(err.Error(), strconv.Quote(subject)) || strings.Contains(err.Error(), `"`+subject+".")
}

func (a *attempts) interrupt(cause error, concerns func(subject string) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for try := range a.under {
		if concerns(try.subject) {
			try.cancel(cause)
		}
	}
}
