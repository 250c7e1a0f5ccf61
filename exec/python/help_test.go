package python_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/python"
	"github.com/belfryhq/belfry/exec/wire"
)

// open starts a runtime that the test closes.
func open(t *testing.T, cfg python.Config) *python.Runtime {
	t.Helper()
	r, err := python.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// job is a job of its own function, with what matters to most tests filled in.
func job(t *testing.T, code string) *exec.Job {
	return &exec.Job{
		Run: "run_1", Attempt: 1, Source: wire.Source{Kind: "item", ID: "sci_1"},
		ScheduledFor: time.Date(2026, 3, 1, 12, 0, 0, 250_000_000, time.UTC),
		Function:     "fun_" + t.Name(), FunctionName: "send mail", Version: 1, Code: code,
		User: jsontext.Value(`{"id":"ada","first_name":"Ada","last_name":"Lovelace"}`), UserID: "ada",
		Data:    jsontext.Value(`{}`),
		Timeout: time.Minute, MemoryLimit: 512 << 20,
	}
}

// execute is code whose function has this body.
func execute(body string) string {
	return "def execute(current_user, **kwargs):\n    " + strings.ReplaceAll(body, "\n", "\n    ") + "\n"
}

// warm gives jobs with these bodies of one function, so that one worker does them all.
func warm(t *testing.T) func(body string) *exec.Job {
	j := job(t, "def execute(current_user, **kwargs):\n"+
		"    scope = {}\n"+
		"    exec('def body():\\n    ' + kwargs['body'].replace('\\n', '\\n    '), scope)\n"+
		"    return scope['body']()\n")
	return func(body string) *exec.Job {
		data, err := json.Marshal(map[string]string{"body": body})
		if err != nil {
			t.Fatal(err)
		}
		j.Data = data
		return j
	}
}

// run runs a job and returns how it ended and what it printed.
func run(t *testing.T, r *python.Runtime, j *exec.Job) (exec.Ended, []wire.LogLine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // more than any job here has
	defer cancel()
	var lines []wire.LogLine
	ended := r.Run(ctx, j, func(l wire.LogLine) { lines = append(lines, l) })
	if ended.Finished.IsZero() && ended.Kind != wire.Lost && ended.Kind != wire.Canceled {
		t.Errorf("a run that ended %s has no end", ended.Kind)
	}
	return ended, lines
}

// completed runs a job that must complete and reads its result into v.
func completed(t *testing.T, r *python.Runtime, j *exec.Job, v any) []wire.LogLine {
	t.Helper()
	ended, lines := run(t, r, j)
	if ended.Kind != wire.Completed {
		t.Fatalf("ended %s: %+v", ended.Kind, ended.Error)
	}
	if err := json.Unmarshal(ended.Result, v); err != nil {
		t.Fatal(err)
	}
	return lines
}

// failed runs a job that must fail with an error of this type.
func failed(t *testing.T, r *python.Runtime, j *exec.Job, kind string) *wire.Error {
	t.Helper()
	ended, _ := run(t, r, j)
	if ended.Kind != wire.Failed || ended.Error == nil {
		t.Fatalf("ended %s with result %.200s, not Failed", ended.Kind, ended.Result)
	}
	if ended.Error.Type != kind {
		t.Fatalf("failed with %s (%s), not %s", ended.Error.Type, ended.Error.Message, kind)
	}
	return ended.Error
}

// pidOf returns the process that serves a job.
func pidOf(t *testing.T, r *python.Runtime, j *exec.Job) int {
	t.Helper()
	var pid int
	completed(t, r, j, &pid)
	return pid
}

const getpid = "import os\ndef execute(current_user, **kwargs):\n    return os.getpid()\n"

// watch returns a function that waits until the process has ended, and says
// whether it did within ten seconds.
func watch(t *testing.T, pid int) func() bool {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return func() bool { return true }
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return func() bool {
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
			if err != unix.EINTR {
				return n == 1
			}
		}
	}
}

func texts(lines []wire.LogLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Stream + "|" + l.Text + "\n")
	}
	return b.String()
}

func TestMain(m *testing.M) {
	if os.Getenv("BELFRY_TEST_ABANDON") != "" {
		abandon()
		return
	}
	code := m.Run()
	if left := leaked(); code == 0 && left != "" {
		fmt.Fprintln(os.Stderr, "goroutines are left after all runtimes were closed:\n"+left)
		code = 1
	}
	os.Exit(code)
}

// leaked gives five seconds to goroutines of the package that are about to
// end, and returns those that did not.
func leaked() string {
	for begun := time.Now(); ; runtime.Gosched() {
		buf := make([]byte, 1<<20)
		all := string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(all, "exec/python.(") {
			return ""
		}
		if time.Since(begun) > 5*time.Second {
			return all
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
