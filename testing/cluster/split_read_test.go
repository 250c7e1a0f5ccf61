package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// electedMax is how long it takes at most that the others have elected who leads the
// stream, and change things again.
const electedMax = 10 * time.Second

// A node that is cut off and has nothing of its own to store, so that no append
// holds its reads up, answers them with what is current or not at all; a strong
// read never. Who led the stream may answer plain ones from its past for a while.
func TestReadsInASplit(t *testing.T) {
	t.Parallel()
	m := cluster.NewMembers(t, 3, "--no-exec")
	network := m.Connect()
	m.Start()
	r := newRoles(t, m)
	r.settled()
	l := &load{t: t, m: m}
	var faults []check.Fault
	for kind, of := range map[string]func() *cluster.Process{"split owner": r.owner, "split stream": r.stream} {
		p, readsFor := of(), shortSplit
		if kind == "split stream" {
			readsFor = electedMax + 2*time.Second
		}
		user := fmt.Sprint("user-of-", p.Name)
		at := func(p *cluster.Process) *client.Client {
			return l.connect(p.URL, nats.IgnoreDiscoveredServers())
		}
		var others []string
		var other *cluster.Process
		for _, n := range m.Nodes {
			if n != p {
				others, other = append(others, n.Name), n
			}
		}
		c := at(other)
		until(t, "the user is stored", func() bool { // after a split NATS elects once more
			o := l.ask(t.Context(), c, "writer", other.Name, "user", "create", user, map[string]any{"id": user})
			return o.Outcome == check.Acknowledged
		})
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		writer := at(other)
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				request := fmt.Sprint(user, "-", n)
				l.ask(context.WithoutCancel(ctx), writer, "writer", other.Name, "user", "update", request, map[string]any{"id": user, "name": request})
				pause(ctx, contendEvery)
			}
		})
		read := func(c *client.Client, strong bool) {
			for ctx.Err() == nil {
				within, cancel := context.WithTimeout(context.WithoutCancel(ctx), contendMax)
				l.ask(within, c, "reader", p.Name, "user", "get", "", map[string]any{"id": user, "strong": strong})
				cancel()
				pause(ctx, contendEvery)
			}
		}
		for range 3 {
			c := at(p)
			all.Go(func() { read(c, false) })
		}
		time.Sleep(time.Second) // real processes, real time
		from := time.Now()
		network.Split(cluster.Pulled, []string{p.Name}, others)
		time.Sleep(readsFor * 3 / 4)
		strong := at(p)
		all.Go(func() { read(strong, true) }) // it appends: from now on plain ones wait for it
		time.Sleep(readsFor / 4)
		until(t, "the others change things", func() bool { return l.readsOf(user, p, from, time.Now()).changes > 0 })
		to := time.Now()
		network.Heal()
		r.settled()
		stop()
		all.Wait()
		faults = append(faults, check.Fault{Kind: kind, Node: p.Name, From: from, To: to})
		told := l.readsOf(user, p, from, to)
		t.Logf("%s: %s, cut off for %v, %d changes at the others: %+v", kind, p.Name, to.Sub(from).Round(time.Millisecond), told.changes, told)
		if told.strong > 0 || kind == "split owner" && told.stale > 0 {
			t.Errorf("%s: %s answered %+v", kind, p.Name, told)
		}
		if told.changes == 0 || told.refused == 0 {
			t.Errorf("%s: inconclusive: %+v", kind, told)
		}
	}
	v := check.Log(cluster.Commits(t, m.Conn()))
	v.Faults(faults)
	v.StaleFor = staleFor
	v.History(l.ops)
	v.Owned("n1", "n2", "n3")
	cluster.Report(t, v)
}

// readsTold counts what a node that was cut off told its readers meanwhile.
type readsTold struct {
	plain, strong, stale, refused int
	changes                       int           // acknowledged by the others
	staleFor                      time.Duration // after the split began
}

func (l *load) readsOf(user string, p *cluster.Process, from, to time.Time) (told readsTold) {
	ops := l.since(from.Add(-time.Second))
	for _, op := range ops {
		if op.Returned.Before(from) || op.Returned.After(to) {
			continue
		}
		switch {
		case !op.Read && op.Outcome == check.Acknowledged:
			told.changes++
		case !op.Read || op.Node != p.Name || op.Invoked.Before(from):
		case op.Outcome != check.Acknowledged:
			told.refused++
		case op.Strong:
			told.strong++
		default:
			told.plain++
			for _, write := range ops {
				if write.ID == user && write.Node != p.Name && write.Outcome == check.Acknowledged && write.Returned.Before(op.Invoked) && write.Revision > op.Revision {
					told.stale++
					told.staleFor = max(told.staleFor, op.Returned.Sub(from))
					break
				}
			}
		}
	}
	return told
}
