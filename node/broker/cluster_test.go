package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
)

// patience bounds what must happen soon; it is only waited for by a failure.
const patience = 40 * time.Second

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// freeAddrs are addresses on which nothing listened a moment ago.
func freeAddrs(t *testing.T, n int) []string {
	t.Helper()
	var addrs []string
	for range n {
		listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
		defer func() { _ = listener.Close() }()
		addrs = append(addrs, listener.Addr().String())
	}
	return addrs
}

// startCluster runs three brokers, n1 to n3, and waits until each is healthy.
// Each has an executor of its own that bears its name.
func startCluster(t *testing.T, change func(*Config)) []*Broker {
	t.Helper()
	addrs := freeAddrs(t, 3)
	names := []string{"n1", "n2", "n3"}
	brokers := make([]*Broker, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		cfg := Config{
			Name: name, Addr: "127.0.0.1:0", StoreDir: t.TempDir(), MaxStore: 1 << 30,
			ClusterAddr: addrs[i], Routes: addrs, Executors: []string{name}, Reserved: names,
		}
		if change != nil {
			change(&cfg)
		}
		group.Go(func() {
			b, err := Start(t.Context(), cfg)
			if err != nil {
				t.Errorf("start %s: %v", name, err)
				return
			}
			t.Cleanup(b.Stop)
			brokers[i] = b
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, b := range brokers {
		healthy(t, b, 3)
	}
	return brokers
}

// healthy waits until JetStream is current here, with so many peers online.
func healthy(t *testing.T, b *Broker, peers int) {
	t.Helper()
	eventually(t, b.cfg.Name+" is healthy", func() bool {
		h := must(b.Health(t.Context()))(t)
		online := 0
		for _, peer := range h.Peers {
			if peer.Online {
				online++
			}
		}
		return h.Current && online == peers
	})
}

// replicated makes the event stream with three replicas and one message.
func replicated(t *testing.T, brokers []*Broker) jetstream.Stream {
	t.Helper()
	js := must(jetstream.New(must(brokers[0].NodeConn("events"))(t)))(t)
	var stream jetstream.Stream
	eventually(t, "the stream is made", func() bool {
		var err error
		stream, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: "BELFRY_EVENTS", Subjects: []string{"belfry.events.*"}, Replicas: 3,
		})
		return err == nil
	})
	eventually(t, "the first message is stored", func() bool {
		_, err := js.Publish(t.Context(), "belfry.events.n1", []byte(`["first"]`), jetstream.WithExpectLastSequence(0))
		return err == nil || strings.Contains(err.Error(), "wrong last sequence")
	})
	for _, b := range brokers {
		healthy(t, b, len(brokers))
	}
	return stream
}

// pairs runs a test for each server and another one.
func pairs(t *testing.T, brokers []*Broker, do func(t *testing.T, here, there *Broker)) {
	for i, here := range brokers {
		there := brokers[(i+1)%len(brokers)]
		t.Run(here.cfg.Name+" and "+there.cfg.Name, func(t *testing.T) { do(t, here, there) })
	}
}

func TestServersOfAClusterAreOne(t *testing.T) {
	s := secret(t)
	brokers := startCluster(t, func(c *Config) { c.ExecutorSecret, c.RoutePassword = s, "shared" })
	stream := replicated(t, brokers)

	t.Run("an executor anywhere talks with each node", func(t *testing.T) {
		pairs(t, brokers, func(t *testing.T, here, _ *Broker) {
			name := "far-" + here.cfg.Name
			executorTalks(t, must(over(t, here, name, must(s.Key(name))(t)))(t), name, brokers)
			executorTalks(t, must(here.ExecutorConn(here.cfg.Name))(t), here.cfg.Name, brokers)
		})
	})
	t.Run("an executor is refused all but its own", func(t *testing.T) {
		pairs(t, brokers, func(t *testing.T, here, there *Broker) {
			executor := must(over(t, here, "far", must(s.Key("far"))(t)))(t)
			for _, subject := range append(streamWrites(),
				"belfry.announce.other", "belfry.result.other.3", "belfry.logs."+there.cfg.Name+".run.1",
				"belfry.api.admin.item.create", "_INBOX_NODE.x", "_INBOX_SYS.x",
			) {
				refusedPublish(t, executor, subject)
			}
			for _, subject := range []string{">", "belfry.run.*." + there.cfg.Name, "belfry.exec.other.>", "$SYS.>", "_INBOX_SYS.>"} {
				refusedSubscribe(t, executor, subject)
			}
		})
	})
	t.Run("an executor from outside bears no node's name", func(t *testing.T) {
		pairs(t, brokers, func(t *testing.T, here, there *Broker) {
			for _, name := range []string{here.cfg.Name, there.cfg.Name} {
				if _, err := over(t, here, name, must(s.Key(name))(t)); !errors.Is(err, nats.ErrAuthorization) {
					t.Errorf("as %s: %v", name, err)
				}
			}
		})
	})
	t.Run("one service answers a caller, wherever both are", func(t *testing.T) { servicesAnswer(t, brokers) })
	t.Run("a caller reads the event stream and cannot write it", func(t *testing.T) {
		pairs(t, brokers, func(t *testing.T, here, _ *Broker) {
			caller := nameless(t, here)
			for _, subject := range append(streamWrites(), "$JS.API.META.LEADER.STEPDOWN", "$SYS.REQ.SERVER.PING.JSZ") {
				refusedPublish(t, caller, subject)
			}
			askWithReplyTo(t, caller, "belfry.events.evil", "$JS.API.STREAM.INFO.BELFRY_EVENTS", "$JS.API.STREAM.MSG.GET.BELFRY_EVENTS")
		})
	})
	unchanged(t, stream)
}

// executorTalks wants what an executor says to reach all nodes, and what any of
// them says to reach it.
func executorTalks(t *testing.T, executor *nats.Conn, name string, brokers []*Broker) {
	t.Helper()
	runs := must(executor.SubscribeSync("belfry.run.*." + name))(t)
	must(executor.Subscribe("belfry.exec."+name+".>", func(msg *nats.Msg) { _ = msg.Respond([]byte("held: none")) }))(t)
	flush(t, executor)
	for _, b := range brokers {
		node := must(b.NodeConn("node"))(t)
		defer node.Close()
		eventually(t, "the executor hears "+b.cfg.Name, func() bool {
			reply, err := node.Request("belfry.exec."+name+".ask", nil, time.Second)
			return err == nil && string(reply.Data) == "held: none"
		})
		if err := node.Publish("belfry.run.default."+name, []byte(b.cfg.Name)); err != nil {
			t.Fatal(err)
		}
		if msg := must(runs.NextMsg(patience))(t); string(msg.Data) != b.cfg.Name {
			t.Fatalf("run from %s: %s", b.cfg.Name, msg.Data)
		}
		for _, subject := range []string{"announce." + name, "result." + name + ".63", "schedule." + name + ".63", "logs." + name + ".run_1.1"} {
			heard := must(node.SubscribeSync("belfry." + subject))(t)
			flush(t, node)
			eventually(t, b.cfg.Name+" hears "+subject, func() bool { // interest takes a moment from server to server
				if err := executor.Publish("belfry."+subject, []byte("said")); err != nil {
					t.Fatal(err)
				}
				_, err := heard.NextMsg(50 * time.Millisecond)
				return err == nil
			})
		}
	}
}

func servicesAnswer(t *testing.T, brokers []*Broker) {
	var mu sync.Mutex
	answers := make(map[string]int)
	for _, b := range brokers {
		conn := must(b.ServiceConn("service"))(t)
		service := must(micro.AddService(conn, micro.Config{Name: "belfry", Version: "1.0.0"}))(t)
		if err := service.AddEndpoint("api", micro.HandlerFunc(func(req micro.Request) {
			mu.Lock()
			answers[b.cfg.Name]++
			mu.Unlock()
			_ = req.Respond([]byte(b.cfg.Name))
		}), micro.WithEndpointSubject("belfry.api.>")); err != nil {
			t.Fatal(err)
		}
		flush(t, conn)
	}
	const each = 100
	for _, b := range brokers {
		caller := nameless(t, b)
		eventually(t, "three services are known at "+b.cfg.Name, func() bool {
			inbox := must(caller.SubscribeSync(caller.NewRespInbox()))(t)
			defer func() { _ = inbox.Unsubscribe() }()
			if err := caller.PublishRequest("$SRV.PING.belfry", inbox.Subject, nil); err != nil {
				t.Fatal(err)
			}
			for range brokers {
				if _, err := inbox.NextMsg(time.Second); err != nil {
					return false
				}
			}
			return true
		})
		for range each {
			must(caller.Request("belfry.api.admin.item.get", nil, patience))(t)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	total := 0
	for _, n := range answers {
		total += n
	}
	if total != each*len(brokers) || len(answers) != len(brokers) {
		t.Errorf("%d requests were answered by %v, want each by one and all to take part", each*len(brokers), answers)
	}
	t.Log("answers:", answers)
}

func TestStepDownHandsOverAll(t *testing.T) {
	brokers := startCluster(t, nil)
	stream := replicated(t, brokers)
	must(stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "watch"}))(t)
	for round := range 3 {
		leader := leaderOf(t, brokers)
		if err := leader.StepDown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if led, settled := leader.groups(); len(led) > 0 || !settled {
			t.Errorf("round %d: %s still leads %v", round, leader.cfg.Name, led)
		}
		if leader.server.JetStreamIsStreamLeader(accountNode, streamEvents) || leader.server.JetStreamIsLeader() {
			t.Errorf("round %d: %s leads", round, leader.cfg.Name)
		}
		if now := leaderOf(t, brokers); now == leader {
			t.Errorf("round %d: %s leads the stream again", round, leader.cfg.Name)
		}
	}
}

// leaderOf is the broker that leads the event stream, when all agree on it.
func leaderOf(t *testing.T, brokers []*Broker) *Broker {
	t.Helper()
	var leader *Broker
	eventually(t, "all agree on a leader", func() bool {
		name := ""
		for _, b := range brokers {
			h := must(b.Health(t.Context()))(t)
			if h.EventsLeader == "" || name != "" && name != h.EventsLeader {
				return false
			}
			if name = h.EventsLeader; name == b.cfg.Name {
				leader = b
			}
		}
		return leader != nil && leader.cfg.Name == name
	})
	return leader
}

func TestAPeerIsLostAndRemoved(t *testing.T) {
	brokers := startCluster(t, nil)
	replicated(t, brokers)
	lost := leaderOf(t, brokers)
	var rest []*Broker
	for _, b := range brokers {
		if b != lost {
			rest = append(rest, b)
		}
	}
	lost.Stop()
	if _, err := lost.Health(t.Context()); !errors.Is(err, ErrStopped) {
		t.Errorf("health of a stopped one: %v", err)
	}
	for _, b := range rest {
		healthy(t, b, 2) // a majority
		for _, peer := range must(b.Health(t.Context()))(t).Peers {
			if peer.Name == lost.cfg.Name && peer.Online {
				t.Errorf("%s holds that %s is online", b.cfg.Name, peer.Name)
			}
		}
	}
	if err := rest[0].RemovePeer(t.Context(), "nobody"); !errors.Is(err, ErrNoPeer) {
		t.Errorf("remove nobody: %v", err)
	}
	if err := rest[0].RemovePeer(t.Context(), lost.cfg.Name); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two peers are left", func() bool { return len(must(rest[1].Health(t.Context()))(t).Peers) == 2 })
	if err := rest[1].RemovePeer(t.Context(), lost.cfg.Name); !errors.Is(err, ErrNoPeer) {
		t.Errorf("remove it again: %v", err)
	}
}

// Two of three are gone: whether the one that is left led or not, it removes
// nobody. (Of two it could: see RemovePeer.)
func TestNoPeerIsRemovedWithoutAMajority(t *testing.T) {
	brokers := startCluster(t, nil)
	brokers[1].Stop()
	brokers[2].Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := brokers[0].RemovePeer(ctx, brokers[1].cfg.Name); err == nil || errors.Is(err, ErrNoPeer) {
		t.Errorf("removed: %v", err)
	}
	eventually(t, "one of three is no majority", func() bool {
		h := must(brokers[0].Health(t.Context()))(t)
		return !h.Current && h.Why != ""
	})
}

func TestPeersAreKnownByTheHashOfTheirNames(t *testing.T) {
	b := start(t, func(c *Config) { c.Name = "n1" })
	if want := b.server.Node(); peerID("n1") != want {
		t.Errorf("peer id %s, the server says %s", peerID("n1"), want)
	}
}

func TestAServerAloneHasNothingToHandOver(t *testing.T) {
	b := start(t, nil)
	if err := b.StepDown(t.Context()); err != nil {
		t.Error(err)
	}
	if h := must(b.Health(t.Context()))(t); !h.Current || h.MetaLeader != "" || b.ClusterAddr() != "" {
		t.Errorf("health: %+v", h)
	}
}

// Two servers whose routes differ in the password stay two; so one without is
// no member.
func TestAServerWithoutThePasswordIsNoMember(t *testing.T) {
	inside := start(t, func(c *Config) { c.ClusterAddr, c.RoutePassword, c.Name = "127.0.0.1:0", "shared", "n1" })
	for i, password := range []string{"", "guess", "shared"} {
		other := start(t, func(c *Config) {
			c.ClusterAddr, c.RoutePassword, c.Name = "127.0.0.1:0", password, fmt.Sprintf("other-%d", i)
			c.Routes = []string{inside.ClusterAddr()}
		})
		if password == "shared" {
			eventually(t, "routes", func() bool { return inside.server.NumRoutes() > 0 && other.server.NumRoutes() > 0 })
			continue
		}
		<-time.After(1500 * time.Millisecond) // the first call and another one
		if n := other.server.NumRoutes(); n != 0 || inside.server.NumRoutes() != 0 {
			t.Errorf("password %q: %d routes", password, n)
		}
	}
}
