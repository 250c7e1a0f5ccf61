package broker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
)

// refusedPublish publishes and demands that the server refuses.
func refusedPublish(t *testing.T, conn *nats.Conn, subject string) {
	t.Helper()
	if err := conn.Publish(subject, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	wantViolation(t, conn, "Publish to", subject)
}

// refusedSubscribe subscribes and demands that the server refuses.
func refusedSubscribe(t *testing.T, conn *nats.Conn, subject string) {
	t.Helper()
	must(conn.SubscribeSync(subject))(t)
	wantViolation(t, conn, "Subscription to", subject)
}

// wantViolation wants the connection's latest error to be a violation. The
// server sends it before it answers the flush.
func wantViolation(t *testing.T, conn *nats.Conn, verb, subject string) {
	t.Helper()
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	err := conn.LastError()
	if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), verb+` "`+subject+`"`) {
		t.Errorf("%s %s was not refused: %v", verb, subject, err)
	}
}

// streamWrites are requests that would change the event stream.
func streamWrites() []string {
	return []string{
		"belfry.events.x",
		"belfry.events.n1",
		"$JS.API.STREAM.PURGE.BELFRY_EVENTS",
		"$JS.API.STREAM.DELETE.BELFRY_EVENTS",
		"$JS.API.STREAM.UPDATE.BELFRY_EVENTS",
		"$JS.API.STREAM.MSG.DELETE.BELFRY_EVENTS",
		"$JS.API.STREAM.CREATE.EVIL",
		"$JS.API.CONSUMER.CREATE.BELFRY_EVENTS",
		"$JS.API.STREAM.RESTORE.BELFRY_EVENTS",
		"$JS.API.SERVER.REMOVE",
		"$SYS.REQ.SERVER.PING",
	}
}

func TestCallerIsRefusedAllButItsOwn(t *testing.T) {
	b := start(t, nil)
	stream := events(t, must(b.NodeConn("node"))(t))
	for _, caller := range []*nats.Conn{nameless(t, b), must(b.CallerConn("caller"))(t)} {
		callersRefusals(t, caller)
	}
	unchanged(t, stream)
}

// callersRefusals demands all refusals of a caller.
func callersRefusals(t *testing.T, caller *nats.Conn) {
	t.Helper()
	for _, subject := range append(streamWrites(),
		"belfry.run.default.e1", "belfry.exec.e1.cancel", "belfry.announce.e1",
		"belfry.result.e1.3", "belfry.schedule.e1.3", "belfry.logs.e1.run.1", "_INBOX.somebody", "_INBOX_NODE.x", "_INBOX_e1.x",
		"belfry.node.n2.item.get",
		"$JS.API.STREAM.INFO.OTHER", "$JS.API.INFO", "$JS.API.DIRECT.GET.BELFRY_EVENTS",
	) {
		refusedPublish(t, caller, subject)
	}
	for _, subject := range []string{
		">", "*.>", "belfry.>", "belfry.events.>", "belfry.api.>", "belfry.run.>", "belfry.result.>", "belfry.node.>",
		"belfry.api.admin.item.get.n1", "$SRV.>", "$JS.>", "$SYS.>", "_INBOX_node.>", "_INBOX_NODE.>", "_INBOX_e1.>",
	} {
		refusedSubscribe(t, caller, subject)
	}
}

func TestExecutorIsRefusedAllButItsOwn(t *testing.T) {
	b := start(t, nil)
	stream := events(t, must(b.NodeConn("node"))(t))
	executorsRefusals(t, must(b.ExecutorConn("e1"))(t), "e1")
	unchanged(t, stream)
}

// executorsRefusals demands all refusals of an executor.
func executorsRefusals(t *testing.T, executor *nats.Conn, name string) {
	t.Helper()
	for _, subject := range append(streamWrites(),
		"belfry.api.admin.item.create", "belfry.node.n2.item.get", "$SRV.PING",
		"$JS.API.STREAM.INFO.BELFRY_EVENTS", "$JS.API.STREAM.MSG.GET.BELFRY_EVENTS",
		"belfry.announce.other", "belfry.result.other.3", "belfry.result."+name, "belfry.schedule.other.3", "belfry.schedule."+name, "belfry.logs.other.run.1",
		"belfry.run.default."+name, "belfry.run.default.other", "belfry.exec.other.cancel",
		"_INBOX.x", "_INBOX_NODE.x", "_INBOX_other.x",
	) {
		refusedPublish(t, executor, subject)
	}
	for _, subject := range []string{
		">", "belfry.>", "belfry.events.>", "belfry.api.>", "belfry.run.>", "belfry.run.*.other", "belfry.run.*.*",
		"belfry.exec.*.>", "belfry.exec.other.>", "belfry.result.>", "belfry.schedule.>", "belfry.announce.*",
		"$SRV.>", "_INBOX.>", "_INBOX_node.>", "_INBOX_NODE.>", "_INBOX_other.>",
	} {
		refusedSubscribe(t, executor, subject)
	}
}

func TestServiceConnectionOnlyAnswers(t *testing.T) {
	b := start(t, nil)
	stream := events(t, must(b.NodeConn("node"))(t))
	service := must(b.ServiceConn("service"))(t)
	for _, subject := range append(streamWrites(), "belfry.api.admin.item.create", "belfry.run.default.e1", "_INBOX_NODE.x") {
		refusedPublish(t, service, subject)
	}
	for _, subject := range []string{">", "belfry.events.>", "belfry.result.>", "_INBOX.>"} {
		refusedSubscribe(t, service, subject)
	}
	unchanged(t, stream)
}

// unchanged wants the event stream to hold what events put into it.
func unchanged(t *testing.T, stream jetstream.Stream) {
	t.Helper()
	info := must(stream.Info(t.Context()))(t)
	if info.State.LastSeq != 1 || info.State.Msgs != 1 || len(info.Config.Subjects) != 1 {
		t.Fatalf("the event stream changed: %+v", info.State)
	}
}

func TestCallerReadsTheEventStreamAndUsesTheService(t *testing.T) {
	b := start(t, nil)
	events(t, must(b.NodeConn("node"))(t))
	conn := must(b.ServiceConn("service"))(t)
	service := must(micro.AddService(conn, micro.Config{Name: "belfry", Version: "1.0.0"}))(t)
	err := service.AddEndpoint("api", micro.HandlerFunc(func(req micro.Request) {
		if err := req.Respond([]byte("did " + req.Subject())); err != nil {
			t.Error(err)
		}
	}), micro.WithEndpointSubject("belfry.api.>"))
	if err != nil {
		t.Fatal(err)
	}
	flush(t, conn)

	caller := nameless(t, b)
	for _, test := range []struct{ subject, body, want string }{
		{"$JS.API.STREAM.INFO.BELFRY_EVENTS", "", `"last_seq":1`},
		{"$JS.API.STREAM.MSG.GET.BELFRY_EVENTS", `{"seq":1}`, `"subject":"belfry.events.n1"`},
		{"$JS.API.STREAM.MSG.GET.BELFRY_EVENTS", `{"last_by_subj":"belfry.events.n1"}`, `"seq":1`},
		{"$SRV.PING", "", `"name":"belfry"`},
		{"$SRV.INFO.belfry", "", `"subject":"belfry.api.\u003e"`},
		{"$SRV.STATS.belfry", "", `"num_requests"`},
		{"belfry.api.admin.item.create", "{}", "did belfry.api.admin.item.create"},
	} {
		reply, err := caller.Request(test.subject, []byte(test.body), 5*time.Second)
		if err != nil {
			t.Errorf("%s: %v", test.subject, err)
		} else if !strings.Contains(string(reply.Data), test.want) {
			t.Errorf("%s: answered %s, want %s in it", test.subject, reply.Data, test.want)
		}
	}
}

func TestRequestThatNobodyServesEndsAtOnce(t *testing.T) {
	b := start(t, nil)
	caller := nameless(t, b)
	if _, err := caller.Request("belfry.api.admin.item.create", nil, 5*time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Fatalf("caller: %v", err)
	}
	node := must(b.NodeConn("node"))(t)
	if _, err := node.Request("belfry.exec.e1.ask", nil, 5*time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Fatalf("node: %v", err)
	}
}

func TestExecutorAndNodeTalk(t *testing.T) {
	b := start(t, nil)
	node := must(b.NodeConn("node"))(t)
	executor := must(b.ExecutorConn("e1"))(t)
	other := must(b.ExecutorConn("other"))(t)

	// Node to executor, to the one that is named and to no other.
	runs := must(executor.SubscribeSync("belfry.run.*.e1"))(t)
	wrong := must(other.SubscribeSync("belfry.run.*.other"))(t)
	must(executor.Subscribe("belfry.exec.e1.>", func(msg *nats.Msg) {
		if err := msg.Respond([]byte("held: none")); err != nil {
			t.Error(err)
		}
	}))(t)
	flush(t, executor, other)
	if err := node.Publish("belfry.run.default.e1", []byte("run")); err != nil {
		t.Fatal(err)
	}
	if msg := must(runs.NextMsg(5 * time.Second))(t); string(msg.Data) != "run" {
		t.Fatalf("run: %s", msg.Data)
	}
	if reply := must(node.Request("belfry.exec.e1.ask", nil, 5*time.Second))(t); string(reply.Data) != "held: none" {
		t.Fatalf("reply: %s", reply.Data)
	}
	flush(t, node, other)
	if n, _, _ := wrong.Pending(); n != 0 {
		t.Fatalf("another executor received %d messages", n)
	}

	// Executor to node.
	for _, subject := range []string{"belfry.announce.e1", "belfry.result.e1.63", "belfry.schedule.e1.63", "belfry.logs.e1.run_1.1"} {
		heard := must(node.SubscribeSync(subject))(t)
		flush(t, node)
		if err := executor.Publish(subject, []byte("said")); err != nil {
			t.Fatal(err)
		}
		if msg := must(heard.NextMsg(5 * time.Second))(t); string(msg.Data) != "said" {
			t.Fatalf("%s: %s", subject, msg.Data)
		}
	}
}

func TestExecutorAnswersARequestOnce(t *testing.T) {
	b := start(t, nil)
	node := must(b.NodeConn("node"))(t)
	executor := must(b.ExecutorConn("e1"))(t)
	asked := must(executor.SubscribeSync("belfry.exec.e1.ask"))(t)
	flush(t, executor)
	inbox := node.NewRespInbox()
	heard := must(node.SubscribeSync(inbox))(t)
	if err := node.PublishRequest("belfry.exec.e1.ask", inbox, nil); err != nil {
		t.Fatal(err)
	}
	request := must(asked.NextMsg(5 * time.Second))(t)
	if err := request.Respond([]byte("one")); err != nil {
		t.Fatal(err)
	}
	must(heard.NextMsg(5 * time.Second))(t)
	refusedPublish(t, executor, request.Reply)
	if n, _, _ := heard.Pending(); n != 0 {
		t.Fatal("a second answer arrived")
	}
}

func TestWrongCredentialsAreRefused(t *testing.T) {
	b := start(t, nil)
	nodeKey := must(b.ids.node.key.PublicKey())(t)
	for name, credentials := range map[string]nats.Option{
		"user and password": nats.UserInfo("node", "guess"),
		"token":             nats.Token("guess"),
		"the node's key without its secret": nats.Nkey(nodeKey, func([]byte) ([]byte, error) {
			return []byte("not a signature"), nil
		}),
		// Even with the secret, a node comes from inside this process only.
		"the node's key over TCP": nats.Nkey(nodeKey, b.ids.node.key.Sign),
	} {
		conn, err := nats.Connect(b.ClientURL(), credentials)
		if err == nil {
			conn.Close()
		}
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.ExecutorConn("unknown"); err == nil || !strings.Contains(err.Error(), `"unknown" is not known`) {
		t.Errorf("an unknown executor: %v", err)
	}
}

func flush(t *testing.T, conns ...*nats.Conn) {
	t.Helper()
	for _, conn := range conns {
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}
