package broker

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/belfryhq/belfry/exec/credential"
)

// serve answers as a node's service does, with the name of the node.
func serve(t *testing.T, b *Broker) micro.Service {
	t.Helper()
	name := b.cfg.Name
	conn := must(b.ServiceConn("api"))(t)
	s := must(micro.AddService(conn, micro.Config{Name: "belfry", Version: "1.0.0"}))(t)
	answer := micro.HandlerFunc(func(r micro.Request) { _ = r.Respond([]byte(name)) })
	for _, err := range []error{
		s.AddEndpoint("item-get", answer, micro.WithEndpointSubject("belfry.api.*.item.get")),
		s.AddEndpoint("item-get-local", answer, micro.WithEndpointSubject("belfry.api.*.item.get."+name), micro.WithEndpointQueueGroupDisabled()),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	flush(t, conn)
	return s
}

// who asks as often as it takes to know who answers.
func who(t *testing.T, conn *nats.Conn) map[string]int {
	t.Helper()
	by := map[string]int{}
	for range 60 {
		by[string(must(conn.Request("belfry.api.ada.item.get", nil, patience))(t).Data)]++
	}
	return by
}

func TestCallsStayAtTheirServerWhileItServes(t *testing.T) {
	brokers := trio(t, credential.Secret{})
	services := make([]micro.Service, 3)
	for n, b := range brokers {
		services[n] = serve(t, b)
	}
	caller := nameless(t, brokers[0])
	until(t, "all services are known at n1", func() bool { return len(who(t, caller)) == 3 }) // the control, too
	if err := brokers[0].ServeLocally(); err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		s.Reset()
	}
	if by := who(t, caller); len(by) != 1 || by["n1"] == 0 {
		t.Errorf("calls at n1 are answered by %v", by)
	}
	if n := requests(services[0].Stats()); n != 60 {
		t.Errorf("n1 counts %d calls", n)
	}
	if by := who(t, nameless(t, brokers[1])); len(by) != 3 {
		t.Errorf("calls at n2, which does not serve yet, are answered by %v", by)
	}

	// Those of other nodes may do what they like: they are not asked.
	if err := services[1].Stop(); err != nil {
		t.Fatal(err)
	}
	brokers[1].Stop()
	if by := who(t, caller); len(by) != 1 || by["n1"] == 0 {
		t.Errorf("without n2, calls at n1 are answered by %v", by)
	}

	brokers[0].StopServing()
	brokers[0].StopServing() // may come again
	if err := services[0].Stop(); err != nil {
		t.Fatal(err)
	}
	if by := who(t, caller); len(by) != 1 || by["n3"] == 0 {
		t.Errorf("after its end, calls at n1 are answered by %v", by)
	}
}

// requests is how many a service has counted.
func requests(s micro.Stats) (n int) {
	for _, e := range s.Endpoints {
		n += e.NumRequests
	}
	return n
}

// No call is lost while a node ends and begins to serve, again and again.
func TestNoCallIsLostWhileServingEnds(t *testing.T) {
	brokers := trio(t, credential.Secret{})
	serve(t, brokers[1])
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 4)
	answered(t, nameless(t, brokers[0]), "belfry.api.ada.item.get")
	for range cap(ended) {
		caller := nameless(t, brokers[0])
		go func() { ended <- call(ctx, caller) }()
	}
	for range 10 {
		s := serve(t, brokers[0])
		if err := brokers[0].ServeLocally(); err != nil {
			t.Fatal(err)
		}
		until(t, "n1 answers", func() bool { return requests(s.Stats()) > 20 || len(ended) > 0 })
		brokers[0].StopServing()
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// call asks until ctx ends.
func call(ctx context.Context, conn *nats.Conn) error {
	for ctx.Err() == nil {
		if _, err := conn.Request("belfry.api.ada.item.get", nil, patience); err != nil {
			return err
		}
	}
	return nil
}

// A node's name behind a call does not make it another user's.
func TestACallOfOneUserStaysOne(t *testing.T) {
	brokers := trio(t, credential.Secret{})
	heard := must(must(brokers[1].ServiceConn("api"))(t).SubscribeSync("belfry.api.>"))(t)
	if err := brokers[0].ServeLocally(); err != nil {
		t.Fatal(err)
	}
	caller := nameless(t, brokers[0])
	arrives(t, caller, "belfry.api.ada.item.get", heard)
	if m := must(heard.NextMsg(patience))(t); m.Subject != "belfry.api.ada.item.get.n1" {
		t.Errorf("heard %s", m.Subject)
	}
	// What has a name already keeps it, and cannot be made to be more.
	for _, subject := range []string{"belfry.api.ada.item.get.n2", "belfry.api.ada.item.get.n2.n3", "belfry.api.ada.item"} {
		if err := caller.Publish(subject, []byte("as said")); err != nil {
			t.Fatal(err)
		}
		for {
			if m := must(heard.NextMsg(patience))(t); string(m.Data) == "as said" {
				if m.Subject != subject {
					t.Errorf("%s became %s", subject, m.Subject)
				}
				break
			}
		}
	}
	callersRefusals(t, caller)
}

func TestAServerAloneHasNoMapping(t *testing.T) {
	b := start(t, nil)
	heard := must(must(b.ServiceConn("api"))(t).SubscribeSync("belfry.api.>"))(t)
	if err := b.ServeLocally(); err != nil {
		t.Fatal(err)
	}
	arrives(t, must(b.CallerConn("caller"))(t), "belfry.api.ada.item.get", heard)
	if m := must(heard.NextMsg(patience))(t); m.Subject != "belfry.api.ada.item.get" {
		t.Errorf("heard %s", m.Subject)
	}
	b.StopServing()
}
