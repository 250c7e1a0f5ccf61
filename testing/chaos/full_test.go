//go:build linux

package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// TestDiskFilledByBelfry: on a small disk a create that finds no room is neither
// acknowledged nor refused for good, the node says why, and once there is room and
// it was started again, all that was acknowledged is there.
func TestDiskFilledByBelfry(t *testing.T) {
	if !long() {
		t.Skip("it takes half a minute: make chaos runs it")
	}
	d, err := cluster.NewDisk(t, 48)
	if err != nil {
		cluster.LeftOut("chaos: disk full", err)
		t.Skip(err)
	}
	if err := os.WriteFile(d.Ballast(), make([]byte, 24<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	p := cluster.New(t)
	p.Dir = filepath.Join(d.Dir, "data")
	p.Start()
	var h history
	c := connect(t, p, &h, "caller", filepath.Join(t.TempDir(), "journal"), 1)
	if c.ask(t.Context(), "function", "create", map[string]any{"name": "journal", "code": code}) == "" {
		t.Fatal("the function was not stored")
	}
	note := strings.Repeat("x", 100_000)
	create := func(n int) check.Outcome {
		return c.once(t.Context(), "item", "create", fmt.Sprint("fill-", n), map[string]any{
			"name": "item", "run_date_time": "2100-01-01T00:00:00Z", "function": "journal", "data": map[string]any{"note": note},
		}).Outcome
	}
	n := 0
	outcome := create(n)
	for outcome == check.Acknowledged && n < 1000 {
		n++
		outcome = create(n)
	}
	t.Logf("create %d is %s", n, outcome)
	if n < 50 || outcome != check.Unknown && outcome != check.Unavailable {
		t.Errorf("create %d is %s", n, outcome)
	}
	if !strings.Contains(p.Stderr(), "resources") {
		t.Errorf("it does not say that there is no room: %s", p.Stderr())
	}
	if err := d.Free(); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	p.Start()
	if outcome := create(n); outcome != check.Acknowledged { // the same request again
		t.Errorf("with room, and after a start, the create is %s", outcome)
	}
	commits := cluster.Commits(t, p.Conn())
	v := check.Log(commits)
	v.History(asChanges(h.ops, commits))
	if report := v.Report("go test -run TestDiskFilledByBelfry ./testing/chaos"); report != "" {
		t.Error(report)
	}
}
