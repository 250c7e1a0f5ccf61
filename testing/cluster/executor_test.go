package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/cluster"
)

// gateCode notes that a run began, waits until a file is there, and writes the
// line of the journal.
const gateCode = `import os, time
import valstorm

def note(path, line):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, line.encode())
    os.close(fd)

def execute(current_user, **kwargs):
    note(kwargs["journal"] + ".begun", "%s %s\n" % (kwargs["item"], valstorm.run.attempt))
    while not os.path.exists(kwargs["gate"]):
        time.sleep(0.01)
    note(kwargs["journal"], "%s %s %.6f\n" % (kwargs["item"], valstorm.run.attempt, time.time()))
`

// gate holds runs back until it is opened.
type gate struct {
	t             *testing.T
	journal, file string
}

func newGate(t *testing.T) gate {
	dir := t.TempDir()
	return gate{t, filepath.Join(dir, "journal"), filepath.Join(dir, "gate")}
}

func (g gate) open(name string) {
	g.t.Helper()
	if err := os.WriteFile(g.file+name, nil, 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// item makes an item, due at once, that waits at a gate of this name.
func (g gate) item(c *client.Client, n int, name string) {
	g.t.Helper()
	g.itemOf(c, n, "gate", name)
}

// itemOf is item of another function than gate.
func (g gate) itemOf(c *client.Client, n int, function, name string) {
	g.t.Helper()
	data, err := json.Marshal(map[string]string{"item": itemID(n), "journal": g.journal, "gate": g.file + name})
	if err != nil {
		g.t.Fatal(err)
	}
	if _, err := c.CreateItem(g.t.Context(), api.ItemInput{
		ID: itemID(n), Name: text(itemID(n)), RunDateTime: text(time.Now().UTC().Format(time.RFC3339Nano)),
		Function: &api.RefInput{IDOrName: function}, Data: data,
	}); err != nil {
		g.t.Fatal(err)
	}
}

// until waits for something, at most a minute.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	// Several clusters may be starting beside it.
	const patience = time.Minute
	for end := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) { // real processes, real time
		if time.Now().After(end) {
			t.Fatalf("after %s it is still not so that %s", patience, what)
		}
	}
}

// begun waits until an attempt has begun, the nth of the item.
func (g gate) begun(item, n int) {
	g.t.Helper()
	until(g.t, "the run has begun", func() bool { return cluster.Journal(g.t, g.journal+".begun")[itemID(item)] >= n })
}

func (g gate) wrote(item int) {
	g.t.Helper()
	until(g.t, "the run has ended", func() bool { return cluster.Journal(g.t, g.journal)[itemID(item)] > 0 })
}

func createIn(t *testing.T, c *client.Client, pool, name, code string) {
	t.Helper()
	if _, err := c.CreateFunction(t.Context(), api.FunctionInput{Name: &name, Code: &code, Pool: &pool}); err != nil {
		t.Fatal(err)
	}
}

// node starts a node that runs nothing itself.
func node(t *testing.T) *cluster.Process {
	t.Helper()
	p := cluster.New(t, "--no-exec")
	p.Start()
	return p
}

func start(p *cluster.Process) *cluster.Process {
	p.Start()
	return p
}

// Each pool has its Python: functions run where their pool is, are checked there,
// and see no credentials.
func TestPoolsHaveTheirOwnPythons(t *testing.T) {
	t.Parallel()
	venv := filepath.Join(t.TempDir(), "venv")
	if out, err := exec.Command("python3", "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
		t.Skipf("this Python makes no environments: %v %s", err, out)
	}
	p := node(t)
	c := p.Client(api.Admin)
	const code = `import os, sys

def execute(current_user, **kwargs):
    own = [open("/proc/self/" + name, "rb").read().decode("latin-1") for name in ("environ", "cmdline")]
    parent = open("/proc/%d/cmdline" % os.getppid(), "rb").read().decode("latin-1")
    files = [os.readlink("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd") if os.path.islink("/proc/self/fd/" + fd)]
    return {"prefix": sys.prefix, "seen": "\n".join(own + [parent] + files)}
`
	name := "where red"
	_, err := c.CreateFunction(t.Context(), api.FunctionInput{Name: &name, Code: text(code), Pool: text("red")})
	if refused, ok := errors.AsType[*api.Error](err); !ok || refused.Code != api.Unavailable {
		t.Fatalf("without an executor of the pool: %v", err)
	}
	red := start(p.Executor("red-1", "--pool", "red", "--slots", "2"))
	blue := start(p.Executor("blue-1", "--pool", "blue", "--python", filepath.Join(venv, "bin", "python")))
	key, err := os.ReadFile(filepath.Join(p.Dir, "executors.key"))
	if err != nil {
		t.Fatal(err)
	}
	for pool, in := range map[string]bool{"red": false, "blue": true} {
		createIn(t, c, pool, "where "+pool, code)
		run, err := c.RunFunction(t.Context(), api.Call{ID: "where " + pool, Wait: "30s"})
		if err != nil || run.Status != api.Completed || run.Executor != pool+"-1" {
			t.Fatalf("%s: %+v, %v", pool, run, err)
		}
		var got struct{ Prefix, Seen string }
		if err := json.Unmarshal(run.Result, &got); err != nil {
			t.Fatal(err)
		}
		if (got.Prefix == venv) != in {
			t.Errorf("%s runs in %s", pool, got.Prefix)
		}
		if strings.Contains(got.Seen, strings.TrimSpace(string(key))) || strings.Contains(got.Seen, "executors.key") {
			t.Errorf("%s: the code sees the credentials: %s", pool, got.Seen)
		}
	}
	var shown string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("cluster status: %s", shown)
		}
	})
	until(t, "cluster status shows both executors, and by their next sign of life that nothing runs", func() bool {
		var status int
		shown, _, status = p.Belfry("cluster", "status")
		return status == 0 && strings.Contains(shown, "red-1     red   yes    0/2") && strings.Contains(shown, "blue-1    blue  yes    0/")
	})
	for _, e := range []*cluster.Process{red, blue} {
		if err := e.Stop(); err != nil {
			t.Errorf("on SIGTERM it ended with %v: %s", err, e.Stderr())
		}
	}
	cluster.Judge(t, p.Conn())
}

// Code is checked by an executor that is there, not by one that was killed a moment
// ago.
func TestCodeIsCheckedByWhoIsThere(t *testing.T) {
	t.Parallel()
	p := node(t)
	killed := start(p.Executor("one", "--pool", "pair"))
	start(p.Executor("two", "--pool", "pair"))
	c := p.Client(api.Admin)
	until(t, "both are known", func() bool {
		st, err := c.ClusterStatus(t.Context())
		return err == nil && len(st.Executors) == 2
	})
	killed.Kill()
	time.Sleep(500 * time.Millisecond) // its server sees its end before the node does, which it tells nobody
	answer, err := p.Conn().Request("belfry.api.admin.function.create",
		[]byte(`{"name":"after","pool":"pair","code":"def execute(current_user, **kwargs):\n    return 1\n"}`), 30*time.Second)
	if err != nil || !strings.Contains(string(answer.Data), `"name":"after"`) {
		t.Fatalf("%v: %s", err, answer.Data)
	}
}

// An executor that is killed loses its attempt; another one of the pool takes the
// run up.
func TestAKilledExecutorLosesNothing(t *testing.T) {
	t.Parallel()
	p := node(t)
	c := p.Client(api.Admin)
	executors := map[string]*cluster.Process{}
	for _, name := range []string{"one", "two"} {
		executors[name] = start(p.Executor(name, "--pool", "pair"))
	}
	createIn(t, c, "pair", "gate", gateCode)
	g := newGate(t)
	g.item(c, 1, "")
	g.begun(1, 1)
	run, err := c.GetRun(t.Context(), "run_"+strings.TrimPrefix(itemID(1), "sci_"))
	if err != nil {
		t.Fatal(err)
	}
	executors[run.Executor].Kill()
	g.begun(1, 2)
	g.open("")
	waitEnded(t, c, time.Minute)

	v := cluster.Judge(t, p.Conn())
	v.AllEnded()
	v.Journal(cluster.Journal(t, g.journal))
	cluster.Report(t, v)
	i := v.Items[itemID(1)]
	if len(i.Claims) != 2 || i.Claims[0].Executor != run.Executor || i.Claims[1].Executor == run.Executor || i.Status != string(api.Completed) {
		t.Errorf("the item is %s after %+v", i.Status, i.Claims)
	}
	if n := cluster.Journal(t, g.journal)[itemID(1)]; n != 1 {
		t.Errorf("the function came to its end %d times", n)
	}
}

// Whoever restarts a killed executor at once does so under its name.
func TestAKilledExecutorComesBackUnderItsName(t *testing.T) {
	t.Parallel()
	p := node(t)
	c := p.Client(api.Admin)
	e := start(p.Executor("one"))
	create(t, c, "gate", gateCode)
	g := newGate(t)
	g.item(c, 1, "")
	g.begun(1, 1)
	e.Kill()
	e.Start()
	g.begun(1, 2)
	g.open("")
	waitEnded(t, c, time.Minute)
	v := cluster.Judge(t, p.Conn())
	v.AllEnded()
	cluster.Report(t, v)
	if i := v.Items[itemID(1)]; len(i.Claims) != 2 || i.Claims[0].Incarnation == i.Claims[1].Incarnation || i.Status != string(api.Completed) {
		t.Errorf("the item is %s after %+v", i.Status, i.Claims)
	}
}

// Runs go on while the node is away, and what they came to is delivered: one that
// ended meanwhile, and one that ends after.
func TestANodeRestartsWhileAnExecutorRuns(t *testing.T) {
	t.Parallel()
	p := node(t)
	c := p.Client(api.Admin)
	e := start(p.Executor("one", "--slots", "2"))
	create(t, c, "gate", gateCode)
	g := newGate(t)
	g.item(c, 1, "meanwhile")
	g.item(c, 2, "after")
	g.begun(1, 1)
	g.begun(2, 1)
	p.Kill()
	g.open("meanwhile")
	g.wrote(1)
	time.Sleep(6 * time.Second) // longer than the silence of an owner that an executor believes in
	p.Start()
	until(t, "the first result is stored", func() bool {
		i, err := c.GetItem(t.Context(), itemID(1))
		return err == nil && i.Status == api.Completed
	})
	g.open("after")
	waitEnded(t, c, time.Minute)
	v := cluster.Judge(t, p.Conn())
	v.AllEnded()
	v.Journal(cluster.Journal(t, g.journal))
	cluster.Report(t, v)
	for n := range 2 {
		if i := v.Items[itemID(n+1)]; len(i.Claims) != 1 || i.Status != string(api.Completed) {
			t.Errorf("item %d is %s after %+v", n+1, i.Status, i.Claims)
		}
		if wrote := cluster.Journal(t, g.journal)[itemID(n+1)]; wrote != 1 {
			t.Errorf("item %d was run %d times", n+1, wrote)
		}
	}
	if !e.Runs() {
		t.Errorf("the executor ended: %s", e.Stderr())
	}
}

func TestExecutorsThatAreRefused(t *testing.T) {
	t.Parallel()
	p := node(t)
	start(p.Executor("one"))
	strange := write(t, "strange.key", strings.Repeat("5a", 32))
	open := write(t, "open.key", strings.Repeat("5a", 32))
	if err := errors.Join(os.Chmod(strange, 0o600), os.Chmod(open, 0o644)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		named  string
		args   []string
		status int
		says   string
	}{
		"another node's secret":      {"two", []string{"--credentials", strange}, 1, "executors.key"},
		"a secret for all to read":   {"two", []string{"--credentials", open}, 1, "chmod 600"},
		"no secret":                  {"two", []string{"--credentials", filepath.Join(t.TempDir(), "none")}, 1, "--credentials"},
		"a name of the node's own":   {"local", nil, 1, "--name"},
		"a name that is none":        {"Two", nil, 2, "a-z"},
		"a pool that is none":        {"two", []string{"--pool", "a.b"}, 2, "a-z"},
		"no Python":                  {"two", []string{"--python", "/no/such/python"}, 1, "Python"},
		"a name that somebody bears": {"one", nil, 1, "another executor named one is alive"},
	} {
		t.Run(name, func(t *testing.T) {
			e := p.Executor(c.named, c.args...)
			if said := e.Refused(c.status); !strings.Contains(said, c.says) {
				t.Errorf("it said %q, nothing of %q", said, c.says)
			}
		})
	}
	// The one that was there is not disturbed.
	c := p.Client(api.Admin)
	create(t, c, "quick", "def execute(current_user, **kwargs):\n    return 1\n")
	run, err := c.RunFunction(t.Context(), api.Call{ID: "quick", Wait: "30s"})
	if err != nil || run.Status != api.Completed || run.Executor != "one" {
		t.Errorf("%+v, %v", run, err)
	}
}

// Loopback is no proof: without the credentials nobody speaks for an executor.
func TestACallerIsNoExecutor(t *testing.T) {
	t.Parallel()
	p := node(t)
	start(p.Executor("one"))
	refused := make(chan error, 16)
	nc, err := nats.Connect(p.URL, nats.Name("one"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, subject := range []string{"belfry.announce.one", "belfry.result.one.3", "belfry.logs.one.run_1.1", "belfry.exec.one.stored", "belfry.run.default.one"} {
		if err := nc.Publish(subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		select {
		case err := <-refused:
			if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), subject) {
				t.Errorf("%s: %v", subject, err)
			}
		case <-ctx.Done():
			t.Errorf("%s was not refused", subject)
		}
		cancel()
	}
}

// A stopped executor lets what runs end, as long as its grace is; what has not
// ended by then is taken up by another.
func TestAStoppedExecutorLetsRunsEndWithinItsGrace(t *testing.T) {
	t.Parallel()
	p := node(t)
	c := p.Client(api.Admin)
	for _, test := range []struct {
		grace    string
		attempts int
	}{{"60s", 1}, {"0s", 2}} {
		t.Run(test.grace, func(t *testing.T) {
			pool, g := "grace-"+test.grace, newGate(t)
			e := start(p.Executor(pool+"-one", "--pool", pool, "--grace", test.grace))
			createIn(t, c, pool, pool, gateCode)
			g.itemOf(c, test.attempts, pool, "")
			g.begun(test.attempts, 1)
			stopped, begun := make(chan error, 1), time.Now()
			go func() { stopped <- e.Stop() }()
			if test.attempts == 1 {
				select {
				case err := <-stopped:
					t.Errorf("it ended with %v while a run was within its grace: %s", err, e.Stderr())
				case <-time.After(7 * time.Second): // longer than the default
				}
			} else {
				if err := <-stopped; err != nil {
					t.Errorf("without grace it ended with %v: %s", err, e.Stderr())
				}
				if took := time.Since(begun); took > 4500*time.Millisecond {
					t.Errorf("without grace it ended after %v, as late as by default", took)
				}
				start(p.Executor(pool+"-two", "--pool", pool))
				g.begun(test.attempts, 2)
			}
			g.open("")
			waitEnded(t, c, time.Minute)
			if test.attempts == 1 {
				if err := <-stopped; err != nil {
					t.Errorf("it ended with %v: %s", err, e.Stderr())
				}
			}
			i := cluster.Judge(t, p.Conn()).Items[itemID(test.attempts)]
			if len(i.Claims) != test.attempts || i.Status != string(api.Completed) {
				t.Errorf("the item is %s after %+v", i.Status, i.Claims)
			}
		})
	}
}
