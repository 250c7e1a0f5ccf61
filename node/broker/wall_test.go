package broker

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A requester names the subject of the reply. These tests try to have somebody
// who may write to the event stream do so by replying.

func TestNoReplyReachesTheEventStream(t *testing.T) {
	b := start(t, nil)
	node := must(b.NodeConn("node"))(t)
	events(t, node)
	js := must(jetstream.New(node))(t)
	must(js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "BELFRY_LOGS", Subjects: []string{"belfry.logs.>"}}))(t)
	answerAll(t, must(b.ServiceConn("service"))(t), "belfry.api.>")

	caller := nameless(t, b)
	askWithReplyTo(t, caller, "belfry.events.evil", "belfry.api.admin.item.get",
		"$JS.API.STREAM.INFO.BELFRY_EVENTS", "$JS.API.STREAM.MSG.GET.BELFRY_EVENTS")
	executor := must(b.ExecutorConn("e1"))(t)
	askWithReplyTo(t, executor, "belfry.events.evil", "belfry.logs.e1.run_1.1")
	if n := intruders(t, node); n != 0 {
		t.Fatalf("%d replies were stored as events", n)
	}
}

// The control: with all in one account, the same requests do reach it.
func TestRepliesReachTheEventStreamWithoutWalls(t *testing.T) {
	one := server.NewAccount("ONE")
	opts := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(),
		Accounts: []*server.Account{one},
		Users: []*server.User{
			{Username: "node", Password: "secret", Account: one},
			{Username: "caller", Account: one, Permissions: callerPermissions(defaultPrefix)},
		},
		NoAuthUser: "caller",
	}
	srv := must(server.NewServer(opts))(t)
	srv.Start()
	defer srv.Shutdown()
	if err := must(srv.LookupAccount("ONE"))(t).EnableJetStream(nil, nil); err != nil {
		t.Fatal(err)
	}
	node := must(nats.Connect("", nats.InProcessServer(srv), nats.UserInfo("node", "secret")))(t)
	defer node.Close()
	events(t, node)
	answerAll(t, node, "belfry.api.>")
	evil := must(node.SubscribeSync("belfry.events.evil"))(t)
	flush(t, node)

	caller := must(nats.Connect(srv.ClientURL()))(t)
	defer caller.Close()
	askWithReplyTo(t, caller, "belfry.events.evil", "belfry.api.admin.item.get", "$JS.API.STREAM.INFO.BELFRY_EVENTS")
	for range 2 {
		must(evil.NextMsg(5 * time.Second))(t)
	}
	if n := intruders(t, node); n != 2 {
		t.Fatalf("%d replies were stored as events, want both", n)
	}
}

// A reply can also be made to look like a new request. The wall keeps it from
// everything but the requests that the asker may make anyway.
func TestReplyToAnotherIdentitysSubjectIsLost(t *testing.T) {
	b := start(t, nil)
	node := must(b.NodeConn("node"))(t)
	results := must(node.SubscribeSync("belfry.result.>"))(t)
	flush(t, node)
	answerAll(t, must(b.ServiceConn("service"))(t), "belfry.api.>")
	caller := must(b.CallerConn("caller"))(t)
	askWithReplyTo(t, caller, "belfry.result.e1.3", "belfry.api.admin.item.get")
	flush(t, node)
	if n, _, _ := results.Pending(); n != 0 {
		t.Fatal("a reply to a caller arrived as an executor's report")
	}
}

// intruders counts the messages that were stored after the first one. The stream
// takes messages in their order: what came before the marker is counted.
func intruders(t *testing.T, node *nats.Conn) uint64 {
	t.Helper()
	js := must(jetstream.New(node))(t)
	marker := must(js.Publish(t.Context(), "belfry.events.n1", []byte(`["marker"]`)))(t)
	return marker.Sequence - 2
}

func answerAll(t *testing.T, conn *nats.Conn, subject string) {
	t.Helper()
	must(conn.Subscribe(subject, func(msg *nats.Msg) { _ = msg.Respond(msg.Data) }))(t)
	flush(t, conn)
}

// askWithReplyTo sends each request with a forged reply subject and then with
// true ones. When those are answered, so was the forged one: the server answers
// requests on several workers, which is why there are more than one.
func askWithReplyTo(t *testing.T, conn *nats.Conn, forged string, subjects ...string) {
	t.Helper()
	for _, subject := range subjects {
		if err := conn.PublishRequest(subject, forged, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		for range 16 {
			if _, err := conn.Request(subject, []byte("{}"), 5*time.Second); err != nil {
				t.Fatalf("%s: %v", subject, err)
			}
		}
	}
}
