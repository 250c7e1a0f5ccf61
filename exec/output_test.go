package exec_test

import (
	"fmt"
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
		b.pass(time.Minute)
		if len(b.logs) != 0 || b.ends != 0 {
			t.Errorf("%d chunks, %d ends", len(b.logs), b.ends)
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
		if len(all) != len(lines) || len(b.logs) < 4 || b.ends != 1 {
			t.Fatalf("%d lines in %d chunks, %d ends", len(all), len(b.logs), b.ends)
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

// printed are the lines that were sent to the log stream, by their numbers. Each
// must be there once, in order.
func (b *bench) printed() []string {
	b.t.Helper()
	var texts []string
	for _, chunk := range b.logs {
		if chunk[0].N != len(texts)+1 {
			b.t.Fatalf("a chunk begins with line %d after %d lines", chunk[0].N, len(texts))
		}
		for _, l := range chunk {
			texts = append(texts, l.Text)
		}
	}
	return texts
}

// begin starts a run that goes on, and returns what prints a line in it.
func (b *bench) begin() (say func(format string, args ...any)) {
	b.t.Helper()
	b.send(b.run("r1", 100))
	b.settle()
	c := b.runtime.call("r1")
	if c == nil {
		b.t.Fatal("the run has not begun")
	}
	return func(format string, args ...any) {
		c.line(wire.LogLine{Time: time.Now(), Stream: "stdout", Text: fmt.Sprintf(format, args...)})
	}
}

func TestWhatARunPrintsIsShownWhileItGoesOn(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		say := b.begin()
		b.pass(time.Minute) // nothing is printed, nothing is sent
		say("one")
		b.pass(100 * time.Millisecond)
		say("two")
		if b.pass(99 * time.Millisecond); len(b.logs) != 0 {
			t.Fatalf("shown after 199 ms: %v", b.logs)
		}
		if b.pass(time.Millisecond); len(b.printed()) != 2 || len(b.logs) != 1 {
			t.Fatalf("after 200 ms %v is shown", b.logs)
		}
		say("three")
		if b.pass(250 * time.Millisecond); len(b.printed()) != 3 {
			t.Fatalf("a line later %v is shown", b.logs)
		}
		b.pass(time.Minute)
		say("last")
		b.complete("r1")
		d := b.one(wire.Completed).Data
		if len(d.Logs) != 4 || d.LogsTruncated || len(b.logs) != 2 {
			t.Errorf("the report holds %+v, in the stream is %v", d.Logs, b.logs)
		}
		if b.pass(time.Minute); len(b.logs) != 2 || b.ends != 0 {
			t.Errorf("after the end %v was sent", b.logs[2:])
		}
	})
}

func TestOutputThatGrowsIsShownOnce(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		say := b.begin()
		for n := range 120 {
			say("%d %s", n, strings.Repeat("x", 90))
			if n%40 == 20 {
				b.pass(time.Second)
			}
		}
		b.complete("r1")
		d := b.one(wire.Completed).Data
		texts := b.printed()
		if len(texts) != 120 || len(d.Logs) < 10 || !d.LogsTruncated || b.ends != 1 {
			t.Fatalf("%d lines in the stream, %d in the report, %d ends", len(texts), len(d.Logs), b.ends)
		}
		for n, text := range texts {
			if !strings.HasPrefix(text, fmt.Sprintf("%d x", n)) {
				t.Fatalf("line %d is %q", n, text)
			}
		}
	})
}

// Whoever prints without a pause is shown ever more slowly, so that there are
// not too many chunks; whoever pauses is shown at once again.
func TestARunThatPrintsForHoursIsSentInFewChunks(t *testing.T) {
	bubble(t, exec.Config{Slots: 1, AnnounceEvery: time.Hour}, func(b *bench) {
		say := b.begin()
		lines := 0
		for range 6000 {
			say("")
			lines++
			time.Sleep(250 * time.Millisecond)
		}
		b.settle()
		early := len(b.logs)
		if early < 500 || early > 900 {
			t.Errorf("%d chunks in 25 minutes", early)
		}
		b.pass(time.Minute)
		say("")
		if b.pass(250 * time.Millisecond); len(b.printed()) != lines+1 {
			t.Errorf("a line after a pause was not shown: %d of %d", len(b.printed()), lines+1)
		}
		for range 20_000 {
			say("")
			time.Sleep(2 * time.Second)
		}
		b.complete("r1")
		if len(b.logs) >= wire.OutputChunksMax {
			t.Errorf("%d chunks, %d or more", len(b.logs), wire.OutputChunksMax)
		}
		if b.one(wire.Completed); len(b.printed()) != lines+1+20_000 {
			t.Errorf("%d lines", len(b.printed()))
		}
	})
}

func TestAFunctionKeepsLessOutput(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		b.runtime.auto = func(_ *exec.Job, line func(wire.LogLine)) exec.Ended {
			for range 100 {
				line(wire.LogLine{Time: time.Now(), Stream: "stdout", Text: strings.Repeat("x", 99)})
			}
			return success()
		}
		r := b.run("r1", 100)
		r.OutputLimit = 1 << 10
		b.send(r)
		d := b.one(wire.Completed).Data
		if len(d.Logs) != 11 || d.Logs[10].Text != "output beyond 1 KiB was dropped" || d.LogBytes != 10_000 {
			t.Errorf("%d lines of %d bytes, the last is %+v", len(d.Logs), d.LogBytes, d.Logs[len(d.Logs)-1])
		}
	})
}
