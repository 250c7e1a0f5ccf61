package eventlog_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
)

const (
	goldenTypes  = "../testing/golden/events.txt"
	goldenCommit = "../testing/golden/commit_v1.json"
)

func golden(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTypesOnlyGrow: logs are for ever, and so are the names in them.
func TestTypesOnlyGrow(t *testing.T) {
	known := map[string]bool{}
	for _, typ := range eventlog.Types() {
		known[string(typ)] = true
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(golden(t, goldenTypes))) {
		name := strings.TrimSpace(line)
		listed[name] = true
		if !known[name] {
			t.Errorf("%s is gone or was renamed: it stands in logs and must be known for ever; put it back", name)
		}
	}
	for _, typ := range eventlog.Types() {
		if !listed[string(typ)] {
			t.Errorf("%s is new: add it as a line at the end of testing/golden/events.txt, "+
				"and an event of it to the end of samples(); then run this package's tests once with BELFRY_ADD_GOLDEN=1", typ)
		}
	}
}

// TestGoldenCommit: what version 1 wrote is read for ever, and today's encoder
// still writes it. With BELFRY_ADD_GOLDEN set, events at the end that are new are added;
// what is there is never written again.
func TestGoldenCommit(t *testing.T) {
	want := samples()
	lines := goldenLines(t)
	if os.Getenv("BELFRY_ADD_GOLDEN") != "" {
		for i := len(lines); i < len(want); i++ {
			commit := encode(t, want[i])
			lines = append(lines, commit[1:len(commit)-1])
		}
		file := append([]byte("[\n"), bytes.Join(lines, []byte(",\n"))...)
		if err := os.WriteFile(goldenCommit, append(file, "\n]\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	same(t, decode(t, golden(t, goldenCommit)), want)
	for i, line := range lines {
		if commit := encode(t, want[i]); !bytes.Equal(commit[1:len(commit)-1], line) {
			t.Errorf("the encoding of %s has changed:\n got %s\nwant [%s]", want[i].Type(), commit, line)
		}
	}
}

// goldenLines are the golden commit's events as they were written.
func goldenLines(t *testing.T) [][]byte {
	t.Helper()
	raw, err := eventlog.Split(golden(t, goldenCommit))
	if err != nil {
		t.Fatal(err)
	}
	lines := make([][]byte, len(raw))
	for i, r := range raw {
		lines[i] = r
	}
	return lines
}
