package client_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
)

func TestConnectSaysWhatToDoWhenNothingAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = client.Connect(t.Context(), client.Config{URL: "nats://ann:secret@" + free})
	got := refusal(t, err)
	if got.Code != api.Unavailable || !strings.Contains(got.Message, free) || !strings.Contains(got.Message, `"belfry up"`) {
		t.Errorf("refusal %+v", got)
	}
	if strings.Contains(got.Message, "secret") {
		t.Errorf("the message gives a password away: %s", got.Message)
	}
}

func TestConnectHeedsTheDeadlineWhenTheNetworkSwallowsTheQuestion(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = client.Connect(ctx, client.Config{URL: l.Addr().String()})
	if got := refusal(t, err); got.Code != api.Unavailable {
		t.Errorf("refusal %+v", got)
	}
}

func TestAUserThatCannotBeIsRefusedBeforeItIsASubject(t *testing.T) {
	for _, user := range []string{"ann.item", "*", "a b", "Ann"} {
		_, err := client.Connect(t.Context(), client.Config{User: user})
		if got := refusal(t, err); got.Code != api.Invalid || got.Field != "user" {
			t.Errorf("%q: refusal %+v", user, got)
		}
	}
}

// secured is a NATS server on which ann may ask as ann only, and which sends what
// is asked to its own node, as each of several does.
func secured(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true,
		Users: []*server.User{{Username: "ann", Password: "secret", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"belfry.api.ann.>"}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.GlobalAccount().AddMapping("belfry.api.*.*.*", "belfry.api.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}.n1"); err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.WaitForShutdown)
	t.Cleanup(s.Shutdown)
	return "@" + s.Addr().String()
}

func TestWrongCredentialsAreForbidden(t *testing.T) {
	_, err := client.Connect(t.Context(), client.Config{URL: "nats://ann:wrong" + secured(t)})
	if got := refusal(t, err); got.Code != api.Forbidden || strings.Contains(got.Message, "wrong") {
		t.Errorf("refusal %+v", got)
	}
}

func TestAskingAsSomeoneElseIsForbidden(t *testing.T) {
	c, err := client.Connect(t.Context(), client.Config{
		URL: "nats://ann:secret" + secured(t), User: "admin",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	started := time.Now()
	_, err = c.CreateItem(t.Context(), api.ItemInput{})
	if got := refusal(t, err); got.Code != api.Forbidden {
		t.Errorf("refusal %+v", got)
	}
	if took := time.Since(started); took > client.DefaultTimeout/2 {
		t.Errorf("took %v, want no waiting for the time-out", took)
	}
}

func TestAConnectionOfTheCallersStaysOpen(t *testing.T) {
	inBubble(t, func(int, *nats.Msg) *nats.Msg { return says(`{}`) }, func(t *testing.T, b *belfry) {
		nc := b.connect()
		defer nc.Close()
		c := client.New(nc, "ann")
		if _, err := c.ClusterStatus(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if nc.IsClosed() {
			t.Error("Close closed a connection that is not the client's")
		}
		if _, err := client.New(nc, "not.a.user").ClusterStatus(t.Context()); err == nil {
			t.Error("a user that cannot be asked")
		}
	})
}
