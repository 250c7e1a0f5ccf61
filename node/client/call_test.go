package client_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
)

// refusal is what err refuses with, or the end of the test.
func refusal(t *testing.T, err error) *api.Error {
	t.Helper()
	refusal, ok := errors.AsType[*api.Error](err)
	if !ok {
		t.Fatalf("error is %v, want an *api.Error", err)
	}
	return refusal
}

func TestARefusalComesBackWithCodeMessageAndField(t *testing.T) {
	reply := refuses("not_found: no such function", "404", `{"error":{"code":"not_found","message":"there is no function \"x\"","field":"function"}}`)
	inBubble(t, func(int, *nats.Msg) *nats.Msg { return reply }, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		_, err := c.CreateItem(t.Context(), api.ItemInput{})
		if got := refusal(t, err); got.Code != api.NotFound || got.Field != "function" || got.Message != `there is no function "x"` {
			t.Errorf("refusal %+v", got)
		}
		if len(b.requests()) != 1 {
			t.Errorf("asked %d times, want once: a refusal stands", len(b.requests()))
		}
	})
}

func TestARefusalThatIsNotBelfrysIsToldByItsHeaders(t *testing.T) {
	inBubble(t, func(int, *nats.Msg) *nats.Msg { return refuses("handler panicked", "500", "") }, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		_, err := c.ClusterStatus(t.Context())
		if got := refusal(t, err); got.Code != api.Internal || got.Message != "handler panicked" {
			t.Errorf("refusal %+v", got)
		}
	})
}

func TestUnavailableIsAskedAgainWithTheSameRequestID(t *testing.T) {
	inBubble(t, func(n int, _ *nats.Msg) *nats.Msg {
		if n < 3 {
			return refuses("unavailable", "503", `{"error":{"code":"unavailable","message":"no owner yet"}}`)
		}
		return says(`{"id":"sci_1"}`)
	}, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		item, err := c.CreateItem(t.Context(), api.ItemInput{})
		if err != nil || item.ID != "sci_1" {
			t.Fatalf("item %+v, %v", item, err)
		}
		ids := b.ids()
		if len(ids) != 4 || len(slices.Compact(ids)) != 1 || ids[0] == "" {
			t.Errorf("request ids %v, want the same four times", ids)
		}
	})
}

func TestUnavailableIsNotAskedForEver(t *testing.T) {
	inBubble(t, func(int, *nats.Msg) *nats.Msg {
		return refuses("unavailable", "503", `{"error":{"code":"unavailable","message":"no leader"}}`)
	}, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		started := time.Now()
		_, err := c.CreateItem(t.Context(), api.ItemInput{})
		if got := refusal(t, err); got.Code != api.Unavailable || got.Message != "no leader" {
			t.Errorf("refusal %+v", got)
		}
		if len(b.requests()) != 1+client.UnavailableRetriesMax {
			t.Errorf("asked %d times", len(b.requests()))
		}
		if took := time.Since(started); took < time.Second || took > 5*time.Second {
			t.Errorf("gave up after %v, want about three seconds", took)
		}
	})
}

func TestNobodyThereSaysHowToStartBelfry(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		_, err := c.ClusterStatus(t.Context())
		got := refusal(t, err)
		if got.Code != api.Unavailable || !strings.Contains(got.Message, "nothing answers at nats://") || !strings.Contains(got.Message, `"belfry up"`) {
			t.Errorf("refusal %+v", got)
		}
	})
}

func TestSilenceIsATimeoutThatNamesTheRequestID(t *testing.T) {
	inBubble(t, func(int, *nats.Msg) *nats.Msg { return nil }, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		started := time.Now()
		_, err := c.CreateItem(client.WithRequestID(t.Context(), "mine"), api.ItemInput{})
		if got := refusal(t, err); got.Code != api.Timeout || !strings.Contains(got.Message, "request id mine") {
			t.Errorf("refusal %+v", got)
		}
		if ids := b.ids(); !slices.Equal(ids, []string{"mine", "mine"}) {
			t.Errorf("request ids %v, want mine twice", ids)
		}
		if took := time.Since(started); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("gave up after %v, want two attempts of 15 s", took)
		}
	})
}

func TestTheCallersDeadlineBoundsAllAttempts(t *testing.T) {
	inBubble(t, func(int, *nats.Msg) *nats.Msg { return nil }, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		started := time.Now()
		_, err := c.GetItem(ctx, "sci_1")
		if got := refusal(t, err); got.Code != api.Timeout {
			t.Errorf("refusal %+v", got)
		}
		if took := time.Since(started); took != 3*time.Second || len(b.requests()) != 1 {
			t.Errorf("asked %d times in %v", len(b.requests()), took)
		}
	})
}

func TestACancelledContextEndsARequestWithItsCause(t *testing.T) {
	for name, reply := range map[string]*nats.Msg{
		"while it waits for an answer": nil,
		"while it pauses":              refuses("unavailable", "503", `{"error":{"code":"unavailable","message":"no leader"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(int, *nats.Msg) *nats.Msg { return reply }, func(t *testing.T, b *belfry) {
				c := b.client()
				defer c.Close()
				why := errors.New("the caller left")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(why) })
				if _, err := c.CreateItem(ctx, api.ItemInput{}); !errors.Is(err, why) {
					t.Errorf("error %v, want the cause", err)
				}
			})
		})
	}
}

func TestWhatIsTooLargeForNATSIsNotSent(t *testing.T) {
	inBubble(t, func(int, *nats.Msg) *nats.Msg { return says(`{}`) }, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		code := strings.Repeat("#", 1<<20)
		_, err := c.CreateFunction(t.Context(), api.FunctionInput{Code: &code})
		if got := refusal(t, err); got.Code != api.TooLarge {
			t.Errorf("refusal %+v", got)
		}
		if len(b.requests()) != 0 {
			t.Error("it was sent")
		}
	})
}

// wire keeps the connections of a client, so that a test can cut them.
type wire struct {
	belfry *belfry
	mu     sync.Mutex
	conns  []net.Conn
	cut    bool
}

func (w *wire) InProcessConn() (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return nil, errors.New("the wire is cut")
	}
	conn, err := w.belfry.nats.InProcessConn()
	w.conns = append(w.conns, conn)
	return conn, err
}

// drop cuts what is there; for good, or until the client connects again.
func (w *wire) drop(forGood bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = forGood
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}

// Not in a bubble: nats.go takes the timer of a reconnect from a pool that
// outlives it.
func TestALostConnectionIsAskedAgainAtOnceWithTheSameRequestID(t *testing.T) {
	var w wire
	b := start(t, func(n int, _ *nats.Msg) *nats.Msg {
		if n == 0 {
			w.drop(false) // the request arrived, the reply never will
			return nil
		}
		return says(`{"id":"sci_1"}`)
	})
	w.belfry = b
	c := b.client(nats.InProcessServer(&w))
	defer c.Close()
	started := time.Now()
	item, err := c.CreateItem(t.Context(), api.ItemInput{})
	if err != nil || item.ID != "sci_1" {
		t.Fatalf("item %+v, %v", item, err)
	}
	if ids := b.ids(); len(ids) != 2 || ids[0] != ids[1] || ids[0] == "" {
		t.Errorf("request ids %v, want the same twice", ids)
	}
	if took := time.Since(started); took > client.DefaultTimeout {
		t.Errorf("took %v, want no waiting for the time-out", took)
	}
}

func TestUnknownIsNotUnavailable(t *testing.T) {
	var w wire
	inBubble(t, func(int, *nats.Msg) *nats.Msg {
		w.drop(true)
		return nil
	}, func(t *testing.T, b *belfry) {
		w.belfry = b
		c := b.client(nats.InProcessServer(&w))
		defer c.Close()
		_, err := c.CreateItem(t.Context(), api.ItemInput{})
		if got := refusal(t, err); got.Code != api.Timeout || !strings.Contains(got.Message, b.ids()[0]) {
			t.Errorf("refusal %+v, want a timeout that names the request: the first attempt may have been stored", got)
		}
		_, err = c.CreateItem(t.Context(), api.ItemInput{})
		if got := refusal(t, err); got.Code != api.Unavailable {
			t.Errorf("refusal %+v, want unavailable: nothing was sent", got)
		}
	})
}
