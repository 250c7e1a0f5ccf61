package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

const (
	// splitFor is longer than it takes the others to give a node up, to elect who
	// leads in its place, and to do its work for a while.
	splitFor = 14 * time.Second
	// shortSplit is enough for that where nobody has to be elected.
	shortSplit = 7 * time.Second
	// staleFor is how long a leader of the stream that was cut off may answer plain
	// reads from its past, beyond the split: the README says so.
	staleFor = 5 * time.Second
	// contendEvery is the pace of who writes and reads on both sides, and
	// contendMax how long each waits for an answer.
	contendEvery = 50 * time.Millisecond
	contendMax   = 1500 * time.Millisecond
	// underway is how long before a split may have been asked what is answered
	// in it as if there were none.
	underway = 200 * time.Millisecond
)

// splits are the nodes that are cut off, by the kind of the fault.
func (o *ordeal) splits() map[string]func() *cluster.Process {
	return map[string]func() *cluster.Process{
		"split owner": func() *cluster.Process { return o.roles.owner() },
		// Who leads the stream in one half, who leads Raft in the other.
		"split stream": func() *cluster.Process { o.apart(); return o.roles.stream() },
		"split raft":   func() *cluster.Process { o.apart(); return o.roles.raft() },
		// Both in the smaller half.
		"split both": func() *cluster.Process { p := o.roles.stream(); o.lead(p); return p },
	}
}

// apart has Raft led by another node than the stream.
func (o *ordeal) apart() { o.t.Helper(); o.apartFrom(o.roles.stream()) }

// apartFrom has Raft led by another node.
func (o *ordeal) apartFrom(p *cluster.Process) {
	o.t.Helper()
	until(o.t, "Raft is led by another node than "+p.Name, func() bool {
		if o.roles.status().Leader != p.Name {
			return true
		}
		_, _ = o.roles.c.TransferLead(o.t.Context(), "") // until it is so
		return false
	})
}

// lead has Raft led by a node.
func (o *ordeal) lead(p *cluster.Process) {
	o.t.Helper()
	until(o.t, p.Name+" leads Raft", func() bool {
		if o.roles.status().Leader == p.Name {
			return true
		}
		_, _ = o.roles.c.TransferLead(o.t.Context(), p.Name) // until it is so
		return false
	})
}

// split cuts a node off, with an executor, and heals the network. Callers ask on
// both sides.
func (o *ordeal) split(kind string, p *cluster.Process) {
	o.t.Helper()
	what, style := o.roles.what(p), cluster.Style(o.cuts%2)
	o.cuts++
	few, many := []string{p.Name, "x1"}, []string{"x2"}
	for _, other := range o.m.Nodes {
		if other != p {
			many = append(many, other.Name)
		}
	}
	stop := o.contend(fmt.Sprint("split-", o.cuts))
	time.Sleep(time.Second) // real processes, real time
	from := time.Now()
	o.m.Network.Split(style, few, many)
	time.Sleep(o.splitFor)
	o.works(p, max(o.splitFor/4, 2*contendMax))
	to := time.Now()
	o.m.Network.Heal()
	o.note(kind, p.Name, what, from, fmt.Sprintf("connections %s", style))
	o.roles.settled()
	time.Sleep(time.Second)
	stop()
	o.sides(p, from, to)
}

// works waits until each node but the one that is cut off has changed something
// lately: on a busy machine it may take longer to give that one up.
func (o *ordeal) works(cut *cluster.Process, lately time.Duration) {
	o.t.Helper()
	for _, p := range o.m.Nodes {
		until(o.t, "cut off from "+cut.Name+", "+p.Name+" changes things", func() bool {
			return p == cut || slices.ContainsFunc(o.load.since(time.Now().Add(-lately)), func(op check.Op) bool {
				return op.Node == p.Name && !op.Read && op.Outcome == check.Acknowledged
			})
		})
	}
}

// contend has a caller at each node change and read the same user, by turns
// strongly, until it is stopped.
func (o *ordeal) contend(user string) (stop func()) {
	o.t.Helper()
	at := func(p *cluster.Process) *client.Client {
		c, err := client.Connect(o.t.Context(), client.Config{URL: p.URL, Timeout: contendMax, Options: []nats.Option{nats.IgnoreDiscoveredServers()}})
		if err != nil {
			o.t.Fatal(err)
		}
		o.t.Cleanup(c.Close)
		return c
	}
	c := at(o.m.Nodes[0])
	until(o.t, "the user is stored", func() bool { // after an earlier split NATS elects once more
		op := o.load.ask(o.t.Context(), c, "contender", "n1", "user", "create", user, map[string]any{"id": user})
		return op.Outcome == check.Acknowledged
	})
	ctx, cancel := context.WithCancel(o.t.Context())
	var all sync.WaitGroup
	for _, p := range o.m.Nodes {
		c, name := at(p), fmt.Sprint(user, "-at-", p.Name)
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				request := fmt.Sprint(name, "-", n)
				o.load.ask(context.WithoutCancel(ctx), c, name, p.Name, "user", "update", request, map[string]any{"id": user, "name": request})
				pause(ctx, contendEvery)
			}
		})
		for _, strong := range []bool{false, true} {
			all.Go(func() {
				for ctx.Err() == nil {
					o.load.ask(context.WithoutCancel(ctx), c, name, p.Name, "user", "get", "", map[string]any{"id": user, "strong": strong})
					pause(ctx, contendEvery)
				}
			})
		}
	}
	return func() { cancel(); all.Wait() }
}

// sides judges what the two sides were told from the beginning of a split to its
// end: the smaller one nothing but refusals and reads of what was. How long the
// larger one took to work again is told.
func (o *ordeal) sides(cut *cluster.Process, from, to time.Time) {
	few := map[string]int{}
	for _, op := range o.load.since(from.Add(underway)) {
		during := op.Returned.Before(to)
		switch {
		case !during || op.Node == "all":
		case op.Node == cut.Name:
			kind := "plain read"
			switch {
			case op.Strong:
				kind = "strong read"
			case !op.Read:
				kind = "change"
			}
			few[kind+" "+op.Outcome.String()]++
			if op.Outcome == check.Refused || op.Outcome == check.Acknowledged && kind != "plain read" {
				o.t.Errorf("cut off from the others, %v was %v", &op, op.Outcome)
			}
		}
	}
	told := make([]string, 0, len(few))
	for what, n := range few {
		told = append(told, fmt.Sprint(n, " × ", what))
	}
	slices.Sort(told)
	o.t.Logf("%s, cut off from %s for %v, told its callers: %s", cut.Name, from.UTC().Format("15:04:05.000"), to.Sub(from).Round(time.Millisecond), strings.Join(told, ", "))
	if len(few) == 0 {
		o.t.Errorf("%s told its callers nothing", cut.Name)
	}
	for _, p := range o.m.Nodes {
		if p == cut {
			continue
		}
		o.t.Logf("%s waited for its changes %v at most during the split, %v after it", p.Name,
			o.gap(p, from, to).Round(10*time.Millisecond), o.gap(p, to, time.Now()).Round(10*time.Millisecond))
	}
}

// gap is the longest time in which no change asked at a node was acknowledged.
func (o *ordeal) gap(p *cluster.Process, from, to time.Time) (most time.Duration) {
	at := []time.Time{from, to}
	for _, op := range o.load.since(time.Time{}) {
		if op.Node == p.Name && !op.Read && op.Outcome == check.Acknowledged && op.Returned.After(from) && op.Returned.Before(to) {
			at = append(at, op.Returned)
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	for k := range at[1:] {
		most = max(most, at[k+1].Sub(at[k]))
	}
	return most
}

// agree judges, after splits, that all nodes hold one log. The auditors of any two
// compare what each partition became (P1), and turn /readyz red; for the judge
// the copy of each is read when that node leads the stream (L4, L3).
func (o *ordeal) agree(v *check.Verdict, last uint64) {
	o.t.Helper()
	if o.cuts == 0 {
		return
	}
	for _, p := range o.m.Nodes {
		until(o.t, "after it all "+p.Name+" is ready", func() bool { // what an auditor objects to never passes
			status, _ := readyz(o.t, p)
			return status == http.StatusOK
		})
	}
	if os.Getenv("FAULTS") == "" {
		return // each node has to be stopped for it
	}
	read := map[string]bool{}
	for tries := 0; len(read) < len(o.m.Nodes) && tries < 12; tries++ {
		p := o.roles.stream()
		if !read[p.Name] {
			read[p.Name] = true
			v.Replica(p.Name, cluster.CommitsTo(o.t, p.Conn(), last))
		}
		if len(read) == len(o.m.Nodes) {
			break
		}
		o.restart(p)
	}
	o.t.Logf("the copies of %d nodes were compared, up to %d", len(read), last)
	if len(read) < len(o.m.Nodes) {
		o.t.Errorf("only %d of the nodes have led the stream", len(read))
	}
}

// A node that leads nothing is cut off from the others, with an executor, and
// callers ask on both sides: alone it acknowledges nothing, the others go on, and
// after it nothing is lost, doubled or stuck. make faults has every role cut off.
func TestSplit(t *testing.T) {
	t.Parallel()
	o := newOrdeal(t, fromEnv(t, "FAULTS_RATE", 20), time.Second, shortlyAhead, "split owner")
	o.splitFor = shortSplit
	o.strike("split owner")
	o.judge()
}
