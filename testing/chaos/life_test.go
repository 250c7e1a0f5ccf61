//go:build linux

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// life is what a node had that is gone: its directory, its log, and what it told.
type life struct {
	dir     string
	commits []check.Commit
	records map[string]string
}

// lived is a node that stopped once, which wrote a snapshot, and went on until it
// was killed: what it has is that snapshot and the log behind it.
func lived(t *testing.T) *life {
	t.Helper()
	p := cluster.New(t)
	p.Start()
	c, file := p.Client(api.Admin), filepath.Join(t.TempDir(), "journal")
	name := "journal"
	source := strings.Replace(code, "    return", "    print('x' * 6000)\n    return", 1) // more than travels with a result
	if _, err := c.CreateFunction(t.Context(), api.FunctionInput{Name: &name, Code: &source}); err != nil {
		t.Fatal(err)
	}
	data := fmt.Appendf(nil, `{"journal":%q,"note":%q}`, file, strings.Repeat("x", 2000))
	work := func() {
		for n := range 40 {
			due := []string{"2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"}[n%2]
			in := api.ItemInput{Name: &name, RunDateTime: &due, Function: &api.RefInput{IDOrName: name}, Data: data}
			if _, err := c.CreateItem(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		}
		cluster.WaitRuns(t, p, 0, time.Minute)
	}
	work()
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	p.Start()
	c = p.Client(api.Admin)
	work()
	time.Sleep(6 * time.Second) // Raft remembers how far the stream came
	l := &life{p.Dir, cluster.Commits(t, p.Conn()), told(t, c)}
	p.Kill()
	return l
}

// told is what a node says of all that it has, as it says it.
func told(t *testing.T, c *client.Client) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	all := map[string]string{}
	for _, entity := range []string{"function", "item", "run", "trigger", "user"} {
		raw, err := c.Ask(ctx, entity, "list", map[string]any{"limit": 1000})
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Records []json.RawMessage `json:"records"`
			Next    string            `json:"next"`
		}
		if err := json.Unmarshal(raw, &page); err != nil || page.Next != "" {
			t.Fatalf("%s: %v, there are more than a page", entity, err)
		}
		for _, r := range page.Records {
			var of answer
			if err := json.Unmarshal(r, &of); err != nil {
				t.Fatal(err)
			}
			all[of.ID] = string(r)
		}
	}
	return all
}

// unharmed says that the log is as it was, the judge content with what came, and
// each record what it was.
func (l *life) unharmed(t *testing.T, p *cluster.Process) {
	t.Helper()
	got := cluster.Commits(t, p.Conn())
	for n, want := range l.commits {
		if n >= len(got) || got[n].Seq != want.Seq || !bytes.Equal(got[n].Body, want.Body) {
			t.Fatalf("it serves without a word, and commit %d of %d is gone or another", want.Seq, len(l.commits))
		}
	}
	if report := check.Log(got).Report(""); report != "" {
		t.Error(report)
	}
	records := told(t, p.Client(api.Admin))
	for id, want := range l.records {
		if records[id] != want {
			t.Errorf("it serves without a word, and %s is %q, not %q", id, records[id], want)
		}
	}
	if len(records) != len(l.records) {
		t.Errorf("it has %d records, not %d", len(records), len(l.records))
	}
}
