package cluster_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// With a prefix, nodes with servers of their own do all that they do without: an
// executor of its own, calls that one passes on to another, walls that hold.
func TestNodesWithAPrefix(t *testing.T) {
	m := cluster.NewMembers(t, 3, "--no-exec", "--prefix", "day")
	m.Start()
	start(m.Executor("e1", "--prefix", "day"))
	t.Setenv("BELFRY_PREFIX", "day") // for callers
	file := write(t, "f.py", "def execute(current_user, **kwargs):\n    for n in range(500):\n        print('line', n, 'of more than travels with a result')\n")
	must(t, m.Nodes[0], "function", "create", "--name", "f", "--file", file)
	for n := range 9 {
		name := fmt.Sprint("item ", n)
		if out := must(t, m.Nodes[n%3], "item", "create", "--name", name, "--in", "0s", "--function", "f", "--wait"); !strings.Contains(out, "line 499") {
			t.Errorf("%s gave %s", name, out)
		}
	}
	if out := must(t, m.Nodes[2], "audit", "verify"); !strings.Contains(out, "violations     0") {
		t.Errorf("audit verify says %s", out)
	}
	if out := must(t, m.Nodes[0], "cluster", "join"); !strings.Contains(out, " --prefix day") {
		t.Errorf("a further node is started with %s", out)
	}
	nc := m.Conn()
	commits := cluster.CommitsOf(t, nc, "DAY_EVENTS")
	v := check.Log(commits)
	v.AllEnded()
	v.Owned("n1", "n2", "n3")
	cluster.Report(t, v)
	if v.Counts()[string(api.Completed)] != 9 {
		t.Errorf("ended %v", v.Counts())
	}
	for _, subject := range []string{"day.events.n1", "day.announce.e1", "day.node.n1.user.create"} {
		if err := nc.PublishRequest("day.api.admin.cluster.status", subject, []byte("{}")); err != nil {
			t.Error(err)
		}
		if err := nc.Publish(subject, []byte("[]")); err != nil {
			t.Error(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Error(err)
	}
	time.Sleep(time.Second) // a real process, real time
	for _, c := range cluster.CommitsOf(t, nc, "DAY_EVENTS")[len(commits):] {
		if strings.Contains(c.Subject, "forged") || !strings.HasPrefix(string(c.Body), "[{") {
			t.Errorf("a caller wrote %s to %s", c.Body, c.Subject)
		}
	}
	if _, errs, status := m.Nodes[0].Belfry("--prefix", "belfry", "function", "list"); status != 1 {
		t.Errorf("under the default prefix it answers, with %d: %s", status, errs)
	}
}

// All that nodes, executors and callers say begins with the prefix: what did not
// would be another Belfry's.
func TestNothingIsSaidBesideThePrefix(t *testing.T) {
	theirs := cluster.NewNATS(t, 1, cluster.JetStream)
	nc, err := nats.Connect(theirs.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	var mu sync.Mutex
	heard := map[string]int{} // by the first two words
	if _, err := nc.Subscribe(">", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		word := strings.SplitN(m.Subject, ".", 3)
		heard[strings.Join(word[:min(2, len(word))], ".")]++
	}); err != nil {
		t.Fatal(err)
	}
	m := cluster.NewMembersOn(t, theirs.URL(), 3, "--prefix", "night")
	m.Start()
	c := client.New(m.Conn(), api.Admin).WithPrefix("night")
	create(t, c, "f", "def execute(current_user, **kwargs):\n    for n in range(500):\n        print('line', n, 'of more than travels with a result')\n")
	for n := range 30 { // each by any node, and all in the partition of the first
		id := fmt.Sprint("u", n)
		if _, err := c.CreateUser(t.Context(), api.UserInput{ID: id}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.CreateItem(t.Context(), api.ItemInput{Name: text(id), RunDateTime: text("2020-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: "f"}}); err != nil {
			t.Fatal(err)
		}
	}
	waitEnded(t, c, time.Minute)
	mu.Lock()
	defer mu.Unlock()
	for _, wanted := range []string{"night.api", "night.events", "night.announce", "night.run", "night.result", "night.exec", "night.logs", "night.node"} {
		if heard[wanted] == 0 {
			t.Errorf("nothing was said on %s", wanted)
		}
	}
	for subject, n := range heard {
		if first, _, _ := strings.Cut(subject, "."); first != "night" && first != "$JS" && !strings.HasPrefix(first, "_INBOX") {
			t.Errorf("%d messages on %s", n, subject)
		}
	}
}
