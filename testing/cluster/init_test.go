package cluster_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// past is what a node alone did and was to do before it became a member.
type past struct {
	p       *cluster.Process
	journal string
	queued  int      // items that are due in a year
	soon    int      // items that fall due while it becomes a member
	printed api.Item // has an output beyond what events hold
	stored  uint64   // the last sequence
	trigger string   // fires each second
	key     []byte   // the secret of its executors
}

// pastCode is journalCode that may print more than travels with a result, and
// knows a trigger's runs.
var pastCode = strings.NewReplacer(
	"    began =", "    print('line\\n' * kwargs.get('lines', 0))\n    began =",
	`kwargs["item"]`, `kwargs.get("item", valstorm.run.id)`,
).Replace(journalCode)

// livedAlone runs a node alone for a moment. It ends by SIGTERM, or by SIGKILL
// amidst its work.
func livedAlone(t *testing.T, queued int, killed bool) *past {
	t.Helper()
	l := &past{p: cluster.New(t), journal: filepath.Join(t.TempDir(), "journal"), queued: queued, soon: 40}
	l.p.Start()
	c := l.p.Client(api.Admin)
	create(t, c, "journal", pastCode)
	trigger, err := c.CreateTrigger(t.Context(), api.TriggerInput{
		Name: text("each"), CronSchedule: text("* * * * * *"), Function: &api.RefInput{IDOrName: "journal"},
		Data: []byte(fmt.Sprintf(`{"journal": %q}`, l.journal)),
	})
	if err != nil {
		t.Fatal(err)
	}
	l.trigger = trigger.ID
	printed, err := c.CreateItem(t.Context(), api.ItemInput{
		ID: itemID(999), Name: text("printed"), RunDateTime: text("2020-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: "journal"},
		Data: []byte(fmt.Sprintf(`{"item": %q, "journal": %q, "lines": 4000}`, itemID(999), l.journal)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.printed, err = c.WaitItem(t.Context(), printed.ID); err != nil {
		t.Fatal(err)
	}
	queueMany(t, c, queued, l.journal)
	begun := time.Now()
	for n := range l.soon {
		insist(t, c, n, begun.Add(time.Duration(n)*250*time.Millisecond), l.journal)
	}
	l.request(t, c)
	l.key = read(t, filepath.Join(l.p.Dir, "executors.key"))
	l.stored = cluster.LastSeq(t, l.p.Conn())
	if killed {
		l.p.Kill()
	} else if err := l.p.Stop(); err != nil {
		t.Fatal(err)
	}
	return l
}

// request asks for the same thing under the same id, which is made once.
func (l *past) request(t *testing.T, c *client.Client) {
	t.Helper()
	_, err := c.CreateItem(client.WithRequestID(t.Context(), "before-and-after"), api.ItemInput{
		Name: text("asked for twice"), RunDateTime: text("2099-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: "journal"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// queueMany makes items that are due in a year.
func queueMany(t *testing.T, c *client.Client, n int, journal string) {
	t.Helper()
	due := time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339)
	for n > 0 {
		var many api.ItemsInput
		for range min(n, 1000) {
			many.Items = append(many.Items, jsontext.Value(fmt.Sprintf(
				`{"name": "later", "run_date_time": %q, "function": "journal", "data": {"item": "later", "journal": %q}}`, due, journal)))
		}
		made, err := c.CreateItems(t.Context(), many)
		if err != nil || len(made.Results) != len(many.Items) || made.Results[0].Error != nil {
			t.Fatalf("%v %v", err, made.Results)
		}
		n -= len(many.Items)
	}
}

// goesOn looks whether nothing of the past is lost, or done twice, in the cluster.
func (l *past) goesOn(t *testing.T, m *cluster.Members) *check.Verdict {
	t.Helper()
	settled(t, m, 3)
	c := m.Client(api.Admin)
	until(t, "what was due has ended", func() bool {
		st, err := c.ClusterStatus(t.Context())
		return err == nil && st.Items[api.Completed] == l.soon+1
	})
	l.request(t, c)
	st, err := c.ClusterStatus(t.Context())
	if err != nil || st.Items[api.Queued] != l.queued+1 || st.Stream.Replicas != 3 || st.Stream.LastSeq < l.stored {
		t.Errorf("%v items, %d replicas, last sequence %d, %v; want %d queued ones and one that was asked for twice, and more than %d",
			st.Items, st.Stream.Replicas, st.Stream.LastSeq, err, l.queued, l.stored)
	}
	logs, err := c.RunLogs(t.Context(), l.printed.Run)
	if err != nil || len(logs.Lines) < 1000 {
		t.Errorf("of an earlier run's output %d lines are left: %v", len(logs.Lines), err)
	}
	for _, p := range m.Nodes {
		if !bytes.Equal(read(t, filepath.Join(p.Dir, "executors.key")), l.key) {
			t.Errorf("%s does not admit the executors that the node alone had", p.Name)
		}
	}
	l.pause(t, c)
	v := check.Log(cluster.Commits(t, m.Conn()))
	v.Owned("n1", "n2", "n3")
	v.Journal(cluster.Journal(t, l.journal))
	cluster.Report(t, v)
	if len(v.Triggers) != 1 {
		t.Errorf("%d triggers", len(v.Triggers))
	}
	return v
}

// pause stops the trigger, so that no run is on its way while the log is judged.
func (l *past) pause(t *testing.T, c *client.Client) {
	t.Helper()
	if _, err := c.PauseTrigger(t.Context(), api.Pause{ID: l.trigger, Reason: "the log is judged"}); err != nil {
		var refused *api.Error
		if !errors.As(err, &refused) || refused.Code != api.IllegalTransition {
			t.Fatal(err)
		}
	}
	until(t, "no run is under way", func() bool {
		page, err := c.ListRuns(t.Context(), api.RunList{Status: api.Processing})
		return err == nil && len(page.Records) == 0
	})
}

// kept says what of the node alone is still there.
func kept(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if before, _, ok := strings.Cut(e.Name(), ".before-cluster-"); ok {
			names = append(names, before)
		}
	}
	return names
}

// A node alone becomes one of three: with INIT_ITEMS queued items, what is due, a
// trigger, outputs and request ids. What it was is kept; it starts no more.
func TestOneBecomesThree(t *testing.T) {
	t.Parallel()
	items := fromEnv(t, "INIT_ITEMS", 500)
	l := livedAlone(t, items, false)
	m := cluster.NewMembers(t, 3)
	first := m.Nodes[0]
	first.Become(l.p)
	begun := time.Now()
	m.Start()
	t.Logf("%d queued items, last sequence %d: three nodes serve after %v", items, l.stored, time.Since(begun).Round(time.Millisecond))
	for line := range strings.Lines(first.Stderr()) {
		if strings.Contains(line, "event stream") {
			t.Log(strings.TrimSpace(line))
		}
	}
	v := l.goesOn(t, m)
	t.Logf("%d events in %d commits, triggers %v, items ended %v", v.Events, v.Commits, cluster.Outcomes(v), v.Counts())

	if said := l.p.Refused(1); !strings.Contains(said, "in use") {
		t.Errorf("the node alone starts beside it: %s", said)
	}
	first.AsNode()
	for _, p := range m.Nodes { // all at once: what they have is on their disks
		p.Kill()
	}
	if said := l.p.Refused(1); !strings.Contains(said, "belongs to a clustered node: start it with \"belfry node\"") {
		t.Errorf("the node alone starts after it: %s", said)
	}
	first.Become(l.p)
	if said := first.Refused(1); !strings.Contains(said, "is that of node n1 of a cluster already: start it with \"belfry node") {
		t.Errorf("it is made a member twice: %s", said)
	}
	first.AsNode()
	m.Start()
	l.goesOn(t, m)
	if got := kept(t, l.p.Dir); !slices.Equal(got, []string{"cluster-init", "nats", "raft", "snapshot"}) {
		t.Errorf("of the node alone %q are kept", got)
	}
}

// Init is killed at each of its steps, and in between, the other nodes with it or
// not; started again it goes on. The node alone was killed amidst its work, too.
func TestInitGoesOnAfterEachKill(t *testing.T) {
	t.Parallel()
	l := livedAlone(t, fromEnv(t, "INIT_ITEMS", 2000), true)
	m := cluster.NewMembers(t, 3)
	last, others := m.Nodes[2], m.Nodes[:2] // so that it is another one that forms the cluster
	last.Become(l.p)
	last.KilledAt("backing up the event stream", 5*time.Millisecond)
	l.p.Start() // nothing counts yet
	l.p.Kill()
	begin(t, others)
	for _, at := range []struct {
		text  string
		later time.Duration
		all   bool
		short bool // in the suite, too; others with INIT_ITEMS only, as they are alike
	}{
		{"step=saved", 0, false, true},
		{"waiting for the nats servers", 0, true, false},
		{"restoring the event stream", 0, false, false},
		{"restoring the event stream", 20 * time.Millisecond, false, false},
		{"restoring the event stream", 60 * time.Millisecond, true, true},
		{"restoring the event stream", 150 * time.Millisecond, false, false},
		{"comparing all copies", 0, true, false},
		{"a copy of the event stream is as it was", 0, false, false},
		{"step=compared", 0, false, true},
		{"step=created", 0, false, true},
	} {
		if !at.short && os.Getenv("INIT_ITEMS") == "" {
			continue
		}
		begun := time.Now()
		last.KilledAt(at.text, at.later)
		t.Logf("killed %v after %q, %v after its start", at.later, at.text, time.Since(begun).Round(time.Millisecond))
		if said := l.p.Refused(1); !strings.Contains(said, "belfry cluster init --from "+l.p.Dir) {
			t.Errorf("after %q the node alone starts: %s", at.text, said)
		}
		if at.all {
			for _, p := range others {
				p.Kill()
			}
			begin(t, others)
		}
	}
	last.KilledAt("the node alone has become a member", 0)
	last.AsNode()
	last.Start()
	for _, p := range others {
		if err := p.Ready(); err != nil {
			t.Fatal(err)
		}
	}
	l.goesOn(t, m)
}

// begin starts nodes that wait for another.
func begin(t *testing.T, nodes []*cluster.Process) {
	t.Helper()
	for _, p := range nodes {
		if err := p.Begin(); err != nil {
			t.Fatal(err)
		}
	}
}

// A directory that is in use is left alone; a backup that was damaged, and a copy
// that is not what was saved, do not become the cluster's stream.
func TestInitRefusesWhatIsNotAsItWas(t *testing.T) {
	t.Parallel()
	l := livedAlone(t, 10, false)
	m := cluster.NewMembers(t, 3)
	first := m.Nodes[0]
	earlier := filepath.Join(t.TempDir(), "nats")
	cluster.Copy(t, earlier, filepath.Join(l.p.Dir, "nats"))
	first.Become(l.p)
	l.p.Start()
	if said := first.Refused(1); !strings.Contains(said, "is in use by another belfry") {
		t.Errorf("beside a node that runs: %s", said)
	}
	if err := l.p.Stop(); err != nil {
		t.Fatal(err)
	}
	gone := cluster.New(t)
	cluster.Copy(t, gone.Dir, l.p.Dir)
	if err := os.RemoveAll(filepath.Join(gone.Dir, "nats", "jetstream", "BELFRY", "streams", "BELFRY_EVENTS")); err != nil {
		t.Fatal(err)
	}
	first.Become(gone)
	if said := first.Refused(1); !strings.Contains(said, "is gone: restore "+gone.Dir) {
		t.Errorf("without an event stream: %s", said)
	}
	if _, err := os.Stat(filepath.Join(gone.Dir, "cluster-init")); err == nil {
		t.Error("what was refused has left something")
	}
	if err := os.RemoveAll(filepath.Join(gone.Dir, "nats")); err != nil {
		t.Fatal(err)
	}
	cluster.Copy(t, filepath.Join(gone.Dir, "nats"), earlier)
	if said := first.Refused(1); !strings.Contains(said, "was acknowledged: restore its files or a backup") {
		t.Errorf("with an earlier event stream: %s", said)
	}
	first.Become(l.p)
	first.KilledAt("step=saved", 0)
	backup := filepath.Join(l.p.Dir, "cluster-init", "backup", "BELFRY_EVENTS")
	progress := filepath.Join(l.p.Dir, "cluster-init", "progress.json")
	good, plan := read(t, backup), read(t, progress)
	begin(t, m.Nodes[1:])

	bad := slices.Clone(good)
	bad[len(bad)/2] ^= 1
	put(t, backup, bad)
	if said := first.Refused(1); !strings.Contains(said, "the backup is damaged") {
		t.Errorf("with a backup that was damaged: %s", said)
	}
	put(t, backup, good)

	var p map[string]any
	if err := json.Unmarshal(plan, &p); err != nil {
		t.Fatal(err)
	}
	p["events"].(map[string]any)["partitions"].([]any)[7] = "of another"
	other, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	put(t, progress, other)
	if said := first.Refused(1); !strings.Contains(said, "is not as it was: partition 7 is another one") {
		t.Errorf("with another partition: %s", said)
	}
	if got := kept(t, l.p.Dir); len(got) > 0 {
		t.Errorf("%q were renamed", got)
	}
	for _, p := range m.Nodes[1:] {
		if strings.Contains(p.Stderr(), "log folded") {
			t.Errorf("%s serves a stream that was not compared: %s", p.Name, p.Stderr())
		}
	}

	put(t, progress, plan)
	first.Start()
	for _, p := range m.Nodes[1:] {
		if err := p.Ready(); err != nil {
			t.Fatal(err)
		}
	}
	l.goesOn(t, m)
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func put(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
