package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/cluster"
)

// A node that ends because its release does not go together with that of the
// others is a member still: its data directory must not say that it was removed.
func TestAnUnfitReleaseIsNoRemoval(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	names, addrs, paths := []string{"n1", "n2"}, make([]string, 2), []string{t.TempDir(), t.TempDir()}
	for n := range addrs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addrs[n] = l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	start := func(n, level int) *cluster.Cluster {
		c, err := cluster.Start(ctx, cluster.Config{
			Name: names[n], Addr: addrs[n], Dir: paths[n], HeartbeatTimeout: 200 * time.Millisecond, Join: addrs, Expect: 2,
			Self: cluster.Member{Instance: "instance-of-" + names[n]}, Speaks: cluster.Speaks{Events: cluster.Both(level)},
			Logger: slog.New(slog.DiscardHandler),
		})
		if err == nil && level == 1 {
			err = c.WaitLeader(ctx)
		}
		if err != nil {
			t.Error(err)
		}
		return c
	}
	var both [2]*cluster.Cluster
	var all sync.WaitGroup
	for n := range both {
		all.Go(func() { both[n] = start(n, 1) })
	}
	if all.Wait(); t.Failed() {
		t.FailNow()
	}
	defer both[0].Stop()
	both[1].Stop()
	newer := start(1, 2)
	if newer == nil {
		t.FailNow()
	}
	defer newer.Stop()
	if err := newer.WaitLeader(ctx); !errors.Is(err, cluster.ErrMixed) {
		t.Fatalf("it waits for a leader: %v", err)
	}
	d, err := openDirectory(t.TempDir(), identityOf("n2", true))
	if err != nil {
		t.Fatal(err)
	}
	(&Node{dir: d, raft: newer}).noteRemoval()
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	if d, err = openDirectory(d.path, identityOf("n2", true)); err != nil {
		t.Fatalf("it cannot come back with the right release: %v", err)
	}
	_ = d.close()
}
