package exec_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

// prints runs a function that prints these lines, and returns its report.
func (b *bench) prints(dropped int64, lines ...string) wire.Outcome {
	b.t.Helper()
	b.runtime.auto = func(_ *exec.Job, line func(wire.LogLine)) exec.Ended {
		at := time.Now().Add(1234567)
		for _, text := range lines {
			line(wire.LogLine{Time: at, Stream: "stdout", Text: text})
		}
		ended := success()
		ended.Dropped = dropped
		return ended
	}
	b.send(b.run("r1", 100))
	return b.one(wire.Completed).Data
}

func TestLittleOutputTravelsWithTheReport(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		d := b.prints(0, "a", "", "héllo")
		if len(d.Logs) != 3 || d.Logs[2].Text != "héllo" || d.Logs[2].Stream != "stdout" || d.LogsTruncated || d.LogBytes != 2+1+7 {
			t.Errorf("reported %+v", d)
		}
		if ns := d.Logs[0].Time.Nanosecond() % 1e6; ns != 0 {
			t.Errorf("a time of %s", d.Logs[0].Time)
		}
		if len(b.logs) != 0 {
			t.Errorf("%d chunks", len(b.logs))
		}
	})
}

func TestMoreOutputGoesToTheLogStream(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		lines := make([]string, 5000)
		for i := range lines {
			lines[i] = strings.Repeat("x", 99)
		}
		lines[0] = "first \x00 \" \u2028"
		d := b.prints(0, lines...)
		if len(d.Logs) != 41 || !d.LogsTruncated || d.LogBytes != int64(len(lines[0])+1+4999*100) {
			t.Errorf("%d lines, truncated %t, of %d bytes", len(d.Logs), d.LogsTruncated, d.LogBytes)
		}
		var all []wire.LogLine
		for _, chunk := range b.logs {
			all = append(all, chunk...)
		}
		if len(all) != len(lines) || len(b.logs) < 4 {
			t.Fatalf("%d lines in %d chunks", len(all), len(b.logs))
		}
		for i, l := range all {
			if l.Text != lines[i] || l.Stream != "stdout" || l.Time.IsZero() {
				t.Fatalf("line %d is %+v", i, l)
			}
		}
	})
}

func TestOutputIsKeptUpToItsLimit(t *testing.T) {
	for name, c := range map[string]struct {
		line    string
		dropped int64
		lines   int
		kept    int
	}{
		"long lines":      {strings.Repeat("x", 1023), 0, 2000, 1024},
		"empty lines":     {"", 0, 100_000, 65536},
		"dropped earlier": {strings.Repeat("x", 1023), 7, 100, 100},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, exec.Config{Slots: 1}, func(b *bench) {
				lines := make([]string, c.lines)
				for i := range lines {
					lines[i] = c.line
				}
				d := b.prints(c.dropped, lines...)
				n, last := 0, wire.LogLine{}
				for _, chunk := range b.logs {
					n += len(chunk)
					last = chunk[len(chunk)-1]
				}
				if n != c.kept+1 || last.Stream != "log" || !strings.Contains(last.Text, "was dropped") {
					t.Errorf("%d lines, the last is %q", n, last.Text)
				}
				if want := int64(c.lines*(len(c.line)+1)) + c.dropped; d.LogBytes != want {
					t.Errorf("%d bytes counted, not %d", d.LogBytes, want)
				}
			})
		})
	}
}
