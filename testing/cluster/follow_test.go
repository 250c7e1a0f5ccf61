package cluster_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/cluster"
)

const talkingCode = `import time

def execute(current_user, rounds=0, width=0, fail=0, **kwargs):
    from valstorm import run
    for n in range(rounds):
        print(run.attempt, n, time.time(), "x" * width)
        time.sleep(3 / rounds)
    if run.attempt <= fail:
        raise ValueError("once more")
    return rounds
`

// heard is a line and when it came.
type heard struct {
	text string
	at   time.Time
}

// listen follows a run to its end.
func listen(t *testing.T, c *client.Client, run string) (lines []heard, answers []api.RunLogs) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := c.FollowRun(ctx, api.RunLogsInput{ID: run, After: api.FirstOutput}, func(logs api.RunLogs) error {
		answers = append(answers, logs)
		for _, l := range logs.Lines {
			lines = append(lines, heard{l.Text, time.Now()})
		}
		return nil
	})
	if err != nil {
		t.Errorf("following %s: %v", run, err)
	}
	return lines, answers
}

// calls creates an item every 50 ms until the test ends, and tells how long the
// longest call has taken: what the machine itself is late by.
func calls(t *testing.T, c *client.Client) (longest func() time.Duration) {
	t.Helper()
	var most atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	var calling sync.WaitGroup
	t.Cleanup(func() { cancel(); calling.Wait() })
	calling.Go(func() {
		for ctx.Err() == nil {
			begun := time.Now()
			_, _ = c.CreateItem(ctx, api.ItemInput{ // one that fails took its time, too
				Name: text("beside"), RunDateTime: text("2100-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: "talk"},
			})
			most.Store(max(most.Load(), int64(time.Since(begun))))
			pause(ctx, 50*time.Millisecond)
		}
	})
	return func() time.Duration { return time.Duration(most.Load()) }
}

// Each line is seen within a second, in order and once, however much is printed.
// What a machine with other work to do needs for a single call comes on top.
func TestOutputIsSeenWhileTheRunGoesOn(t *testing.T) {
	t.Parallel()
	p := cluster.New(t, "--slots", "8")
	p.Start()
	create(t, p.Client(api.Admin), "talk", talkingCode)
	longest := calls(t, p.Client(api.Admin))
	for _, test := range []struct {
		name          string
		rounds, width int
	}{
		{"none", 0, 0}, {"little", 6, 10}, {"up to 4 KiB", 12, 200}, {"beyond 4 KiB", 30, 300}, {"much", 60, 4000},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := p.Client(api.Admin)
			item, err := c.CreateItem(t.Context(), api.ItemInput{
				Name: &test.name, RunDateTime: text("2020-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: "talk"},
				Data: fmt.Appendf(nil, `{"rounds":%d,"width":%d}`, test.rounds, test.width),
			})
			if err != nil {
				t.Fatal(err)
			}
			lines, answers := listen(t, c, "run_"+item.ID[4:])
			if len(lines) != test.rounds {
				t.Fatalf("%d lines, not %d", len(lines), test.rounds)
			}
			for n, line := range lines {
				var attempt, number int
				var printed float64
				if _, err := fmt.Sscan(line.text, &attempt, &number, &printed); err != nil || number != n {
					t.Fatalf("line %d is %.40q", n, line.text)
				}
				if late, call := float64(line.at.UnixMicro())/1e6-printed, longest(); late > 1+call.Seconds() {
					t.Errorf("line %d was seen after %.3f s; the longest call beside it took %s", n, late, call)
				}
			}
			last := answers[len(answers)-1]
			if !last.Ended || last.Status != api.Completed || last.Attempt != 1 {
				t.Errorf("the last answer is %+v", last)
			}
			for _, a := range answers {
				if a.Truncated {
					t.Error("an answer lacks lines")
				}
			}
			// Afterwards all of it is there at once, and is the same.
			logs, err := c.RunLogs(t.Context(), "run_"+item.ID[4:])
			if err != nil || len(logs.Lines) != test.rounds || logs.Truncated || !logs.Ended {
				t.Errorf("afterwards there are %d lines, truncated %t, ended %t: %v", len(logs.Lines), logs.Truncated, logs.Ended, err)
			}
		})
	}
}

// A follower goes on with the next attempt, and an attempt can be asked for.
func TestFollowingGoesOnThroughRetries(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	c := p.Client(api.Admin)
	create(t, c, "talk", talkingCode)
	out, errs, status := p.Belfry("item", "create", "--name", "thrice", "--in", "0s", "--function", "talk",
		"--data", `{"rounds":40,"width":200,"fail":2}`, "--retry", `{"max_attempts":3,"backoff":"1s","multiplier":1}`, "--wait", "--follow")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if status != 0 || len(lines) != 121 || lines[120] != "40" {
		t.Fatalf("status %d, %d lines, the last is %.100q: %s", status, len(lines), lines[len(lines)-1], errs)
	}
	for n, line := range lines[:120] {
		if !strings.HasPrefix(line, fmt.Sprintf("%d %d ", n/40+1, n%40)) {
			t.Fatalf("line %d is %.40q", n, line)
		}
	}
	for attempt := 1; attempt <= 2; attempt++ {
		// Whether the next one has begun when it is said is a matter of a moment.
		if note := fmt.Sprintf("belfry: attempt %d has ended: ", attempt); strings.Count(errs, note) != 1 {
			t.Errorf("standard error does not say once %q: %s", note, errs)
		}
	}
	item, err := c.GetItem(t.Context(), "thrice")
	if err != nil {
		t.Fatal(err)
	}
	for attempt := 1; attempt <= 3; attempt++ {
		out, errs, status := p.Belfry("run", "logs", item.Run, "-f", "--attempt", fmt.Sprint(attempt), "-o", "json")
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		var last struct {
			Attempt      int
			Time         time.Time
			Stream, Text string
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || status != 0 || len(lines) != 40 ||
			last.Attempt != attempt || last.Stream != "stdout" || last.Time.IsZero() || !strings.HasPrefix(last.Text, fmt.Sprintf("%d 39 ", attempt)) {
			t.Errorf("attempt %d: status %d, %d lines, the last %.80q %v: %s", attempt, status, len(lines), lines[len(lines)-1], err, errs)
		}
	}
}

// A run in Processing answers with what it printed; whoever waits for more is
// answered at the end of the wait, and a run that is canceled ends its followers.
func TestOutputSoFar(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	c := p.Client(api.Admin)
	create(t, c, "hang", "import time\ndef execute(current_user, **kwargs):\n    print('here')\n    time.sleep(3600)\n")
	run, err := c.RunFunction(t.Context(), api.Call{ID: "hang"})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(cluster.Binary(t), "run", "logs", run.ID, "--follow")
	cmd.Env = append(os.Environ(), "BELFRY_NATS="+p.URL)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }() // it has ended, if all is well
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || !strings.HasSuffix(line, "  stdout  here\n") {
		t.Fatalf("a follower got %q, %v", line, err)
	}
	logs, err := c.RunLogs(t.Context(), run.ID)
	if err != nil || len(logs.Lines) != 1 || logs.Lines[0].Text != "here" || logs.Ended || logs.Status != api.Processing || logs.Attempt != 1 {
		t.Fatalf("so far %+v, %v", logs, err)
	}
	begun := time.Now()
	raw, err := c.Ask(t.Context(), "run", "logs", api.RunLogsInput{ID: run.ID, After: logs.Next, Wait: "300ms"})
	var more api.RunLogs
	if err != nil || json.Unmarshal(raw, &more) != nil || len(more.Lines) != 0 || more.Ended || more.Next != logs.Next || time.Since(begun) < 300*time.Millisecond {
		t.Errorf("after a wait of %v: %s %v", time.Since(begun), raw, err)
	}
	// Interrupted, a follower ends quietly.
	if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
		t.Errorf("an interrupted follower: %v", err)
	}
	ended := make(chan []api.RunLogs, 1)
	go func() {
		_, answers := listen(t, c, run.ID)
		ended <- answers
	}()
	if _, err := c.CancelRun(t.Context(), api.Cancel{ID: run.ID, Reason: "enough"}); err != nil {
		t.Fatal(err)
	}
	select {
	case answers := <-ended:
		if last := answers[len(answers)-1]; last.Status != api.Canceled {
			t.Errorf("the last answer is %+v", last)
		}
	case <-time.After(5 * time.Second):
		t.Error("a follower waits on")
	}
}
