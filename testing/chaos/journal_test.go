//go:build linux

package chaos

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/testing/check"
)

// code writes to a file outside of Belfry when it begins and when it ends. It
// takes as long as it is told, and fails if it is told to.
const code = `import json, os, time
import valstorm

def note(journal, what):
    line = json.dumps([what, valstorm.run.id, valstorm.run.attempt, time.time_ns()]) + "\n"
    fd = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, line.encode())
    os.close(fd)

def execute(current_user, journal, seconds=0, fail=0, **kwargs):
    note(journal, "begin")
    time.sleep(seconds)
    note(journal, "end")
    if valstorm.run.attempt <= fail:
        raise ValueError("told to fail")
    return {"attempt": valstorm.run.attempt}
`

// journal is what functions wrote.
func journal(t *testing.T, file string) (lines []check.Line) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	type attempt struct {
		run string
		n   int
	}
	begun := map[attempt]int{}
	for text := range strings.Lines(string(raw)) {
		var what, run string
		var n int
		var at int64
		if err := json.Unmarshal([]byte(text), &[]any{&what, &run, &n, &at}); err != nil {
			t.Fatalf("the journal has the line %q: %v", text, err)
		}
		switch k, known := begun[attempt{run, n}]; {
		case what == "begin":
			begun[attempt{run, n}] = len(lines)
			lines = append(lines, check.Line{ID: run, Attempt: n, Start: time.Unix(0, at)})
		case known:
			lines[k].Ended, lines[k].End = true, time.Unix(0, at)
		default:
			t.Fatalf("the journal has the end of attempt %d of %s, and no begin", n, run)
		}
	}
	return lines
}
