package client_test

import (
	"context"
	"io"
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
	for _, before := range []string{"nats://ann:secret@", "ann:secret@", "nats://" + free + ",ann:secret@"} {
		_, err = client.Connect(t.Context(), client.Config{URL: before + free})
		got := refusal(t, err)
		if got.Code != api.Unavailable || !strings.Contains(got.Message, free) || !strings.Contains(got.Message, `"belfry up"`) {
			t.Errorf("refusal %+v", got)
		}
		if strings.Contains(got.Message, "secret") {
			t.Errorf("the message gives a password away: %s", got.Message)
		}
	}
}

func TestAnAddressThatCannotBeReadIsNotRepeated(t *testing.T) {
	for _, url := range []string{"nats://ann:secret", "nats://ann:top%secret@host"} {
		_, err := client.Connect(t.Context(), client.Config{URL: url})
		if got := refusal(t, err); strings.Contains(got.Message, "secret") || strings.Contains(got.Message, "%se") {
			t.Errorf("the message gives a password away: %s", got.Message)
		}
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

// Of several servers one that stands still, with its connections open, is left
// for the next, well before a request's time is over.
func TestAServerThatStandsStillIsLeft(t *testing.T) {
	still, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer still.Close()
	go func() { // it admits whoever comes, and falls silent
		conn, err := still.Accept()
		if err != nil {
			return
		}
		_ = still.Close()
		_, _ = conn.Write([]byte(`INFO {"server_id":"S","version":"2.15.2","proto":1,"headers":true,"max_payload":1048576}` + "\r\nPONG\r\n"))
		_, _ = io.Copy(io.Discard, conn)
	}()
	next := plain(t)
	nc, err := nats.Connect(next)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Subscribe("belfry.api.>", func(m *nats.Msg) { _ = m.Respond([]byte("{}")) }); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	c, err := client.Connect(t.Context(), client.Config{
		URL: still.Addr().String() + "," + next, Options: []nats.Option{nats.DontRandomize()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	started := time.Now()
	if _, err := c.ClusterStatus(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(started); took > client.DefaultTimeout/2 {
		t.Errorf("took %v, want no waiting for the time-out", took)
	}
}

// plain is a NATS server that admits anybody.
func plain(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.WaitForShutdown)
	t.Cleanup(s.Shutdown)
	return s.Addr().String()
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
