package cluster_test

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

// What cannot be started says why in one line, with status 1.
func TestStartsThatAreRefused(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	running := cluster.New(t)
	running.Start()
	file := write(t, "file", "not a directory")
	for name, c := range map[string]struct {
		prepare func(p *cluster.Process)
		says    string
	}{
		"no Python":                {func(p *cluster.Process) { p.Args = []string{"--python", "/no/such/python"} }, "Python"},
		"a Python that is none":    {func(p *cluster.Process) { p.Args = []string{"--python", "/bin/true"} }, "Python"},
		"NATS port taken":          {func(p *cluster.Process) { p.URL = "nats://" + taken.Addr().String() }, "--nats-addr"},
		"HTTP port taken":          {func(p *cluster.Process) { p.HTTP = taken.Addr().String() }, "--http-addr"},
		"Raft port taken":          {func(p *cluster.Process) { p.Raft = taken.Addr().String() }, "--raft-addr"},
		"NATS not on loopback":     {func(p *cluster.Process) { p.URL = "nats://0.0.0.0:0" }, "loopback"},
		"HTTP not on loopback":     {func(p *cluster.Process) { p.HTTP = ":0" }, "loopback"},
		"Raft not on loopback":     {func(p *cluster.Process) { p.Raft = "10.1.2.3:7420" }, "loopback"},
		"directory in use":         {func(p *cluster.Process) { p.Dir = running.Dir }, "in use"},
		"directory not writable":   {func(p *cluster.Process) { p.Dir = filepath.Join(file, "data") }, "--data"},
		"directory of another":     {func(p *cluster.Process) { p.Dir = filepath.Dir(file) }, "not Belfry's"},
		"directory of a cluster's": {func(p *cluster.Process) { identity(t, p.Dir, `{"mode":"clustered","node":"n1","format":1}`) }, "clustered"},
		"directory of the future":  {func(p *cluster.Process) { identity(t, p.Dir, `{"mode":"standalone","node":"local","format":99}`) }, "format 99"},
	} {
		t.Run(name, func(t *testing.T) {
			p := cluster.New(t)
			c.prepare(p)
			status := 1
			if c.says == "loopback" { // a flag's value that is never right
				status = 2
			}
			if said := p.Refused(status); !strings.Contains(said, c.says) {
				t.Errorf("it said %q, nothing of %q", said, c.says)
			}
		})
	}
}

func identity(t testing.TB, dir, content string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "belfry.json"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A stream that existed and is gone, is shorter than remembered, is another, or
// has holes is refused, and never made anew.
func TestADamagedStreamIsRefused(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	c := p.Client(api.Admin)
	create(t, c, "f", "def execute(current_user, **kwargs):\n    return 1\n")
	fill := func(n int) {
		for range n {
			if _, err := c.CreateItem(t.Context(), api.ItemInput{Name: text("i"), RunDateTime: text("2100-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: "f"}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(20)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	early := filepath.Join(t.TempDir(), "early")
	cluster.Copy(t, early, p.Dir)
	p.Start()
	fill(50)
	if err := p.Stop(); err != nil { // its snapshot remembers the last sequence
		t.Fatal(err)
	}
	whole := filepath.Join(t.TempDir(), "whole")
	cluster.Copy(t, whole, p.Dir)
	other := cluster.New(t)
	other.Start()
	if err := other.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, harm := range map[string]func(dir string){
		"gone":    func(dir string) { remove(t, filepath.Join(dir, "nats", "jetstream")) },
		"shorter": func(dir string) { replace(t, filepath.Join(early, "nats"), filepath.Join(dir, "nats")) },
		"another": func(dir string) { replace(t, filepath.Join(other.Dir, "nats"), filepath.Join(dir, "nats")) },
		"a hole":  func(dir string) { spoil(t, filepath.Join(dir, "nats")) },
	} {
		t.Run(name, func(t *testing.T) {
			q := cluster.New(t)
			cluster.Copy(t, q.Dir, whole)
			harm(q.Dir)
			said := q.Refused(1)
			if !strings.Contains(said, "damaged") {
				t.Errorf("it said %q", said)
			}
			if again := q.Refused(1); !strings.Contains(again, "damaged") {
				t.Errorf("the second time it said %q", again)
			}
			t.Log(said)
		})
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func replace(t testing.TB, from, to string) {
	t.Helper()
	remove(t, to)
	cluster.Copy(t, to, from)
}

// spoil flips bytes amidst the event stream's block file.
func spoil(t testing.TB, dir string) {
	t.Helper()
	spoiled := false
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".blk") || !strings.Contains(path, "BELFRY_EVENTS") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for n := range 8 {
			raw[len(raw)/2+n] ^= 0xff
		}
		spoiled = true
		return os.WriteFile(path, raw, 0o600)
	})
	if err != nil || !spoiled {
		t.Fatalf("no block file was spoiled: %v", err)
	}
}

// Anonymous clients can ask, and look at the stream; no more.
func TestAnonymousClients(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	nc := p.Conn()
	before := cluster.LastSeq(t, nc)
	for _, subject := range []string{
		"belfry.events.local", "$JS.API.STREAM.PURGE.BELFRY_EVENTS", "$JS.API.STREAM.DELETE.BELFRY_EVENTS",
		"$JS.API.STREAM.UPDATE.BELFRY_EVENTS", "$JS.API.STREAM.MSG.DELETE.BELFRY_EVENTS",
		"belfry.result.local.0", "belfry.announce.local", "belfry.run.default.local", "belfry.exec.local.cancel",
	} {
		if _, err := nc.Request(subject, []byte(`{}`), 300*time.Millisecond); err == nil {
			t.Errorf("%s answered an anonymous client", subject)
		}
	}
	// The reply subject is the requester's choice: it must not open a way in.
	for _, reply := range []string{"belfry.events.local", "belfry.result.local.0", "belfry.exec.local.stored"} {
		for _, subject := range []string{"$JS.API.STREAM.INFO.BELFRY_EVENTS", "belfry.api.admin.cluster.status", "$SRV.PING"} {
			if err := nc.PublishRequest(subject, reply, nil); err != nil {
				t.Error(err)
			}
		}
	}
	if sub, err := nc.SubscribeSync("belfry.api.>"); err == nil {
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Client(api.Admin).ClusterStatus(t.Context()); err != nil {
			t.Error(err)
		}
		if m, err := sub.NextMsg(200 * time.Millisecond); err == nil {
			t.Errorf("an anonymous client heard %s", m.Subject)
		}
	}
	if after := cluster.LastSeq(t, nc); after != before {
		t.Errorf("the stream moved from %d to %d", before, after)
	}
	if _, err := nats.Connect(p.URL, nats.UserInfo("node", "guess")); err == nil {
		t.Error("wrong credentials were accepted")
	}
}
