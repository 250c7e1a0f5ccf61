//go:build linux

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/broker"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// cutAmidstCreates lets a caller create items until the power is cut, and judges
// what the disk then holds by what the caller was told.
func cutAmidstCreates(t *testing.T, program string) *check.Verdict {
	t.Helper()
	d, err := cluster.NewDisk(t, diskMegabytes)
	if err != nil {
		cluster.LeftOut("chaos: power loss", err)
		t.Skip(err)
	}
	p := cluster.New(t)
	p.Dir, p.Program = filepath.Join(d.Dir, "data"), program
	p.Start()
	var h history
	file := filepath.Join(t.TempDir(), "journal")
	first := connect(t, p, &h, "first", file, 1)
	if first.ask(t.Context(), "function", "create", map[string]any{"name": "journal", "code": code}) == "" {
		t.Fatal("the function was not stored")
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asking sync.WaitGroup
	for n := range callers {
		c := connect(t, p, &h, fmt.Sprint("caller", n), file, uint64(n))
		asking.Go(func() {
			for ctx.Err() == nil {
				c.createItem(ctx, time.Now().AddDate(1, 0, 0))
			}
		})
	}
	for deadline := time.Now().Add(time.Minute); h.acknowledged() < 100 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond) // real processes, real time
	}
	if err := d.Cut(p); err != nil {
		t.Fatal(err)
	}
	stop()
	asking.Wait()
	commits := stored(t, filepath.Join(p.Dir, "nats"))
	v := check.Log(commits)
	v.History(asChanges(h.ops, commits))
	t.Logf("%d operations, %d commits on the disk", len(h.ops), len(commits))
	if err := v.Enough(check.Minimum{Ops: 50}); err != nil {
		t.Fatal(err)
	}
	return v
}

// stored is the event stream as a NATS server finds it in a directory; nothing if
// it finds none.
func stored(t *testing.T, dir string) []check.Commit {
	t.Helper()
	b, err := broker.Start(t.Context(), broker.Config{Addr: "127.0.0.1:0", StoreDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	nc, err := b.NodeConn("judge")
	if err != nil {
		t.Fatal(err)
	}
	if gone(t, nc) {
		return nil
	}
	return cluster.Commits(t, nc)
}

// gone says that there is no stream, or nothing in it.
func gone(t *testing.T, nc *nats.Conn) bool {
	t.Helper()
	m, err := nc.Request("$JS.API.STREAM.INFO.BELFRY_EVENTS", nil, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		State struct {
			Messages uint64 `json:"messages"`
		} `json:"state"`
	}
	if err := json.Unmarshal(m.Data, &info); err != nil {
		t.Fatal(err)
	}
	return info.State.Messages == 0
}

// TestPowerCut: what was acknowledged is on the disk.
func TestPowerCut(t *testing.T) {
	if report := cutAmidstCreates(t, "").Report("go test -run TestPowerCut ./testing/chaos"); report != "" {
		t.Error(report)
	}
}

// TestPowerCutControl: with fsync off what was acknowledged is lost, and the judge
// says so. The product has no such setting: the test builds it with one line
// changed.
func TestPowerCutControl(t *testing.T) {
	program := planted(t, "../../node/broker/broker.go", "SyncAlways:             true,", "SyncAlways:             false,")
	v := cutAmidstCreates(t, program)
	if !slices.ContainsFunc(v.Violations, func(x check.Violation) bool { return x.Property == "L1" }) {
		t.Errorf("nothing is missed: %v", v.Violations)
		return
	}
	t.Log(v.Violations[0])
}

// planted builds belfry with a fault in one of its files.
func planted(t *testing.T, file, sound, faulty string) string {
	t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || strings.Count(string(raw), sound) != 1 {
		t.Fatalf("%s does not hold %q once: %v", file, sound, err)
	}
	dir := t.TempDir()
	changed, overlay, program := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "belfry")
	for name, content := range map[string]string{
		changed: strings.Replace(string(raw), sound, faulty, 1),
		overlay: fmt.Sprintf(`{"Replace":{%q:%q}}`, path, changed),
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", program, "../../cli/belfry").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}
