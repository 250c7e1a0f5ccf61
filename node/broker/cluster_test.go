package broker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/exec/credential"
)

// patience bounds what has no time of its own; a race detector on a busy machine
// needs some.
const patience = time.Minute

// trio is three brokers that have found together, n1 to n3, each with its own
// executor and with the names of the others reserved.
func trio(t *testing.T, secret credential.Secret) []*Broker {
	t.Helper()
	addrs := free(t, 3)
	names := []string{"n1", "n2", "n3"}
	var brokers []*Broker
	for n, addr := range addrs {
		brokers = append(brokers, start(t, func(c *Config) {
			c.Name, c.Executors, c.ExecutorSecret = names[n], names[n:n+1], secret
			c.Reserved = func(name string) bool { return name != names[n] && slices.Contains(names, name) }
			c.Cluster = &Cluster{Addr: addr, Members: addrs, Password: t.Name()}
		}))
	}
	together(t, brokers...)
	return brokers
}

// trios counts those of this process.
var trios atomic.Int64

// free are addresses that nobody listens on, and that no other test is given when
// a server of this one is down: on a loopback address of their own, where the
// system has more than one.
func free(t *testing.T, n int) (addrs []string) {
	t.Helper()
	k := trios.Add(1)
	host := fmt.Sprintf("127.%d.%d.%d", 1+os.Getpid()%200, 1+k/200, 1+k%200)
	for range n {
		listener, err := net.Listen("tcp", host+":0")
		if err != nil {
			listener = must(net.Listen("tcp", "127.0.0.1:0"))(t)
		}
		defer func() { _ = listener.Close() }()
		addrs = append(addrs, listener.Addr().String())
	}
	return addrs
}

func together(t *testing.T, brokers ...*Broker) {
	t.Helper()
	for _, b := range brokers {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := b.WaitCluster(ctx); err != nil {
			t.Fatalf("%s: %v", b.cfg.Name, err)
		}
	}
}

// replicated makes the event stream, with one message in it, on three servers. One
// that leads places nothing on another before it knows that one's store.
func replicated(t *testing.T, node *nats.Conn) (stream jetstream.Stream) {
	t.Helper()
	js := must(jetstream.New(node))(t)
	until(t, "the event stream is made", func() bool {
		made, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "BELFRY_EVENTS", Subjects: []string{"belfry.events.*"}, Replicas: 3})
		stream = made
		return err == nil
	})
	must(js.Publish(t.Context(), "belfry.events.n1", []byte(`["first"]`)))(t)
	return stream
}

// until waits for what nothing tells of.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(pollEvery) {
		if time.Now().After(end) {
			t.Fatalf("after %s still not: %s", patience, what)
		}
	}
}

// answered asks until somebody answers: other servers learn a moment later who
// listens.
func answered(t *testing.T, conn *nats.Conn, subject string) (reply *nats.Msg) {
	t.Helper()
	until(t, subject+" is answered", func() (ok bool) {
		m, err := conn.Request(subject, []byte("{}"), time.Second)
		reply = m
		return err == nil
	})
	return reply
}

// arrives publishes until all subscriptions have got it.
func arrives(t *testing.T, conn *nats.Conn, subject string, subs ...*nats.Subscription) {
	t.Helper()
	until(t, subject+" arrives everywhere", func() bool {
		if err := conn.Publish(subject, []byte("said")); err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(subs, func(s *nats.Subscription) bool {
			n, _, err := s.Pending()
			return err != nil || n == 0
		})
	})
}

// What one server serves, all do: identities mean the same at each.
func TestThreeServersAreOne(t *testing.T) {
	s := secret(t)
	brokers := trio(t, s)
	a, b, c := brokers[0], brokers[1], brokers[2]
	nodes := make([]*nats.Conn, 3)
	for n := range nodes {
		nodes[n] = must(brokers[n].NodeConn("node"))(t)
	}
	stream := replicated(t, nodes[2])
	executor := must(over(t, a, "far", must(s.Key("far"))(t)))(t)

	t.Run("a caller is answered from elsewhere", func(t *testing.T) {
		answerAll(t, must(b.ServiceConn("service"))(t), "belfry.api.*.*.*")
		caller := nameless(t, a)
		answered(t, caller, "belfry.api.admin.item.get")
		for _, subject := range []string{"$JS.API.STREAM.INFO.BELFRY_EVENTS", "$JS.API.STREAM.MSG.GET.BELFRY_EVENTS"} {
			if _, err := caller.Request(subject, []byte(`{"seq":1}`), patience); err != nil {
				t.Errorf("%s: %v", subject, err)
			}
		}
	})
	t.Run("an executor hears every node", func(t *testing.T) {
		for n, node := range nodes {
			runs := must(executor.SubscribeSync("belfry.run.*.far"))(t)
			flush(t, executor)
			arrives(t, node, fmt.Sprintf("belfry.run.p%d.far", n), runs)
			if err := runs.Unsubscribe(); err != nil {
				t.Fatal(err)
			}
		}
		must(executor.Subscribe("belfry.exec.far.>", func(m *nats.Msg) { _ = m.Respond(nil) }))(t)
		flush(t, executor)
		for _, node := range nodes {
			answered(t, node, "belfry.exec.far.ask")
		}
	})
	t.Run("every node hears an executor", func(t *testing.T) {
		for _, subject := range []string{"belfry.announce.far", "belfry.result.far.63", "belfry.schedule.far.63", "belfry.logs.far.run_1.1"} {
			var subs []*nats.Subscription
			for _, node := range nodes {
				subs = append(subs, must(node.SubscribeSync(subject))(t))
			}
			flush(t, nodes...)
			arrives(t, executor, subject, subs...)
		}
	})
	t.Run("no executor hears another", func(t *testing.T) {
		near := must(c.ExecutorConn("n3"))(t)
		own := must(near.SubscribeSync("belfry.run.*.n3"))(t)
		far := must(executor.SubscribeSync("belfry.run.*.far"))(t)
		flush(t, near, executor)
		arrives(t, nodes[1], "belfry.run.default.far", far)
		if n, _, _ := own.Pending(); n != 0 {
			t.Errorf("n3 heard %d runs of another", n)
		}
	})
	t.Run("everybody is refused all but its own", func(t *testing.T) {
		for _, broker := range brokers {
			callersRefusals(t, nameless(t, broker))
			executorsRefusals(t, must(over(t, broker, "far", must(s.Key("far"))(t)))(t), "far")
			executorsRefusals(t, must(broker.ExecutorConn(broker.cfg.Name))(t), broker.cfg.Name)
		}
	})
	t.Run("no reply reaches the event stream", func(t *testing.T) {
		caller := nameless(t, c)
		answered(t, caller, "belfry.api.admin.item.get")
		askWithReplyTo(t, caller, "belfry.events.evil", "belfry.api.admin.item.get", "$JS.API.STREAM.INFO.BELFRY_EVENTS")
		unchanged(t, stream)
	})
	t.Run("no process is named as a node", func(t *testing.T) {
		for _, broker := range brokers {
			for _, name := range []string{"n1", "n2", "n3"} {
				conn, err := over(t, broker, name, must(s.Key(name))(t))
				if !errors.Is(err, nats.ErrAuthorization) {
					t.Errorf("%s at %s: %v %v", name, broker.cfg.Name, conn, err)
				}
			}
		}
	})
}

func TestServersWithoutThePasswordAreRefused(t *testing.T) {
	brokers := trio(t, credential.Secret{})
	addr := brokers[0].cfg.Cluster.Addr

	other := start(t, func(c *Config) {
		c.Name = "n4"
		c.Cluster = &Cluster{Addr: free(t, 1)[0], Members: brokers[0].cfg.Cluster.Members, Password: "another cluster's"}
	})
	none := must(server.NewServer(&server.Options{
		ServerName: "n5", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		Cluster: server.ClusterOpts{Name: clusterName, Host: "127.0.0.1", Port: server.RANDOM_PORT},
		Routes:  []*url.URL{{Scheme: "nats", Host: addr}},
	}))(t)
	none.Start()
	defer none.Shutdown()

	for _, user := range []*url.Userinfo{nil, url.User(clusterUser), url.UserPassword(clusterUser, "guess"), url.UserPassword(clusterUser, "")} {
		to := &url.URL{Scheme: "nats", Host: addr, User: user}
		// The greeting names the port for clients, which nats.go would try next.
		if conn, err := nats.Connect(to.String(), nats.IgnoreDiscoveredServers()); err == nil {
			t.Errorf("a client is let in as %v", user)
			conn.Close()
		}
		if end := router(t, addr, user); !strings.Contains(end, "Authorization Violation") {
			t.Errorf("a router is let in as %v: %q", user, end)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := other.WaitCluster(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "see that the others run, and their --cluster-addr") {
		t.Errorf("another cluster's server: %v", err)
	}
	// A stranger takes whom it calls for a friend until it is refused: so it is
	// what the cluster believes that counts, and what passes.
	answerAll(t, must(brokers[0].ServiceConn("service"))(t), "belfry.api.*.*.*")
	answered(t, nameless(t, brokers[1]), "belfry.api.admin.item.get")
	if _, err := nameless(t, other).Request("belfry.api.admin.item.get", nil, time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("a call at another cluster's server: %v", err)
	}
	for _, b := range brokers {
		if n := b.server.NumRemotes(); n != 2 {
			t.Errorf("%s knows %d other servers", b.cfg.Name, n)
		}
	}
}

// router connects as a server does and says what it is told before the end, or
// in the first moments.
func router(t *testing.T, addr string, user *url.Userinfo) string {
	t.Helper()
	conn := must(net.Dial("tcp", addr))(t)
	defer func() { _ = conn.Close() }()
	return talk(t, conn, user, 2*time.Second)
}

// talk says the first words of a server, and then nothing.
func talk(t *testing.T, conn net.Conn, user *url.Userinfo, within time.Duration) string {
	t.Helper()
	password, _ := user.Password()
	name := ""
	if user != nil {
		name = user.Username()
	}
	_, err := fmt.Fprintf(conn, "CONNECT {\"user\":%q,\"pass\":%q,\"verbose\":false,\"name\":\"RID\",\"cluster\":%q,\"protocol\":1}\r\n"+
		"INFO {\"server_id\":\"RID\",\"server_name\":\"n9\",\"cluster\":%q,\"proto\":1,\"headers\":true,\"max_payload\":1048576}\r\n", name, password, clusterName, clusterName)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewReader(conn); ; {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			return fmt.Sprintf("%s%v", said.String(), err)
		}
	}
}

// A server that stands still, or whose network is gone, is not spoken to for
// longer than a few seconds; the password is right here, which is the control of
// the test above.
func TestASilentServerIsCutOff(t *testing.T) {
	t.Parallel()
	b := start(t, func(c *Config) {
		addrs := free(t, 2)
		c.Cluster = &Cluster{Addr: addrs[0], Members: addrs, Password: "secret"}
	})
	conn := must(net.Dial("tcp", b.cfg.Cluster.Addr))(t)
	defer func() { _ = conn.Close() }()
	began := time.Now()
	said := talk(t, conn, url.UserPassword(clusterUser, "secret"), patience)
	if took := time.Since(began); took < routePing || took > 10*time.Second || !strings.Contains(said, "PING") {
		t.Errorf("after %s: %s", took, said)
	}
}

// Other servers hear under which host to call one, they and their clients, where
// that is none it listens on.
func TestTheAdvertisedHostIsTold(t *testing.T) {
	t.Parallel()
	b := start(t, func(c *Config) {
		addrs := free(t, 3)
		c.Addr = addrs[2]
		c.Cluster = &Cluster{Addr: addrs[0], Advertise: "127.0.9.1", Members: addrs[:2], Password: "secret"}
	})
	elsewhere := func(addr string) string {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		return net.JoinHostPort("127.0.9.1", port)
	}
	conn := must(net.Dial("tcp", b.cfg.Cluster.Addr))(t)
	defer func() { _ = conn.Close() }()
	said := talk(t, conn, url.UserPassword(clusterUser, "secret"), patience)
	for what, want := range map[string]string{
		"to call": "nats-route://" + elsewhere(b.cfg.Cluster.Addr), "for its clients": `"connect_urls":["` + elsewhere(b.cfg.Addr) + `"]`,
	} {
		if !strings.Contains(said, want) {
			t.Errorf("another server is not told %s %s, but %s", what, want, said)
		}
	}
}

func TestAStoppedServerIsNoticed(t *testing.T) {
	t.Parallel()
	brokers := trio(t, credential.Secret{})
	brokers[2].Stop()
	for _, b := range brokers[:2] {
		until(t, "the routes to n3 end", func() bool { return b.server.NumRemotes() == 1 })
	}
	together(t, brokers[:2]...)
}

// A server that was away is waited for until it holds what the others do.
func TestAServerThatWasAwayCatchesUp(t *testing.T) {
	t.Parallel()
	const stream, behind = "BELFRY_EVENTS", 5000
	brokers := trio(t, credential.Secret{})
	node := must(brokers[0].NodeConn("node"))(t)
	replicated(t, node)
	away := brokers[2].cfg
	brokers[2].Stop()
	js := must(jetstream.New(node, jetstream.WithPublishAsyncMaxPending(behind)))(t)
	until(t, "two of three store", func() bool {
		_, err := js.Publish(t.Context(), "belfry.events.n1", []byte("more"))
		return err == nil
	})
	for range behind {
		must(js.PublishAsync("belfry.events.n1", make([]byte, 1000)))(t)
	}
	<-js.PublishAsyncComplete()
	last := must(must(js.Stream(t.Context(), stream))(t).Info(t.Context()))(t).State.LastSeq
	back := start(t, func(c *Config) { *c = away })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	together(t, back)
	if err := back.WaitCurrent(ctx, stream, "NO_SUCH_STREAM"); err != nil {
		t.Fatal(err)
	}
	info := must(back.server.Jsz(&server.JSzOptions{Account: accountNode, Streams: true}))(t)
	if has := info.AccountDetails[0].Streams[0].State.LastSeq; has < last || last < behind {
		t.Errorf("it holds the stream up to %d of %d", has, last)
	}
}

func TestStepDownHandsAllLeadsOver(t *testing.T) {
	brokers := trio(t, credential.Secret{})
	replicated(t, must(brokers[0].NodeConn("node"))(t))
	const stream = "BELFRY_EVENTS"
	var leads *Broker
	// Each in turn: so that the one that steps down leads once the stream, once
	// the group, and, at the third time, perhaps both.
	for range 3 {
		for _, leader := range []func(*Broker) bool{
			func(b *Broker) bool { return b.server.JetStreamIsStreamLeader(accountNode, stream) },
			func(b *Broker) bool { return b.server.JetStreamIsLeader() },
		} {
			until(t, "somebody leads", func() bool {
				n := slices.IndexFunc(brokers, leader)
				if n >= 0 {
					leads = brokers[n]
				}
				return n >= 0
			})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			err := leads.StepDown(ctx, stream, "NO_SUCH_STREAM")
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if leads.server.JetStreamIsStreamLeader(accountNode, stream) || leads.server.JetStreamIsLeader() {
				t.Errorf("%s still leads", leads.cfg.Name)
			}
			if to, _, err := leads.streamLeader(stream); err != nil || to == "" || to == leads.cfg.Name {
				t.Errorf("the stream is led by %q: %v", to, err)
			}
			if to := must(leads.MetaLeader())(t); to == "" || to == leads.cfg.Name {
				t.Errorf("the group is led by %q", to)
			}
		}
	}
	// Whoever has stepped down may stop: what is asked then is answered.
	leads.Stop()
	rest := slices.DeleteFunc(slices.Clone(brokers), func(b *Broker) bool { return b == leads })
	node := must(rest[0].NodeConn("node"))(t)
	if _, err := node.Request("$JS.API.STREAM.INFO."+stream, nil, 3*time.Second); err != nil {
		t.Errorf("after the stop: %v", err)
	}
}

func TestStepDownOfAServerAloneDoesNothing(t *testing.T) {
	b := start(t, nil)
	events(t, must(b.NodeConn("node"))(t))
	if err := b.StepDown(t.Context(), "BELFRY_EVENTS"); err != nil {
		t.Error(err)
	}
}

func TestStepDownEndsWithItsContextWhenNobodyElseIsThere(t *testing.T) {
	brokers := trio(t, credential.Secret{})
	last := -1
	until(t, "somebody leads", func() bool {
		last = slices.IndexFunc(brokers, func(b *Broker) bool { return b.server.JetStreamIsLeader() })
		return last >= 0
	})
	for n, b := range brokers {
		if n != last {
			b.Stop()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := brokers[last].StepDown(ctx, "BELFRY_EVENTS"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the last of three: %v", err)
	}
}
