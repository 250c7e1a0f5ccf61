package cluster_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// Two Belfrys on one NATS, told apart by their prefix alone: the nodes are called
// alike, each runs what was asked of it, and neither has anything of the other's.
func TestTwoBelfrysShareANATS(t *testing.T) {
	t.Parallel()
	theirs := cluster.NewNATS(t, 1, cluster.JetStream)
	prefixes := []string{"belfry", "night-shift"}
	var any *cluster.Process
	for _, prefix := range prefixes {
		m := cluster.NewMembersOn(t, theirs.URL(), 1, "--prefix", prefix)
		m.Start()
		any = m.Nodes[0]
		if said := m.Nodes[0].Stderr(); !strings.Contains(said, "sync_interval") || !strings.Contains(said, "stands alone") {
			t.Errorf("of what it cannot see, and of one replica, it said: %s", said)
		}
	}
	nc, err := nats.Connect(theirs.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, prefix := range prefixes {
		code := write(t, prefix+".py", "def execute(current_user, **kwargs):\n    return kwargs['mark']\n")
		command := func(args ...string) string {
			t.Helper()
			out, errs, status := any.Belfry(append([]string{"--prefix", prefix}, args...)...)
			if status != 0 {
				t.Fatalf("belfry %v ended with %d: %s", args, status, errs)
			}
			return out
		}
		command("function", "create", "--name", "only-"+prefix, "--file", code)
		if out := command("item", "create", "--name", "one", "--in", "0s", "--function", "only-"+prefix, "--data", `{"mark": "`+prefix+`"}`, "--wait"); !strings.Contains(out, prefix) {
			t.Errorf("the item of %s gave %s", prefix, out)
		}
	}
	for k, prefix := range prefixes {
		other := prefixes[1-k]
		out, _, _ := any.Belfry("--prefix", prefix, "-o", "json", "function", "list")
		if !strings.Contains(out, "only-"+prefix) || strings.Contains(out, "only-"+other) {
			t.Errorf("the functions of %s are %s", prefix, out)
		}
		commits := cluster.CommitsOf(t, nc, strings.ToUpper(prefix)+"_EVENTS")
		v := check.Log(commits)
		v.AllEnded()
		v.Owned("n1")
		cluster.Report(t, v)
		if v.Counts()[string(api.Completed)] != 1 || len(v.Items) != 1 {
			t.Errorf("the log of %s has %d items, ended %v", prefix, len(v.Items), v.Counts())
		}
		for _, c := range commits {
			if !strings.HasPrefix(c.Subject, prefix+".events.") || strings.Contains(string(c.Body), "only-"+other) {
				t.Errorf("the log of %s has on %s: %s", prefix, c.Subject, c.Body)
			}
		}
	}
	if _, errs, status := any.Belfry("--prefix", "third", "function", "list"); status != 1 || !strings.Contains(errs, "belfry") {
		t.Errorf("a Belfry that does not exist answers with %d: %s", status, errs)
	}
}

// Three nodes on three NATS servers of others: the server that leads the stream
// is killed under load, then a node, and nothing is lost.
func TestThreeNodesOnAnExternalNATS(t *testing.T) {
	theirs := cluster.NewNATS(t, 3, cluster.JetStream)
	m := cluster.NewMembersOn(t, theirs.URL(), 3)
	begun := time.Now()
	m.Start()
	settled(t, m, 3)
	t.Logf("3 nodes are ready and have their shares after %v", time.Since(begun))
	c := m.Client(api.Admin)
	st, err := c.ClusterStatus(t.Context())
	if err != nil || st.Stream.Replicas != 3 {
		t.Fatalf("the stream is %+v, %v", st.Stream, err)
	}
	caller, err := client.Connect(t.Context(), client.Config{URL: m.URL(), Timeout: attemptMax})
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	l := startTrickle(t, caller)
	time.Sleep(3 * time.Second) // real processes, real time

	server := theirs.Server(st.Stream.Leader)
	begun = time.Now()
	server.Kill()
	until(t, "another server leads the stream", func() bool {
		st, err := c.ClusterStatus(t.Context())
		return err == nil && st.Stream.Leader != "" && st.Stream.Leader != server.Name
	})
	t.Logf("another NATS server leads after %v", time.Since(begun))
	server.Start()
	settled(t, m, 3)

	node := leader(t, m)
	begun = time.Now()
	node.Kill()
	until(t, "the others own what "+node.Name+" had", func() bool {
		st, err := c.ClusterStatus(t.Context())
		if err != nil {
			return false
		}
		for _, n := range st.Nodes {
			if n.Name == node.Name && n.Partitions == 0 {
				return true
			}
		}
		return false
	})
	t.Logf("the others own what %s had after %v", node.Name, time.Since(begun))
	node.Start()
	settled(t, m, 3)
	time.Sleep(3 * time.Second)
	v := l.judge(t, m)
	t.Logf("%d items, %d events in %d commits, ended %v", l.made, v.Events, v.Commits, v.Counts())
	if err := v.Enough(check.Minimum{Events: 200, Ended: 50}); err != nil {
		t.Error(err)
	}
	for _, p := range m.Nodes {
		if err := p.Stop(); err != nil {
			t.Errorf("%s ended with %v: %s", p.Name, err, p.Stderr())
		}
	}
}

// A NATS that cannot keep the log is refused in one line that says what to do, and
// so is one that has somebody else's.
func TestNodeRefusesAnUnfitNATS(t *testing.T) {
	t.Parallel()
	good := cluster.NewNATS(t, 1, cluster.JetStream)
	nc, err := nats.Connect(good.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	make := func(name string, subjects string) string {
		t.Helper()
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subjects}}); err != nil {
			t.Fatal(err)
		}
		return good.URL()
	}
	locked := cluster.NewNATS(t, 1, cluster.JetStream+`authorization { user: belfry, password: open-sesame }`).URL()
	with := func(user string) string {
		u, err := url.Parse(locked)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("belfry", user)
		return u.String()
	}
	first := cluster.NewMembersOn(t, good.URL(), 1, "--no-exec", "--prefix", "mine")
	first.Start()

	for name, given := range map[string]struct {
		url  string
		args []string
		says []string
	}{
		"without JetStream":     {cluster.NewNATS(t, 1, "").URL(), nil, []string{"no JetStream", "enable it"}},
		"without credentials":   {locked, nil, []string{"refuses these credentials", "--nats-creds"}},
		"a wrong password":      {with("shut-sesame"), nil, []string{"refuses these credentials", "--nats-creds"}},
		"nobody there":          {"nats://127.0.0.1:1", nil, []string{"no NATS answers at nats://127.0.0.1:1", "start it"}},
		"small messages":        {cluster.NewNATS(t, 1, cluster.JetStream+"max_payload: 65536").URL(), nil, []string{"65536", "set max_payload"}},
		"other settings":        {make("WRONG_EVENTS", "wrong.events.*"), []string{"--prefix", "wrong"}, []string{"WRONG_EVENTS", "deny_delete", "duplicate_window", "restore"}},
		"subjects taken":        {make("ALL", "taken.>"), []string{"--prefix", "taken"}, []string{"taken.events.", "another stream", "choose another"}},
		"a server too few":      {good.URL(), []string{"--nats-replicas", "3"}, []string{"stands alone", "3 replicas", "--nats-replicas"}},
		"two servers of three":  {cluster.NewNATS(t, 2, cluster.JetStream).URL(), nil, []string{"too few servers", "--nats-replicas 1"}},
		"another Belfry's":      {good.URL(), []string{"--prefix", "mine"}, []string{"MINE_EVENTS", "another Belfry's", "--prefix"}},
		"no file with creds":    {good.URL(), []string{"--nats-creds", "/nowhere"}, []string{"/nowhere", "--nats-creds"}},
		"replicas of two":       {good.URL(), []string{"--nats-replicas", "2"}, []string{"--nats-replicas 2", "1, 3 or 5"}},
		"a prefix of two words": {good.URL(), []string{"--prefix", "a.b"}, []string{"a.b", "a-z"}},
		"a prefix for all":      {good.URL(), []string{"--prefix", "*"}, []string{"*", "a-z"}},
		"a listener as well":    {good.URL(), []string{"--nats-addr", "127.0.0.1:4222"}, []string{"--nats-addr", "leave one"}},
	} {
		t.Run(name, func(t *testing.T) {
			status := 1
			if given.says[len(given.says)-1] == "a-z" || strings.HasPrefix(given.says[0], "--nats-") || name == "no file with creds" {
				status = 2
			}
			said := cluster.NewMembersOn(t, given.url, 1, append([]string{"--no-exec"}, given.args...)...).Nodes[0].Refused(status)
			for _, word := range given.says {
				if !strings.Contains(said, word) {
					t.Errorf("it said %q, without %q", said, word)
				}
			}
			if strings.Contains(said, "sesame") {
				t.Errorf("it told the password: %s", said)
			}
			t.Log(said)
		})
	}
	if _, err := first.Nodes[0].Client(api.Admin).WithPrefix("mine").ClusterStatus(t.Context()); err != nil {
		t.Errorf("who was there first is harmed: %v", err)
	}
	p := cluster.NewMembersOn(t, with("open-sesame"), 1, "--no-exec").Nodes[0]
	p.Start()
	if strings.Contains(p.Stderr(), "sesame") {
		t.Errorf("it logs the password: %s", p.Stderr())
	}
}

// Where three servers are, three are wanted, also of a stream that is there; whoever
// wants less says so.
func TestAClusterOfNATSHoldsThreeReplicas(t *testing.T) {
	t.Parallel()
	theirs := cluster.NewNATS(t, 3, cluster.JetStream)
	p := cluster.NewMembersOn(t, theirs.URL(), 1, "--no-exec", "--nats-replicas", "1").Nodes[0]
	p.Start()
	if said := p.Stderr(); !strings.Contains(said, "one replica, as --nats-replicas says") {
		t.Errorf("of one replica it said %s", said)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	p.Args = []string{"--no-exec"}
	if said := p.Refused(1); !strings.Contains(said, "BELFRY_EVENTS has 1 replicas and should have 3") || !strings.Contains(said, "--nats-replicas 1") {
		t.Errorf("with too few replicas it said %s", said)
	}
	js, err := jetstream.New(p.Conn())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"BELFRY_EVENTS", "BELFRY_LOGS"} { // as an operator would
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		more := stream.CachedInfo().Config
		more.Replicas = 3
		if _, err := js.UpdateStream(t.Context(), more); err != nil {
			t.Fatal(err)
		}
	}
	p.Start()
	if st, err := p.Status(t.Context()); err != nil || st.Stream.Replicas != 3 {
		t.Errorf("the stream is %+v, %v", st.Stream, err)
	}
}

// conf is the configuration with accounts that the README gives.
func conf(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "# nats.conf\n")
	conf, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the README has no nats.conf")
	}
	conf = strings.Replace(conf, "listen: 127.0.0.1:4333\n", "", 1)
	return strings.Replace(conf, "store_dir: ./nats", `store_dir: "DIR"`, 1)
}

// With the accounts of the README, nodes, executors and callers have what they
// need and no more: who asks writes no events, not even by a reply, and speaks for
// nobody else.
func TestTheREADMEsAccountsAreWalls(t *testing.T) {
	t.Parallel()
	theirs := cluster.NewNATS(t, 1, conf(t)).URL()
	as := func(user string) string { return strings.Replace(theirs, "nats://", "nats://"+user+"@", 1) }
	node := cluster.NewMembersOn(t, as("node:night"), 1, "--no-exec").Nodes[0]
	node.Start()
	start(node.ExecutorAt(as("e1:run"), "e1"))

	caller := *node
	caller.URL = as("admin:day")
	code := write(t, "f.py", "def execute(current_user, **kwargs):\n    for n in range(500):\n        print('line', n, 'of more than travels with a result')\n    return 'done'\n")
	must(t, &caller, "user", "create", "--id", "ada", "--name", "Ada")
	must(t, &caller, "function", "create", "--name", "f", "--file", code)
	out := must(t, &caller, "item", "create", "--name", "one", "--in", "0s", "--function", "f", "--wait")
	if !strings.Contains(out, "line 499") || !strings.Contains(out, "done") {
		t.Errorf("the item gave %s", out)
	}

	ada, err := nats.Connect(as("ada:tea"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer ada.Close()
	if _, err := client.New(ada, "ada").ClusterStatus(t.Context()); err != nil {
		t.Errorf("ada may not ask: %v", err)
	}
	if _, err := ada.Request(api.DefaultPrefix.Subject("admin", "cluster", "status"), nil, 300*time.Millisecond); err == nil {
		t.Error("ada may ask as admin")
	}
	events := node.Conn()
	before := cluster.LastSeq(t, events)
	for _, subject := range []string{"belfry.events.n1", "belfry.events.forged", "belfry.announce.e1", "belfry.node.n1.user.create", "$JS.API.STREAM.PURGE.BELFRY_EVENTS"} {
		if err := ada.Publish(subject, []byte("[]")); err != nil {
			t.Error(err)
		}
		if err := ada.PublishRequest("belfry.api.ada.cluster.status", subject, []byte("{}")); err != nil {
			t.Error(err)
		}
		worker, err := nats.Connect(as("e1:run"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(worker.Publish(subject, []byte("[]")), worker.PublishRequest("belfry.announce.e1", subject, []byte("{}")), worker.Flush()); err != nil {
			t.Error(err)
		}
		worker.Close()
	}
	if err := ada.Flush(); err != nil {
		t.Error(err)
	}
	if _, err := client.New(ada, "ada").ClusterStatus(t.Context()); err != nil { // it comes after the others
		t.Error(err)
	}
	for _, c := range cluster.Commits(t, events)[before:] {
		t.Errorf("a caller or an executor wrote %s to %s", c.Body, c.Subject)
	}

	// The control: in one account, a reply is enough.
	open := cluster.NewNATS(t, 1, cluster.JetStream).URL()
	other := cluster.NewMembersOn(t, open, 1, "--no-exec").Nodes[0]
	other.Start()
	nc := other.Conn()
	before = cluster.LastSeq(t, nc)
	if err := nc.PublishRequest("belfry.api.admin.cluster.status", "belfry.events.forged", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	until(t, "the reply stands in the event stream", func() bool { return cluster.LastSeq(t, nc) > before })
}

// Only what stands behind "node" is a NATS to keep the log on: where callers ask,
// by their environment, is not.
func TestNodeTakesNoNATSFromTheEnvironment(t *testing.T) {
	t.Setenv("BELFRY_NATS", "nats://127.0.0.1:1")
	t.Setenv("BELFRY_NATS_CREDS", filepath.Join(t.TempDir(), "none"))
	m := cluster.NewMembers(t, 3, "--no-exec")
	m.Start()
	for _, p := range m.Nodes {
		if _, err := os.Stat(filepath.Join(p.Dir, "nats")); err != nil {
			t.Errorf("%s runs no NATS: %v", p.Name, err)
		}
	}
}

// A data directory goes with the NATS and the prefix that it was made with.
func TestDataBelongsToItsNATSAndPrefix(t *testing.T) {
	t.Parallel()
	theirs := cluster.NewNATS(t, 1, cluster.JetStream)
	m := cluster.NewMembersOn(t, theirs.URL(), 1, "--no-exec", "--prefix", "day")
	p := m.Nodes[0]
	p.Start()
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	p.Args = []string{"--no-exec"}
	if said := p.Refused(1); !strings.Contains(said, "--prefix day, not belfry") {
		t.Errorf("with another prefix it said %s", said)
	}
	p.Args = []string{"--no-exec", "--prefix", "day", "--nats-replicas", "3"}
	if said := p.Refused(1); !strings.Contains(said, "stands alone") {
		t.Errorf("at a server too few it said %s", said)
	}
	p.Args = []string{"--no-exec", "--prefix", "day"}
	p.Start()
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(theirs.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "DAY_EVENTS"); err != nil {
		t.Fatal(err)
	}
	if said := p.Refused(1); !strings.Contains(said, "is gone") || !strings.Contains(said, "DAY_EVENTS at "+theirs.URL()) {
		t.Errorf("without its stream it said %s", said)
	}
	if _, err := js.Stream(t.Context(), "DAY_EVENTS"); err == nil {
		t.Error("a stream that was gone was made anew")
	}
}
