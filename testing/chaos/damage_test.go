//go:build linux

package chaos

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/testing/cluster"
)

// harm is what befalls a file.
type harm struct {
	name string
	do   func(path string) error
}

// harms are those of the n-th file: all of them in the long form, and always of what
// holds the log; of another file in the short form this or that.
func harms(n int, file string) []harm {
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
	if !long() && !strings.HasSuffix(file, ".blk") {
		return all[n%len(all):][:1]
	}
	all = append(all, harm{"taken away", os.Remove})
	for n := range flips {
		part := float64(n) / (flips - 1)
		all = append(all, harm{fmt.Sprintf("a flipped bit at %d of %d", n, flips-1), flip(part)})
	}
	return all
}

// long says that this is make chaos, not a part of all tests.
func long() bool { return os.Getenv("CHAOS_MINUTES") != "" }

// flips is how many bits of a file are flipped, one at a time.
const flips = 9

// flip turns a bit over in that part of a file, in a byte that holds something if
// there is one: a store keeps room, of which no bit means anything.
func flip(part float64) func(string) error {
	return func(path string) error {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var held []int
		for n, b := range raw {
			if b != 0 {
				held = append(held, n)
			}
		}
		if len(held) == 0 {
			held = []int{0}
		}
		raw[held[int(float64(len(held)-1)*part)]] ^= 0x10
		return os.WriteFile(path, raw, 0o600)
	}
}

// TestDamage harms each file under the data directory of a stopped node, one at a
// time. The node that starts on it either refuses, in one line that says what is
// damaged and what to do, or has everything that was acknowledged.
func TestDamage(t *testing.T) {
	l := lived(t)
	for n, file := range files(t, l.dir) {
		for _, h := range harms(n, file) {
			t.Run(file+"/"+h.name, func(t *testing.T) {
				p := cluster.New(t)
				cluster.Copy(t, p.Dir, l.dir)
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
				l.unharmed(t, p)
				t.Log("all is there")
			})
		}
	}
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

var remedy = regexp.MustCompile(`restore|put the right files back|choose an|start it with|use the version`)

// refused says that a refusal is one line that names what is damaged and what to
// do about it.
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
	names := []string{filepath.Base(file)}
	switch top, _, _ := strings.Cut(file, "/"); top {
	case "nats", "raft": // by what is lost, or by its folder; a lost Raft store makes the stream a stranger
		names = append(names, "the event stream", "BELFRY_LOGS")
	}
	if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(lines[0], name) }) {
		t.Errorf("it does not say what is damaged: %s", lines[0])
	}
	if !remedy.MatchString(lines[0]) {
		t.Errorf("it does not say what to do: %s", lines[0])
	}
	t.Log(lines[0])
}
