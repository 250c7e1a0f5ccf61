package jetstream

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/testing/conformance"
)

// startCluster runs three servers, joined over loopback, and waits until they
// can hold a stream.
func startCluster(t *testing.T) ([]*server.Server, *wires) {
	t.Helper()
	servers := make([]*server.Server, 3)
	w := newWires(t, len(servers))
	for i := range servers {
		o := options(t.TempDir())
		o.ServerName = fmt.Sprintf("n%d", i+1)
		o.DontListen, o.Host, o.Port = false, "127.0.0.1", -1 // routes wait for the listener
		// Nobody finds it but by the wires.
		o.Cluster = server.ClusterOpts{Name: "belfry", Host: "127.0.0.1", Port: -1, Advertise: "127.0.0.1:1"}
		o.JetStreamMaxMemory, o.JetStreamMaxStore = -1, -1
		o.Routes = w.routes(i)
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { stopServer(s) })
		eventually(t, "the server listens for routes", func() bool { return s.ClusterAddr() != nil })
		w.listens(i, s)
		servers[i] = s
	}
	eventually(t, "a leader that knows all three", func() bool {
		for _, s := range servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == 3 {
				return true
			}
		}
		return false
	})
	return servers, w
}

// createReplicated makes the stream anew.
func createReplicated(t *testing.T, nc *nats.Conn, cfg Config) *Log {
	t.Helper()
	cfg.Replicas = 3
	if l, err := Open(t.Context(), nc, cfg); err == nil {
		if err := l.js.DeleteStream(t.Context(), eventlog.DefaultPrefix.Stream()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the stream is made", func() bool { return Create(t.Context(), nc, cfg) == nil })
	var l *Log
	eventually(t, "the stream is opened", func() (ok bool) {
		var err error
		l, err = Open(t.Context(), nc, cfg)
		return err == nil
	})
	return l
}

// TestCluster: three replicas keep the same promises.
func TestCluster(t *testing.T) {
	t.Parallel()
	servers, _ := startCluster(t)
	t.Run("conformance", func(t *testing.T) {
		nc := connect(t, servers[0])
		conformance.Log(t, func(t *testing.T) eventlog.Log { return createReplicated(t, nc, Config{}) })
	})
	t.Run("a change of leader loses and damages nothing", func(t *testing.T) {
		l := createReplicated(t, connect(t, servers[0]), quick())
		var all []*following
		for _, s := range servers {
			all = append(all, follow(t.Context(), open(t, s, quick()), 1))
		}
		var last uint64
		for i := range 300 {
			if i%100 == 50 {
				if _, err := l.nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+eventlog.DefaultPrefix.Stream(), nil, patience); err != nil {
					t.Fatal(err)
				}
			}
			last = settle(t, l, last, fmt.Sprint("c", i))
		}
		for _, f := range all {
			f.until(t, last)
		}
		if err := l.Integrity(t.Context(), last); err != nil {
			t.Error(err)
		}
	})
}

// settle appends until the outcome is known.
func settle(t *testing.T, l *Log, last uint64, id string) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		seq, err := l.Append(ctx, "n1", eventlog.Expect{LaneSeq: last}, id, []byte("[]"))
		switch {
		case err == nil:
			return seq
		case errors.Is(err, eventlog.ErrOccupied):
			m, err := l.Next(ctx, "n1", last+1)
			if err != nil || m.ID != id {
				t.Fatalf("%s: its place is held by %s: %v", id, m.ID, err)
			}
			return m.Seq
		case ctx.Err() != nil:
			t.Fatalf("%s: %v", id, err)
		}
	}
}
