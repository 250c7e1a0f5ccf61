//go:build linux

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// TestThawControl: an executor stands still until another one has taken up its run,
// and thaws amidst that with the result of its own attempt, which changes nothing.
// The judge says so, and would see it if it had been taken.
func TestThawControl(t *testing.T) {
	p := cluster.New(t, "--no-exec")
	p.Start()
	one, two := p.Executor("one"), p.Executor("two")
	one.Start()
	var h history
	file := filepath.Join(t.TempDir(), "journal")
	c := connect(t, p, &h, "caller", file, 1)
	if c.ask(t.Context(), "function", "create", map[string]any{"name": "journal", "code": code}) == "" {
		t.Fatal("the function was not stored")
	}
	id := c.ask(t.Context(), "item", "create", map[string]any{
		"name": "long", "run_date_time": stamp(time.Now()), "function": "journal", "data": map[string]any{"journal": file, "seconds": 2},
	})
	begun := func(attempt int) {
		t.Helper()
		await(t, "an attempt began", func() bool {
			return slices.ContainsFunc(journal(t, file), func(l check.Line) bool { return l.Attempt == attempt })
		})
	}
	begun(1)
	signalAll(syscall.SIGSTOP, []int{one.Pid()}) // its Python goes on, to the end
	two.Start()
	begun(2)
	signalAll(syscall.SIGCONT, []int{one.Pid()})
	await(t, "the item completed", func() bool {
		i, err := c.client.GetItem(t.Context(), id)
		return err == nil && i.Status == api.Completed
	})
	// What it has to say twice a second it has said.
	if err := one.Stop(); err != nil {
		t.Errorf("SIGTERM: %v: %s", err, one.Stderr())
	}
	commits := cluster.Commits(t, p.Conn())
	whole := evidence{commits, asChanges(h.ops, commits), journal(t, file)}
	v := whole.judged()
	if report := v.Report("go test -run TestThawControl ./testing/chaos"); report != "" {
		t.Fatal(report)
	}
	if claims := v.Items[id].Claims; len(claims) != 2 || claims[0].Executor != "one" || claims[1].Executor != "two" {
		t.Fatalf("its attempts were %+v", claims)
	}
	made := 0
	for n := range whole.commits {
		made += mistake(t, &whole.commits[n], id)
	}
	if made != 1 {
		t.Fatalf("the item completed %d times", made)
	}
	v = whole.judged()
	if !slices.ContainsFunc(v.Violations, func(x check.Violation) bool { return x.Property == "R2" }) {
		t.Errorf("the judge does not name R2: %v", v.Violations)
	}
}

// mistake makes the completion of an item that of its first attempt, on one.
func mistake(t *testing.T, c *check.Commit, id string) (made int) {
	t.Helper()
	var events []map[string]any
	d := json.NewDecoder(bytes.NewReader(c.Body))
	d.UseNumber()
	if err := d.Decode(&events); err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e["subject"] == id && strings.HasSuffix(e["type"].(string), "item.completed") {
			data := e["data"].(map[string]any)
			data["attempt"], data["executor"] = 1, "one"
			made++
		}
	}
	if made > 0 {
		body, err := json.Marshal(events)
		if err != nil {
			t.Fatal(err)
		}
		c.Body = body
	}
	return made
}

// await waits for something, at most half a minute.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !done() {
		if ctx.Err() != nil {
			t.Fatalf("after half a minute it is still not so that %s", what)
		}
		time.Sleep(20 * time.Millisecond) // real processes, real time
	}
}
