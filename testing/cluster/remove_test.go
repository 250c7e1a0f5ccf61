package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// trickle makes an item now and then, at the nodes in turn, until stopped.
type trickle struct {
	journal string
	stop    context.CancelFunc
	ended   sync.WaitGroup
	made    int
}

const trickleEvery = 50 * time.Millisecond

func startTrickle(t *testing.T, c *client.Client) *trickle {
	t.Helper()
	create(t, c, "journal", journalCode)
	ctx, stop := context.WithCancel(t.Context())
	l := &trickle{journal: filepath.Join(t.TempDir(), "journal"), stop: stop}
	l.ended.Go(func() {
		for ; ctx.Err() == nil; l.made++ {
			insist(t, c, l.made, time.Now(), l.journal)
			select {
			case <-ctx.Done():
			case <-time.After(trickleEvery):
			}
		}
	})
	return l
}

// judge ends the load and judges all that happened.
func (l *trickle) judge(t *testing.T, m *cluster.Members) *check.Verdict {
	t.Helper()
	l.stop()
	l.ended.Wait()
	waitEnded(t, m.Client(api.Admin), time.Minute)
	v := cluster.Judge(t, m.Conn())
	v.AllEnded()
	v.Journal(cluster.Journal(t, l.journal))
	cluster.Report(t, v)
	if v.Counts()["Completed"] != l.made {
		t.Errorf("%d items were made, and ended %v", l.made, v.Counts())
	}
	return v
}

// removed waits until a node is no member, and its process has ended and says so.
func removed(t *testing.T, c *client.Client, p *cluster.Process) {
	t.Helper()
	until(t, p.Name+" is no member", func() bool {
		st, err := c.ClusterStatus(t.Context())
		if err != nil {
			return false
		}
		for _, n := range st.Nodes {
			if n.Name == p.Name {
				return false
			}
		}
		return true
	})
}

// leader is the node that leads Raft.
func leader(t *testing.T, m *cluster.Members) (p *cluster.Process) {
	t.Helper()
	c := m.Client(api.Admin)
	until(t, "somebody leads", func() bool {
		st, err := c.ClusterStatus(t.Context())
		for _, node := range m.Nodes {
			if err == nil && st.Leader == node.Name {
				p = node
			}
		}
		return p != nil
	})
	return p
}

// A fourth node joins under load and gets its share; the one that leads is removed
// and ends; and nothing is lost.
func TestGrowAndShrink(t *testing.T) {
	m := cluster.NewMembers(t, 3)
	begun := time.Now()
	m.Start()
	t.Logf("3 nodes are ready after %v", time.Since(begun))
	settled(t, m, 3)
	t.Logf("they have their shares after %v", time.Since(begun))
	c := m.Client(api.Admin)
	l := startTrickle(t, c)

	var refused *api.Error
	if _, err := c.RemoveNode(t.Context(), "n2"); !errors.As(err, &refused) || refused.Code != api.IllegalTransition {
		t.Errorf("of three nodes one may be removed: %v", err)
	}
	if _, err := c.RemoveNode(t.Context(), "n9"); !errors.As(err, &refused) || refused.Code != api.NotFound {
		t.Errorf("n9 may be removed: %v", err)
	}

	begun = time.Now()
	fourth := m.AddTo()
	fourth.Start()
	settled(t, m, 4)
	t.Logf("4 nodes have their shares after %v", time.Since(begun))

	goes := leader(t, m)
	begun = time.Now()
	out, errs, status := fourth.Belfry("cluster", "remove", goes.Name)
	t.Logf("after %v: %s%s", time.Since(begun), out, errs)
	if status != 0 || !strings.Contains(out, "leaving") {
		t.Errorf("remove ended with %d: %s%s", status, out, errs)
	}
	err := goes.Wait(30 * time.Second)
	t.Logf("%s ended after %v with %v", goes.Name, time.Since(begun), err)
	if err == nil || err.Error() != "exit status 1" || !removedIn(goes.Stderr()) {
		t.Errorf("%s ended with %v: %s", goes.Name, err, goes.Stderr())
	}
	removed(t, c, goes)
	settled(t, m, 3)
	t.Logf("3 nodes have all after %v", time.Since(begun))
	if said := goes.Refused(1); !strings.Contains(said, "removed") {
		t.Errorf("it may start again: %s", said)
	}
	st, err := c.ClusterStatus(t.Context())
	if err != nil || st.Stream.Replicas != 3 || fmt.Sprint(st.Removed) != "["+goes.Name+"]" {
		t.Errorf("%+v %v", st, err)
	}
	t.Logf("it was refused after %v", time.Since(begun))
	v := l.judge(t, m)
	t.Logf("%d items; %v", l.made, v.Counts())
}

// Who leads is killed when it has just taken a removal on; the next one goes on.
func TestARemovalOutlivesWhoBeganIt(t *testing.T) {
	m := cluster.NewMembers(t, 3, "--no-exec")
	m.Start()
	m.AddTo("--no-exec").Start()
	settled(t, m, 4)
	c := m.Client(api.Admin)
	leads := leader(t, m)
	goes := m.Nodes[3]
	if goes == leads {
		goes = m.Nodes[0]
	}
	if _, err := c.RemoveNode(t.Context(), goes.Name); err != nil {
		t.Fatal(err)
	}
	leads.Kill()
	begun := time.Now()
	until(t, "another one leads and knows of it", func() bool {
		st, err := c.ClusterStatus(t.Context())
		return err == nil && st.Leader != "" && st.Leader != leads.Name
	})
	leads.Start() // the streams want three
	removed(t, c, goes)
	t.Logf("removed %v after the leader was killed", time.Since(begun))
	if err := goes.Wait(30 * time.Second); err == nil || err.Error() != "exit status 1" || !removedIn(goes.Stderr()) {
		t.Errorf("%s ended with %v: %s", goes.Name, err, goes.Stderr())
	}
	settled(t, m, 3)
	cluster.Report(t, cluster.Judge(t, m.Conn()))
}

// removedIn says that a node's last line is that it was removed.
func removedIn(stderr string) bool {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	last := lines[len(lines)-1]
	return strings.HasPrefix(last, "belfry: ") && strings.Contains(last, "removed from th") // the cluster, or this one
}
