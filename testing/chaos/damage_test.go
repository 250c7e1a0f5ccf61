//go:build linux

package chaos

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// harm is what befalls a file.
type harm struct {
	name string
	do   func(path string) error
}

// harms are those of a file: all of them in the long form, and always of what holds
// the log.
func harms(file string) []harm {
	flip := func(part float64) func(string) error {
		return func(path string) error {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			raw[int(float64(len(raw)-1)*part)] ^= 0x10
			return os.WriteFile(path, raw, 0o600)
		}
	}
	all := []harm{
		{"a flipped bit", flip(0.4)},
		{"cut to its half", func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return os.Truncate(path, info.Size()/2)
		}},
	}
	if os.Getenv("CHAOS_MINUTES") != "" || strings.HasSuffix(file, ".blk") {
		all = append(all, harm{"a flipped first bit", flip(0)}, harm{"a flipped last bit", flip(1)}, harm{"a flipped bit near its end", flip(0.9)},
			harm{"taken away", os.Remove})
	}
	return all
}

// TestDamage harms each file under the data directory of a stopped node, one at a
// time. The node that starts on it either refuses, in one line that says what is
// damaged and what to do, or has everything that was acknowledged.
func TestDamage(t *testing.T) {
	whole, commits := lived(t)
	for _, file := range files(t, whole) {
		for _, h := range harms(file) {
			t.Run(file+"/"+h.name, func(t *testing.T) {
				p := cluster.New(t)
				if err := os.CopyFS(p.Dir, os.DirFS(whole)); err != nil {
					t.Fatal(err)
				}
				if err := h.do(filepath.Join(p.Dir, file)); err != nil {
					t.Fatal(err)
				}
				err := p.Try()
				for range 5 { // what is read after the start may end it
					if time.Sleep(100 * time.Millisecond); err == nil && !p.Runs() {
						err = p.Wait(time.Second)
						err = fmt.Errorf("it ended with %w: %s", err, p.Stderr())
					}
				}
				if err != nil {
					refused(t, file, err)
					return
				}
				unharmed(t, p, commits)
				t.Log("all is there")
			})
		}
	}
}

// lived is the directory of a node that has stopped, and the commits of its log.
func lived(t *testing.T) (string, []check.Commit) {
	t.Helper()
	p := cluster.New(t)
	p.Start()
	c, file := p.Client(api.Admin), filepath.Join(t.TempDir(), "journal")
	name, source, data := "journal", code, fmt.Appendf(nil, `{"journal":%q,"note":%q}`, file, strings.Repeat("x", 2000))
	if _, err := c.CreateFunction(t.Context(), api.FunctionInput{Name: &name, Code: &source}); err != nil {
		t.Fatal(err)
	}
	for n := range 40 {
		due := []string{"2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"}[n%2]
		in := api.ItemInput{Name: &name, RunDateTime: &due, Function: &api.RefInput{IDOrName: name}, Data: data}
		if _, err := c.CreateItem(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	cluster.WaitRuns(t, p, 0, time.Minute)
	time.Sleep(6 * time.Second) // Raft remembers how far the stream came
	commits := cluster.Commits(t, p.Conn())
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	return p.Dir, commits
}

// files are those under a directory that hold anything, each kind once: of the
// modules of the Python shim one stands for all.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	kinds := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil || info.Size() == 0 {
			return err
		}
		name, err := filepath.Rel(dir, path)
		kind := name
		if strings.HasPrefix(name, "python") {
			kind = "python/*" + filepath.Ext(name)
		}
		if !kinds[kind] {
			kinds[kind] = true
			all = append(all, name)
		}
		return err
	})
	if err != nil || len(all) < 8 {
		t.Fatalf("files %v: %v", all, err)
	}
	return all
}

var logged = regexp.MustCompile(`^\s*time=`)

// refused says that a refusal is one line that names what is damaged.
func refused(t *testing.T, file string, err error) {
	t.Helper()
	_, said, _ := strings.Cut(err.Error(), ": ")
	var lines []string
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); line != "" && !logged.MatchString(line) {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "belfry: ") {
		t.Errorf("it said %d lines, not one: %s", len(lines), said)
		return
	}
	names := []string{file, "the event stream", filepath.Base(file), filepath.Base(filepath.Dir(file)), "BELFRY_LOGS"}
	if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(lines[0], name) }) {
		t.Errorf("it does not say what is damaged: %s", lines[0])
	}
	t.Log(lines[0])
}

// unharmed says that the log is as it was, and the judge content with what came.
func unharmed(t *testing.T, p *cluster.Process, want []check.Commit) {
	t.Helper()
	got := cluster.Commits(t, p.Conn())
	for n := range want {
		if n >= len(got) || got[n].Seq != want[n].Seq || !bytes.Equal(got[n].Body, want[n].Body) {
			t.Fatalf("it serves without a word, and commit %d of %d is gone or another", want[n].Seq, len(want))
		}
	}
	if report := check.Log(got).Report(""); report != "" {
		t.Error(report)
	}
	st, err := p.Client(api.Admin).ClusterStatus(t.Context())
	if err != nil || st.Items[api.Completed] != 20 || st.Items[api.Queued] != 20 {
		t.Errorf("it has %v, %v", st.Items, err)
	}
}
