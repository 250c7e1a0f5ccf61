package client_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
)

// belfry is a NATS server in the test's bubble, where the test itself answers
// what callers ask.
type belfry struct {
	t      *testing.T
	nats   *server.Server
	mu     sync.Mutex
	asked  []*nats.Msg
	when   []time.Time
	answer func(n int, msg *nats.Msg) *nats.Msg
}

// inBubble runs a test in simulated time. answer makes the reply to the n-th
// request, from 0; nil is silence. A nil answer is nobody there at all.
func inBubble(t *testing.T, answer func(n int, msg *nats.Msg) *nats.Msg, test func(*testing.T, *belfry)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, start(t, answer)) })
}

func start(t *testing.T, answer func(n int, msg *nats.Msg) *nats.Msg) *belfry {
	t.Helper()
	b := &belfry{t: t, answer: answer}
	var err error
	b.nats, err = server.NewServer(&server.Options{DontListen: true, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	b.nats.Start()
	t.Cleanup(b.nats.WaitForShutdown)
	t.Cleanup(b.nats.Shutdown)
	if answer == nil {
		return b
	}
	nc := b.connect()
	t.Cleanup(nc.Close)
	if _, err := nc.Subscribe("belfry.api.>", b.serve); err != nil {
		t.Fatal(err)
	}
	// Not Flush: its timers come from a pool that outlives the bubble.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := nc.FlushWithContext(ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *belfry) connect() *nats.Conn {
	b.t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(b.nats))
	if err != nil {
		b.t.Fatal(err)
	}
	return nc
}

func (b *belfry) serve(msg *nats.Msg) {
	b.mu.Lock()
	n := len(b.asked)
	b.asked, b.when = append(b.asked, msg), append(b.when, time.Now())
	b.mu.Unlock()
	if reply := b.answer(n, msg); reply != nil {
		_ = msg.RespondMsg(reply) // a closed connection shows in the test
	}
}

// client is one of the user ann.
func (b *belfry) client(options ...nats.Option) *client.Client {
	b.t.Helper()
	c, err := client.Connect(b.t.Context(), client.Config{
		User: "ann", Options: append([]nats.Option{nats.InProcessServer(b.nats)}, options...),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// requests are those that came, in order.
func (b *belfry) requests() []*nats.Msg {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

// ids are their request ids.
func (b *belfry) ids() []string {
	var ids []string
	for _, msg := range b.requests() {
		ids = append(ids, msg.Header.Get(api.HeaderRequestID))
	}
	return ids
}

// pause is the time between the n-th request and the one before it.
func (b *belfry) pause(n int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.when[n].Sub(b.when[n-1])
}

// says is a reply that grants.
func says(body string) *nats.Msg {
	return &nats.Msg{Data: []byte(body)}
}

// refuses is a reply that does not.
func refuses(code, status, body string) *nats.Msg {
	return &nats.Msg{
		Header: nats.Header{api.HeaderError: {code}, api.HeaderErrorCode: {status}},
		Data:   []byte(body),
	}
}
