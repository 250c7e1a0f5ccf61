package cluster_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

// settled waits until the nodes own the partitions evenly.
func settled(t *testing.T, m *cluster.Members, nodes int) {
	t.Helper()
	c := m.Client(api.Admin)
	until(t, "the partitions are spread evenly", func() bool {
		status, err := c.ClusterStatus(t.Context())
		if err != nil || len(status.Nodes) != nodes {
			return false
		}
		least, most := 64, 0
		for _, n := range status.Nodes {
			least, most = min(least, n.Partitions), max(most, n.Partitions)
		}
		return most-least <= 1
	})
}

// Nodes with the same flags become one cluster, each of which answers, and which
// goes on when one of them is stopped.
func TestNodesFormACluster(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{3, 5} {
		t.Run(fmt.Sprint(nodes), func(t *testing.T) { formACluster(t, nodes) })
	}
}

func formACluster(t *testing.T, nodes int) {
	t.Helper()
	m := cluster.NewMembers(t, nodes)
	m.Start()
	settled(t, m, nodes)
	create(t, m.Nodes[0].Client(api.Admin), "journal", journalCode)
	journal := filepath.Join(t.TempDir(), "journal")
	const items = 60
	for n := range items {
		c := m.Nodes[n%nodes].Client(api.Admin)
		if _, err := c.CreateItem(t.Context(), api.ItemInput{
			ID: itemID(n), Name: text(fmt.Sprint("item ", n)), RunDateTime: text("2020-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: "journal"},
			Data: []byte(fmt.Sprintf(`{"item": %q, "journal": %q}`, itemID(n), journal)),
		}); err != nil {
			t.Fatal(err)
		}
	}
	waitEnded(t, m.Client(api.Admin), time.Minute)
	v := cluster.Judge(t, m.Conn())
	v.AllEnded()
	v.Journal(cluster.Journal(t, journal))
	cluster.Report(t, v)
	if v.Counts()["Completed"] != items {
		t.Errorf("ended %v", v.Counts())
	}
	if err := m.Nodes[0].Stop(); err != nil {
		t.Errorf("%s ended with %v: %s", m.Nodes[0].Name, err, m.Nodes[0].Stderr())
	}
	for _, p := range m.Nodes[1:] {
		if _, err := p.Client(api.Admin).GetItem(t.Context(), itemID(1)); err != nil {
			t.Errorf("with one of %d stopped, %s says: %v", nodes, p.Name, err)
		}
	}
}

// Nodes that are killed come back with what they had, one by one and all at once,
// in any order.
func TestMembersRestart(t *testing.T) {
	t.Parallel()
	m := cluster.NewMembers(t, 3, "--no-exec")
	m.StartOf(m.Nodes[2], m.Nodes[0], m.Nodes[1])
	settled(t, m, 3)
	c := m.Client(api.Admin)
	if _, err := c.CreateUser(t.Context(), api.UserInput{ID: "ada", Name: text("Ada")}); err != nil {
		t.Fatal(err)
	}
	m.Nodes[1].Kill()
	until(t, "one node short, another is ready and says so", func() bool {
		status, body := readyz(t, m.Nodes[0])
		return status == http.StatusOK && strings.Contains(body, "not alive: n2")
	})
	m.Nodes[2].Kill()
	until(t, "without most of the nodes it is not ready", func() bool {
		status, body := readyz(t, m.Nodes[0])
		return status == http.StatusServiceUnavailable && strings.Contains(body, "no leader of the event stream")
	})
	m.StartOf(m.Nodes[1], m.Nodes[2])
	settled(t, m, 3)
	until(t, "it is ready again", func() bool {
		status, body := readyz(t, m.Nodes[0])
		return status == http.StatusOK && strings.TrimSpace(body) == "ready"
	})
	for _, p := range m.Nodes {
		p.Kill()
	}
	m.StartOf(m.Nodes[1], m.Nodes[2], m.Nodes[0])
	settled(t, m, 3)
	for _, p := range m.Nodes {
		if u, err := p.Client(api.Admin).GetUser(t.Context(), "ada"); err != nil || u.Name != "Ada" {
			t.Errorf("%s knows %+v: %v", p.Name, u, err)
		}
	}
	cluster.Report(t, cluster.Judge(t, m.Conn()))
}

// Who asks a node is answered by it, so that one which stands still costs only
// those that ask it. All are one micro service all the same, and each counts what
// it has answered.
func TestCallsStayAtTheirNode(t *testing.T) {
	m := cluster.NewMembers(t, 3, "--no-exec")
	m.Start()
	settled(t, m, 3)
	before := statuses(t, m.Nodes[0].Conn(), "belfry", 3)
	c := m.Nodes[0].Client(api.Admin)
	const calls = 30
	ask := func() {
		t.Helper()
		for range calls {
			began := time.Now()
			if _, err := c.ClusterStatus(t.Context()); err != nil || time.Since(began) > 2*time.Second {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
		}
	}
	ask()
	after := statuses(t, m.Nodes[0].Conn(), "belfry", 3)
	var answered []int
	for id, n := range after {
		answered = append(answered, n-before[id])
	}
	slices.Sort(answered)
	if want := []int{0, 0, calls}; !slices.Equal(answered, want) {
		t.Errorf("the nodes answered %v of n1's calls, want %v", answered, want)
	}

	// A read needs who leads the stream, but no other.
	status, err := c.ClusterStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	still := m.Nodes[1]
	if still.Name == status.Stream.Leader {
		still = m.Nodes[2]
	}
	if err := syscall.Kill(still.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ask()
	if err := syscall.Kill(still.Pid(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// statuses is how many cluster.status each instance of the service has answered.
func statuses(t *testing.T, nc *nats.Conn, service string, instances int) map[string]int {
	t.Helper()
	sub, err := nc.SubscribeSync(nc.NewRespInbox())
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest("$SRV.STATS."+service, sub.Subject, nil); err != nil {
		t.Fatal(err)
	}
	answered := map[string]int{}
	for range instances {
		msg, err := sub.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var stats micro.Stats
		if err := json.Unmarshal(msg.Data, &stats); err != nil {
			t.Fatal(err)
		}
		for _, e := range stats.Endpoints {
			if strings.HasPrefix(e.Name, "cluster-status") {
				answered[stats.ID] += e.NumRequests
			}
		}
	}
	return answered
}

// A planned stop that waits for runs has handed Raft's lead on before: meanwhile
// another node can do what only the leader does.
func TestAStopHandsTheLeadOnFirst(t *testing.T) {
	t.Parallel()
	m := cluster.NewMembers(t, 3, "--slots", "2")
	m.Start()
	r := newRoles(t, m)
	r.settled()
	g := newGate(t)
	create(t, m.Client(api.Admin), "gate", gateCode)
	const runs = 6 // all slots: whoever stops has runs of its own
	for n := range runs {
		g.item(m.Client(api.Admin), n, "")
	}
	for n := range runs {
		g.begun(n, 1)
	}
	p := r.raft()
	var its api.Run // that it waits for
	for n := range runs {
		run, err := r.c.GetRun(t.Context(), "run_"+strings.TrimPrefix(itemID(n), "sci_"))
		if err != nil {
			t.Fatal(err)
		}
		if run.Executor == p.Name {
			its = run
		}
	}
	if err := syscall.Kill(p.Pid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until(t, "another node leads", func() bool { return r.status().Leader != p.Name })
	if now, err := r.c.GetRun(t.Context(), its.ID); err != nil || now.Status != api.Processing || now.Executor != p.Name || now.Attempt != its.Attempt {
		t.Errorf("then it did not wait for its run %s any more: %+v, %v", its.ID, now, err)
	}
	g.open("")
	if err := p.Wait(time.Minute); err != nil {
		t.Errorf("it ended with %v: %s", err, p.Stderr())
	}
	waitEnded(t, m.Client(api.Admin), time.Minute)
	cluster.Judge(t, m.Conn())
}
