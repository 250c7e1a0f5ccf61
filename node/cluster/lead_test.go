package cluster

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

func TestOfficeTellsTermsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice()
		terms := make(chan uint64)
		go func() {
			defer close(terms)
			for {
				term, ok := o.awaitStart(t.Context())
				if !ok {
					return
				}
				terms <- term
				o.awaitEnd(t.Context(), term)
			}
		}()
		o.set(true)
		if got := <-terms; got != 1 {
			t.Fatalf("term %d", got)
		}
		o.set(true) // lost and won again before anybody looked
		if got := <-terms; got != 2 {
			t.Fatalf("term %d", got)
		}
		o.set(false)
		synctest.Wait()
		o.set(true)
		if got := <-terms; got != 3 {
			t.Fatalf("term %d", got)
		}
		o.close()
		if _, more := <-terms; more {
			t.Fatal("a term began in a closed office")
		}
	})
}

func TestDutyStartsWithCurrentStateAndEndsWithTheCluster(t *testing.T) {
	dir := t.TempDir()
	c := leading(t, config(dir))
	_, err := c.IntendStream(t.Context(), "a")
	no(t, err)
	c.Stop()

	c = start(t, config(dir))
	began := make(chan Stream)
	ended := make(chan error)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		c.Lead(t.Context(), func(ctx context.Context) {
			began <- c.State().Stream
			<-ctx.Done()
			ended <- context.Cause(ctx)
		})
	}()
	if stream := <-began; stream.ID != "a" {
		t.Fatalf("the duty began with the stream %+v", stream)
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); c.Stop() }()
	if cause := <-ended; !errors.Is(cause, ErrNotLeader) {
		t.Fatalf("the duty's context ended because of %v", cause)
	}
	<-returned
	<-stopped
}

func TestLeadEndsWithItsContextAndDoesNotRepeatADuty(t *testing.T) {
	c := leading(t, config(t.TempDir()))
	ctx, cancel := context.WithCancel(t.Context())
	runs := make(chan struct{}, 8)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		c.Lead(ctx, func(context.Context) { runs <- struct{}{} })
	}()
	<-runs
	no(t, c.barrier(t.Context()))
	cancel()
	<-returned
	if len(runs) != 0 {
		t.Fatal("the duty ran twice in one term")
	}
}

// trio forms a group of three over an in-memory network, in a bubble.
func trio(t *testing.T) (nodes []*Cluster, networks []*raft.InmemTransport) {
	t.Helper()
	for _, name := range []string{"n1", "n2", "n3"} {
		_, network := raft.NewInmemTransportWithTimeout(raft.ServerAddress(name), time.Second)
		for _, other := range networks {
			network.Connect(other.LocalAddr(), other)
			other.Connect(network.LocalAddr(), network)
		}
		network.Connect(network.LocalAddr(), network)
		networks = append(networks, network)
		nodes = append(nodes, start(t, Config{Name: name, Dir: t.TempDir(), Bootstrap: name == "n1", Transport: network}))
	}
	no(t, nodes[0].WaitLeader(t.Context()))
	for _, node := range nodes[1:] {
		no(t, nodes[0].raft.AddVoter(raft.ServerID(node.cfg.Name), node.transport.LocalAddr(), 0, 0).Error())
	}
	for _, node := range nodes {
		no(t, node.WaitLeader(t.Context()))
	}
	return nodes, networks
}

// stopAll stops the nodes and waits, in the bubble's time, for messages to those
// that were stopped before: Raft gives them up after ten seconds.
func stopAll(nodes []*Cluster) {
	for _, node := range nodes {
		node.Stop()
	}
	time.Sleep(2 * 10 * time.Second)
}

func TestGroupOfThreeOutlivesItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _ := trio(t)
		duty := make(chan string)
		for _, node := range nodes {
			go node.Lead(t.Context(), func(ctx context.Context) {
				select {
				case duty <- node.cfg.Name:
					<-ctx.Done()
				case <-ctx.Done():
				}
			})
		}
		if first := <-duty; first != "n1" {
			t.Fatalf("the duty runs on %s", first)
		}
		no(t, nodes[0].PutMember(t.Context(), Member{Name: "n1"}))
		if err := nodes[1].PutMember(t.Context(), Member{Name: "n2"}); !errors.Is(err, ErrNotLeader) {
			t.Fatalf("command on a follower: %v", err)
		}
		nodes[0].Stop()
		second := <-duty
		if second == "n1" {
			t.Fatal("the duty runs on a node that is stopped")
		}
		for _, node := range nodes[1:] {
			if node.cfg.Name != second {
				continue
			}
			if _, ok := node.State().Members["n1"]; !ok {
				t.Fatal("what was agreed is gone")
			}
			no(t, node.PutMember(t.Context(), Member{Name: second}))
		}
		stopAll(nodes)
	})
}

func TestCommandOfALeaderThatIsCutOffHasAnUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, networks := trio(t)
		networks[0].DisconnectAll()
		err := nodes[0].PutMember(t.Context(), Member{Name: "n1"})
		if !errors.Is(err, ErrUnknownOutcome) {
			t.Fatalf("error: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := nodes[0].PutMember(ctx, Member{Name: "n1"}); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnknownOutcome) {
			t.Fatalf("a command that was never given: %v", err)
		}
		stopAll(nodes)
	})
}
