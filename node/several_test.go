package node

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/broker"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/node/service"
)

// Three nodes answer callers as one service, whoever of them decides; what they
// ask each other no caller can ask.
func TestNodesAnswerAsOneService(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	b, err := broker.Start(t.Context(), broker.Config{Name: Name, DontListen: true, StoreDir: t.TempDir(), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	log := memlog.New(memlog.Faults{})
	for _, name := range []string{"a", "b", "c"} { // the first owns everything
		serve(t, b, log, name, logger)
	}
	conn, err := b.CallerConn("caller")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := client.New(conn, api.Admin)
	for n := range 60 {
		id := fmt.Sprint("u", n)
		if _, err := c.CreateUser(t.Context(), api.UserInput{ID: id}); err != nil {
			t.Fatal(err)
		}
		if u, err := c.GetUser(t.Context(), id); err != nil || u.ID != id {
			t.Fatalf("%s is %+v, %v", id, u, err)
		}
	}
	hop := nats.NewMsg("belfry.node.a.user.create")
	hop.Header.Set("Belfry-User", api.Admin)
	hop.Header.Set("Belfry-Within", "1000")
	hop.Header.Set(api.HeaderRequestID, "~~forged")
	hop.Data = []byte(`{"id":"forged"}`)
	if m, err := conn.RequestMsg(hop, 300*time.Millisecond); err == nil {
		t.Errorf("a node answered a caller that spoke as a node: %s", m.Data)
	}
	if u, err := c.GetUser(t.Context(), "forged"); err == nil {
		t.Errorf("a caller had as a node %+v created", u)
	}
}

// serve starts a node's scheduler and service.
func serve(t *testing.T, b *broker.Broker, log *memlog.Log, name string, logger *slog.Logger) {
	t.Helper()
	nc, err := b.NodeConn(name)
	if err != nil {
		t.Fatal(err)
	}
	callers, err := b.ServiceConn(name)
	if err != nil {
		t.Fatal(err)
	}
	sched, err := scheduler.New(scheduler.Config{
		Node: name, Process: name, Version: "test", Log: log, Stream: "01STREAM", Bus: bus{nc}, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sched.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sched.Stop)
	s := service.New(service.Config{
		Name: name, Callers: callers, Node: nc, Listen: bus{nc}.Listen, Scheduler: sched, Log: log, Version: "1.0.0", Logger: logger,
		Status: func(context.Context, *api.ClusterStatus) {},
	})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
}
