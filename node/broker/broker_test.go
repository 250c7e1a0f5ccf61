package broker

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// start runs a broker on a free port with two executors, and stops it with the
// test.
func start(t *testing.T, change func(*Config)) *Broker {
	t.Helper()
	cfg := Config{Addr: "127.0.0.1:0", StoreDir: t.TempDir(), Executors: []string{"e1", "other"}}
	if change != nil {
		change(&cfg)
	}
	b, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(b.Stop)
	return b
}

// nameless connects over TCP, without credentials.
func nameless(t *testing.T, b *Broker) *nats.Conn {
	t.Helper()
	quiet := func(*nats.Conn, *nats.Subscription, error) {} // tests look at LastError
	conn := must(nats.Connect(b.ClientURL(), nats.ErrorHandler(quiet)))(t)
	t.Cleanup(conn.Close)
	return conn
}

// must returns what a call returned, or ends the test.
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// events makes the event stream, with one message in it.
func events(t *testing.T, node *nats.Conn) jetstream.Stream {
	t.Helper()
	js := must(jetstream.New(node))(t)
	stream := must(js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "BELFRY_EVENTS", Subjects: []string{"belfry.events.*"},
	}))(t)
	must(js.Publish(t.Context(), "belfry.events.n1", []byte(`["first"]`)))(t)
	return stream
}

func TestStartRefusesWhatCannotWork(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { _ = taken.Close() })
	inUse := start(t, nil)
	own := []string{"127.0.0.1:6222"}

	const onlyLoopback = "is not a loopback address: Belfry has no security yet, so only loopback is served"
	for _, test := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"all addresses", Config{Addr: "0.0.0.0:4222"}, onlyLoopback},
		{"all IPv6 addresses", Config{Addr: "[::]:4222"}, onlyLoopback},
		{"an empty host", Config{Addr: ":4222"}, onlyLoopback},
		{"an address of a network", Config{Addr: "10.1.2.3:4222"}, onlyLoopback},
		{"a host name", Config{Addr: "example.com:4222"}, onlyLoopback},
		{"a host name that begins like loopback", Config{Addr: "localhost.example.com:4222"}, onlyLoopback},
		{"no port", Config{Addr: "127.0.0.1"}, "is not host:port"},
		{"a port out of range", Config{Addr: "127.0.0.1:70000"}, "has no valid port"},
		{
			"a port that is taken", Config{Addr: taken.Addr().String()},
			"nats address " + taken.Addr().String() + " is taken: stop the other program or choose another with --nats-addr",
		},
		{"no store", Config{StoreDir: "-"}, "has no directory"},
		{"a store below a file", Config{StoreDir: filepath.Join(file, "store")}, "is not writable"},
		{"a store that is a file", Config{StoreDir: file}, "is not writable"},
		{"a store in use", Config{StoreDir: inUse.cfg.StoreDir}, "is used by another process"},
		{"an executor whose name is a wildcard", Config{Executors: []string{"*"}}, `executor name "*"`},
		{"an executor whose name is two tokens", Config{Executors: []string{"a.b"}}, `executor name "a.b"`},
		{"an executor without a name", Config{Executors: []string{""}}, `executor name ""`},
		{"a server with an odd name", Config{Name: "A b"}, `name "A b"`},
		{"routes without a password", Config{Cluster: &Cluster{Addr: "127.0.0.1:0", Members: own}}, "or --cluster-addr would admit anybody"},
		{"routes without an address", Config{Cluster: &Cluster{Members: own, Password: "p"}}, `"" is not host:port: give one like 127.0.0.1:6222 with --cluster-addr`},
		{"routes at an address of a network", Config{Cluster: &Cluster{Addr: "10.1.2.3:6222", Members: own, Password: "p"}}, "is not a loopback address: Belfry has no security yet, so only loopback is served; give one like 127.0.0.1:6222 with --cluster-addr"},
		{"routes at a port out of range", Config{Cluster: &Cluster{Addr: "127.0.0.1:70000", Members: own, Password: "p"}}, "no valid port: give one like 127.0.0.1:6222 with --cluster-addr"},
		{"insecure routes without a port", Config{Cluster: &Cluster{Addr: "10.1.2.3", Members: own, Password: "p", Insecure: true}}, "is not host:port: give one like 127.0.0.1:6222 with --cluster-addr"},
		{"a member in a network", Config{Cluster: &Cluster{Addr: "127.0.0.1:0", Members: []string{"10.1.2.3:6222"}, Password: "p"}}, "10.1.2.3:6222\" is not a loopback address"},
		{"routes to nobody", Config{Cluster: &Cluster{Addr: "127.0.0.1:0", Password: "p"}}, "set Cluster.Members"},
		{
			"routes at a port that is taken", Config{Cluster: &Cluster{Addr: taken.Addr().String(), Members: own, Password: "p"}},
			"nats address " + taken.Addr().String() + " is taken: stop the other program or choose another with --cluster-addr",
		},
		{"a negative limit", Config{MaxStore: -1}, "limit of -1 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := test.cfg
			switch cfg.StoreDir {
			case "":
				cfg.StoreDir = t.TempDir()
			case "-":
				cfg.StoreDir = ""
			}
			if cfg.Addr == "" {
				cfg.Addr = "127.0.0.1:0"
			}
			b, err := Start(t.Context(), cfg)
			if err == nil {
				b.Stop()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error: %q, want one line with %q", err, test.want)
			}
		})
	}
}

func TestServerThatLosesThePortRaceReturnsTheSameError(t *testing.T) {
	taken := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { _ = taken.Close() })
	port := taken.Addr().(*net.TCPAddr).Port

	b := &Broker{
		cfg:    Config{StoreDir: t.TempDir(), Addr: taken.Addr().String()}.WithDefaults(),
		unlock: func() {}, conns: make(map[*nats.Conn]struct{}),
	}
	defer b.Stop()
	err := b.run(t.Context(), "127.0.0.1", port) // as if the probe had found it free
	if err == nil || !strings.Contains(err.Error(), "is taken: stop the other program") {
		t.Fatalf("error: %v", err)
	}
}

func TestStartObservesItsContext(t *testing.T) {
	cause := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	dir := t.TempDir()
	if _, err := Start(ctx, Config{Addr: "127.0.0.1:0", StoreDir: dir}); !errors.Is(err, cause) {
		t.Fatalf("error: %v", err)
	}
	start(t, func(c *Config) { c.StoreDir = dir }) // the store was given back
}

func TestLocalhostAndIPv6AreServed(t *testing.T) {
	addrs := []string{"localhost:0", "127.0.0.1:-1"}
	if probe, err := net.Listen("tcp", "[::1]:0"); err == nil { // where the system has IPv6
		_ = probe.Close()
		addrs = append(addrs, "[::1]:0")
	}
	for _, addr := range addrs {
		nameless(t, start(t, func(c *Config) { c.Addr = addr }))
	}
}

func TestDataSurvivesStopAndStart(t *testing.T) {
	dir := t.TempDir()
	b := start(t, func(c *Config) { c.StoreDir = dir })
	events(t, must(b.NodeConn("test"))(t))
	b.Stop()

	b = start(t, func(c *Config) { c.StoreDir = dir })
	js := must(jetstream.New(must(b.NodeConn("test"))(t)))(t)
	stream := must(js.Stream(t.Context(), "BELFRY_EVENTS"))(t)
	if msg := must(stream.GetMsg(t.Context(), 1))(t); string(msg.Data) != `["first"]` {
		t.Fatalf("message 1: %s", msg.Data)
	}
}

func TestStopEndsConnectionsAndMayBeCalledTwice(t *testing.T) {
	b := start(t, nil)
	conn := must(b.NodeConn("test"))(t)
	url := b.ClientURL()

	var both sync.WaitGroup
	for range 2 {
		both.Go(b.Stop)
	}
	both.Wait()
	if !conn.IsClosed() {
		t.Fatal("a connection outlived the broker")
	}
	if _, err := b.NodeConn("late"); !errors.Is(err, ErrStopped) {
		t.Fatalf("connect after the stop: %v", err)
	}
	if conn, err := nats.Connect(url); err == nil {
		conn.Close()
		t.Fatal("the listener outlived the broker")
	}
}

func TestWithoutAListenerOnlyThisProcessConnects(t *testing.T) {
	b := start(t, func(c *Config) { c.DontListen = true; c.Addr = "127.0.0.1:4222" })
	if url := b.ClientURL(); url != "" {
		t.Fatalf("client URL %q", url)
	}
	events(t, must(b.NodeConn("test"))(t))
	if err := must(b.CallerConn("test"))(t).Flush(); err != nil {
		t.Fatal(err)
	}
}

// Simulated time needs a whole node in a bubble, and this is its server.
func TestRunsInABubble(t *testing.T) {
	ats.Register() // starts a timer that all servers share: it must not be of a bubble
	defer ats.Unregister()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *Config) { c.DontListen = true })
		stream := events(t, must(b.NodeConn("node"))(t))
		time.Sleep(time.Hour)
		unchanged(t, stream)
		b.Stop()
	})
}

func TestStoreLimitRefusesCleanly(t *testing.T) {
	b := start(t, func(c *Config) { c.MaxStore = 64 << 10 })
	node := must(b.NodeConn("test"))(t)
	events(t, node)
	js := must(jetstream.New(node))(t)

	body := make([]byte, 10<<10)
	var err error
	for range 20 {
		if _, err = js.Publish(t.Context(), "belfry.events.n1", body); err != nil {
			break
		}
	}
	refused := new(jetstream.APIError)
	if !errors.As(err, &refused) || refused.Code != 503 || refused.ErrorCode != 10023 {
		t.Fatalf("publish beyond the limit: %v", err)
	}
}

func TestDefaultStoreLimitCountsWhatIsHeld(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, jetstreamDir, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, jetstreamDir, "a", "1.blk"), make([]byte, 12345), 0o600); err != nil {
		t.Fatal(err)
	}
	if held := must(sizeOf(filepath.Join(dir, jetstreamDir)))(t); held != 12345 {
		t.Fatalf("held: %d bytes", held)
	}
	free := must(diskFree(dir))(t)
	limit := must(storeLimit(dir))(t)
	if limit <= 0 || limit > free+12345 {
		t.Fatalf("limit %d with %d free", limit, free)
	}
}
