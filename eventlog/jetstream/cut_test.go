package jetstream

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
)

// link passes connections on until it is cut. A server's own end is orderly: it
// lets others lead. To be cut off on all links is what a killed one is to them.
type link struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func newLink(t testing.TB, target string) *link {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, target: target}
	t.Cleanup(l.close)
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			l.join(in)
		}
	}()
	return l
}

func (l *link) join(in net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out, err := net.Dial("tcp", l.target)
	if err != nil || l.cut {
		_ = in.Close()
		if err == nil {
			_ = out.Close()
		}
		return
	}
	l.conns = append(l.conns, in, out)
	for _, ends := range [][2]net.Conn{{in, out}, {out, in}} {
		go func() {
			_, _ = io.Copy(ends[0], ends[1])
			_ = ends[0].Close()
			_ = ends[1].Close()
		}()
	}
}

func (l *link) close() {
	_ = l.listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for _, c := range l.conns {
		_ = c.Close()
	}
}

// cuttable is a cluster of three whose servers can be cut off.
type cuttable struct {
	servers []*server.Server
	links   [3][3]*link // from, to
}

func startCuttable(t testing.TB) *cuttable {
	t.Helper()
	var addrs [3]string
	for i := range addrs {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addrs[i] = free.Addr().String()
		_ = free.Close()
	}
	c := &cuttable{}
	for i := range 3 {
		o := options(t.TempDir())
		o.ServerName = fmt.Sprintf("n%d", i+1)
		o.DontListen, o.Host, o.Port = false, "127.0.0.1", -1
		o.JetStreamMaxMemory, o.JetStreamMaxStore = 64<<20, 1<<30
		addr, err := net.ResolveTCPAddr("tcp", addrs[i])
		if err != nil {
			t.Fatal(err)
		}
		// What they tell each other leads nowhere: they meet on the links only.
		o.Cluster = server.ClusterOpts{Name: "belfry", Host: "127.0.0.1", Port: addr.Port, Advertise: "127.0.0.1:1"}
		for j := range 3 {
			if j != i {
				c.links[i][j] = newLink(t, addrs[j])
				o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: c.links[i][j].listener.Addr().String()})
			}
		}
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: addrs[i]})
		c.servers = append(c.servers, start(t, o))
	}
	eventually(t, "a leader that knows all three", func() bool {
		return slices.ContainsFunc(c.servers, func(s *server.Server) bool {
			return s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == 3
		})
	})
	return c
}

// kill cuts a server off.
func (c *cuttable) kill(dead *server.Server) {
	i := slices.Index(c.servers, dead)
	for j := range 3 {
		if j != i {
			c.links[i][j].close()
			c.links[j][i].close()
		}
	}
}

// leading is the server that leads the stream.
func leading(t testing.TB, servers []*server.Server) *server.Server {
	t.Helper()
	var leader *server.Server
	eventually(t, "the stream has a leader", func() bool {
		for _, s := range servers {
			if s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, eventlog.Stream) {
				leader = s
			}
		}
		return leader != nil
	})
	return leader
}

func others(all []*server.Server, but *server.Server) []*server.Server {
	return slices.DeleteFunc(slices.Clone(all), func(s *server.Server) bool { return s == but })
}

// TestTheLeaderDies: a node whose server does not lead appends; the leader dies
// in the midst. What was unknown is settled, nothing is lost or twice, and those
// who follow on the other servers go on.
func TestTheLeaderDies(t *testing.T) {
	c := startCuttable(t)
	createReplicated(t, connect(t, c.servers[0]), Config{})
	dead := leading(t, c.servers)
	rest := others(c.servers, dead)
	cfg := quick()
	cfg.AppendTimeout = 200 * time.Millisecond
	l := open(t, rest[0], cfg)
	var all []*following
	for _, s := range rest {
		all = append(all, follow(t.Context(), open(t, s, quick()), 1))
	}
	var last uint64
	for i := range 300 {
		if i == 100 {
			go c.kill(dead) // while it appends
		}
		start := time.Now()
		last = settle(t, l, last, fmt.Sprint("c", i))
		if took := time.Since(start); took > time.Second {
			t.Logf("commit %d took %s", i, took.Round(time.Millisecond))
		}
	}
	if last != 300 {
		t.Errorf("300 commits end at sequence %d", last)
	}
	for _, f := range all {
		f.until(t, last)
	}
	if err := l.Integrity(t.Context(), last); err != nil {
		t.Error(err)
	}
	info, err := l.Info(t.Context())
	if err != nil || info.Online != 2 || info.Replicas != 3 {
		t.Errorf("after a death: %+v, %v; want 2 of 3 online", info, err)
	}
}

// TestFollowOutlivesTheServerOfItsConsumer, also when it was the one that makes
// consumers: what is appended meanwhile comes.
func TestFollowOutlivesTheServerOfItsConsumer(t *testing.T) {
	c := startCuttable(t)
	l := createReplicated(t, connect(t, c.servers[0]), Config{})
	last := put(t, l, "n1", 0, 3)

	// The dead one leads the cluster, not the stream.
	var dead *server.Server
	eventually(t, "the stream and the cluster are led by two", func() bool {
		for _, s := range c.servers {
			if s.JetStreamIsLeader() && leading(t, c.servers) != s {
				dead = s
				return true
			}
		}
		_, _ = l.nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+eventlog.Stream, nil, time.Second)
		return false
	})
	rest := others(c.servers, dead)
	l = open(t, rest[0], Config{})
	var hosted *following
	eventually(t, "a consumer is on the server that dies", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		f := follow(ctx, open(t, rest[1], quick()), 1)
		f.until(t, last)
		acc, err := dead.LookupAccount(server.DEFAULT_GLOBAL_ACCOUNT)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range consumers(t, l) {
			if acc.JetStreamIsConsumerLeader(eventlog.Stream, name) {
				t.Cleanup(cancel)
				hosted = f
				return true
			}
		}
		cancel()
		<-f.done
		return false
	})
	c.kill(dead)
	start := time.Now()
	var worst time.Duration
	for i := range 50 {
		last = settle(t, l, last, fmt.Sprint("c", i))
		stored := time.Now()
		hosted.until(t, last)
		worst = max(worst, time.Since(stored))
		<-time.After(20 * time.Millisecond)
	}
	t.Logf("worst lag %s in %s", worst.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	if worst > 3*time.Second { // electing takes 4 s and more
		t.Errorf("following stood still for %s", worst)
	}
}

func TestCreateWaitsForTheClusterAndScaleGrows(t *testing.T) {
	servers := startCluster(t)
	nc := connect(t, servers[0])
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := Create(short, nc, Config{Replicas: 5}); err == nil || !strings.Contains(err.Error(), "create stream") {
		t.Errorf("five replicas on three servers: %v", err)
	}
	if err := Create(t.Context(), nc, Config{}); err != nil {
		t.Fatal(err)
	}
	var l *Log
	eventually(t, "the stream is opened", func() bool {
		var err error
		l, err = Open(t.Context(), nc, Config{})
		return err == nil
	})
	last := put(t, l, "n1", 0, 100)
	if err := Create(t.Context(), nc, Config{Replicas: 3}); err == nil {
		t.Error("a stream with one replica was taken for one with three")
	}
	if _, err := Open(t.Context(), nc, Config{Replicas: 3}); err == nil || !strings.Contains(err.Error(), "num_replicas is 1 and must be 3") {
		t.Errorf("open: %v, want the number of replicas to be refused", err)
	}
	if err := l.Scale(t.Context(), 2); err == nil {
		t.Error("two replicas were accepted")
	}
	for range 2 {
		if err := l.Scale(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Scale(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "only growth") {
		t.Errorf("shrink: %v", err)
	}
	info, err := l.Info(t.Context())
	if err != nil || info.Replicas != 3 || info.Online != 3 || info.Leader == "" {
		t.Errorf("%+v, %v; want three online and a leader", info, err)
	}
	l = open(t, servers[1], Config{Replicas: 3})
	put(t, l, "n1", last, 10)
	if err := Create(t.Context(), nc, Config{Replicas: 3}); err != nil {
		t.Errorf("the same again: %v", err)
	}
}

// TestCreateOnAFormingCluster: it is called before the servers have met.
func TestCreateOnAFormingCluster(t *testing.T) {
	var made sync.WaitGroup
	errs := make(chan error, 3)
	servers := formCluster(t, func(s *server.Server) {
		nc, err := nats.Connect("", nats.InProcessServer(s))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		made.Go(func() { errs <- Create(t.Context(), nc, Config{Replicas: 3}) })
	})
	made.Wait()
	for range servers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	l := open(t, servers[2], Config{Replicas: 3})
	if info, err := l.Info(t.Context()); err != nil || info.Replicas != 3 || info.LastSeq != 0 {
		t.Errorf("%+v, %v", info, err)
	}
}
