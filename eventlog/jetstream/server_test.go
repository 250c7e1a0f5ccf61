package jetstream

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
)

// patience bounds what must happen soon; it is only waited for by a failure.
const patience = 20 * time.Second

// options are those of a NATS server without a network, with JetStream on disk
// in dir and an fsync before each acknowledgement.
func options(dir string) *server.Options {
	return &server.Options{
		ServerName: "n1",
		DontListen: true,
		NoSigs:     true,
		NoLog:      true,
		JetStream:  true,
		StoreDir:   dir,
		SyncAlways: true,
	}
}

func startServer(t testing.TB, dir string) *server.Server {
	t.Helper()
	return start(t, options(dir))
}

// startFast is startServer without fsync, for what only reads.
func startFast(t testing.TB, dir string) *server.Server {
	t.Helper()
	o := options(dir)
	o.SyncAlways = false
	return start(t, o)
}

func start(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	t.Cleanup(func() { stopServer(s) })
	return s
}

func stopServer(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func connect(t testing.TB, s nats.InProcessConnProvider) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.MaxReconnects(-1), nats.ReconnectWait(5*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// quick is a config with short intervals.
func quick() Config {
	return Config{Heartbeat: 20 * time.Millisecond, TailCheck: 40 * time.Millisecond}
}

// open opens the stream of a server.
func open(t testing.TB, s nats.InProcessConnProvider, cfg Config) *Log {
	t.Helper()
	l, err := Open(t.Context(), connect(t, s), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// create makes the stream and opens it.
func create(t testing.TB, s nats.InProcessConnProvider, cfg Config) *Log {
	t.Helper()
	if err := Create(t.Context(), connect(t, s), cfg); err != nil {
		t.Fatal(err)
	}
	return open(t, s, cfg)
}

// outage lets connections follow from one server to the next.
type outage struct{ now atomic.Pointer[server.Server] }

func (o *outage) InProcessConn() (net.Conn, error) {
	if s := o.now.Load(); s != nil {
		return s.InProcessConn()
	}
	return nil, errors.New("no server runs")
}

// put appends n commits to a lane whose last sequence is last.
func put(t testing.TB, l *Log, lane string, last uint64, n int) uint64 {
	t.Helper()
	for range n {
		id := fmt.Sprintf("%s-after-%d", lane, last)
		seq, err := l.Append(t.Context(), lane, eventlog.Expect{LaneSeq: last}, id, fmt.Appendf(nil, "[%q]", id))
		if err != nil {
			t.Fatal(err)
		}
		last = seq
	}
	return last
}

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
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

// blocks are the files that hold the stream's messages.
func blocks(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "$G", "streams", eventlog.DefaultPrefix.Stream(), "msgs", "*.blk"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no blocks of the stream: %v", err)
	}
	return files
}

// atOnce is the pace of a scrub that does not rest.
func atOnce() error { return nil }
