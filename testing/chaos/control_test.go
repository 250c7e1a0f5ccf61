//go:build linux

package chaos

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// evidence is what a run of real processes leaves for the judge.
type evidence struct {
	commits []check.Commit
	ops     []check.Op
	lines   []check.Line
}

func (e *evidence) judged() *check.Verdict {
	v := check.Log(e.commits)
	v.Lateness = lateMax
	v.History(e.ops)
	v.Lines(e.lines)
	v.AllEnded()
	return v
}

// TestControls: the judge is content with what a real node did, and says so of
// each thing that is taken from it or added to it.
func TestControls(t *testing.T) {
	whole := ran(t)
	if report := whole.judged().Report("go test -run TestControls ./testing/chaos"); report != "" {
		t.Fatal(report)
	}
	last := len(whole.lines) - 1
	for _, control := range []struct {
		name, property string
		do             func(e *evidence)
	}{
		{"a line of the journal is gone", "R6", func(e *evidence) { e.lines = slices.Delete(e.lines, last, last+1) }},
		{"a line of the journal is there twice", "R6", func(e *evidence) { e.lines = append(e.lines, e.lines[last]) }},
		{"something ran that nobody created", "R6", func(e *evidence) {
			e.lines = append(e.lines, check.Line{ID: "run_00000000000000000000000000", Attempt: 1, Start: e.lines[last].Start})
		}},
		{"a message amidst the log is gone", "L3", func(e *evidence) {
			n := len(e.commits) / 2
			e.commits = slices.Delete(e.commits, n, n+1)
		}},
		{"the end of the log is gone", "L1", func(e *evidence) {
			end := slices.IndexFunc(e.commits, func(c check.Commit) bool { return c.Seq == e.ops[len(e.ops)-1].Seq })
			e.commits = e.commits[:end]
		}},
	} {
		t.Run(control.name, func(t *testing.T) {
			e := evidence{slices.Clone(whole.commits), slices.Clone(whole.ops), slices.Clone(whole.lines)}
			control.do(&e)
			v := e.judged()
			if !slices.ContainsFunc(v.Violations, func(x check.Violation) bool { return x.Property == control.property }) {
				t.Errorf("the judge does not name %s: %v", control.property, v.Violations)
				return
			}
			t.Log(v.First(0))
		})
	}
}

// ran is what a node left that did some work without any fault.
func ran(t *testing.T) evidence {
	t.Helper()
	p := cluster.New(t)
	p.Start()
	var h history
	file := filepath.Join(t.TempDir(), "journal")
	c := connect(t, p, &h, "caller", file, 1)
	if c.ask(t.Context(), "function", "create", map[string]any{"name": "journal", "code": code}) == "" {
		t.Fatal("the function was not stored")
	}
	for n := range 10 {
		if c.ask(t.Context(), "item", "create", map[string]any{
			"name": fmt.Sprint("item ", n), "run_date_time": stamp(time.Now()), "function": "journal", "data": map[string]any{"journal": file},
		}) == "" {
			t.Fatal("an item was not stored")
		}
	}
	cluster.WaitRuns(t, p, 0, time.Minute)
	deadline := time.Now().Add(time.Minute)
	for st, err := c.client.ClusterStatus(t.Context()); err != nil || st.Items["Completed"] < 10; st, err = c.client.ClusterStatus(t.Context()) {
		if time.Now().After(deadline) {
			t.Fatalf("a minute later items are %v, %v", st.Items, err)
		}
		time.Sleep(50 * time.Millisecond) // real processes, real time
	}
	if c.ask(t.Context(), "user", "create", map[string]any{"id": "last"}) == "" {
		t.Fatal("the user was not stored")
	}
	commits := cluster.Commits(t, p.Conn())
	return evidence{commits, asChanges(h.ops, commits), journal(t, file)}
}
