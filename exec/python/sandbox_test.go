package python_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"

	"github.com/belfryhq/belfry/exec/python"
	"github.com/belfryhq/belfry/exec/wire"
)

// offers says whether a level can be had here.
func offers(r *python.Runtime, level python.Level) bool {
	for _, o := range r.Offers() {
		if o.Level == level {
			return o.Why == ""
		}
	}
	return false
}

// What a function starts does not outlive its run, wherever it hides.
func TestNothingIsLeftRunning(t *testing.T) {
	r := open(t, python.Config{})
	for name, body := range map[string]string{
		"a daemon": "import os\nr, w = os.pipe()\nif os.fork() == 0:\n    os.setsid()\n    pid = os.fork()\n    if pid:\n        os.write(w, b'%d' % pid); os._exit(0)\n" +
			"    import time; time.sleep(1000)\nreturn int(os.read(r, 20))",
		"an orphan": "import os, time\nr, w = os.pipe()\nchild = os.fork()\nif child == 0:\n    os.setsid()\n    pid = os.fork()\n" +
			"    if pid:\n        os.write(w, b'%d' % pid); os._exit(0)\n    time.sleep(1000)\nos.waitpid(child, 0)\nreturn int(os.read(r, 20))",
		"a session": "import subprocess; return subprocess.Popen(['setsid', 'sleep', '1000']).pid",
	} {
		t.Run(name, func(t *testing.T) {
			if !watch(t, pidOf(t, r, job(t, execute(body))))() {
				t.Error("it outlived the run")
			}
		})
	}
}

// Nothing outruns the end of a run that forks whenever there is room, each process in a
// session of its own.
func TestNoForkOutrunsTheEnd(t *testing.T) {
	r := open(t, python.Config{})
	if os.Geteuid() != 0 || r.Level() != python.LevelRestricted {
		t.Skip("workers have no users of their own here")
	}
	var uid uint32
	j := job(t, execute(`import os, time
if os.fork() == 0:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if os.fork() == 0: os.setsid()
        except OSError: pass
    os._exit(0)
return os.getuid()`))
	j.ProcessLimit = 16
	completed(t, r, j, &uid)
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		left := 0
		all, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range all {
			var s unix.Stat_t
			if unix.Stat(path, &s) == nil && s.Uid == uid {
				left++
			}
		}
		if left == 0 {
			return
		}
		if time.Since(begun) > 20*time.Second { // it ends by itself later
			t.Fatalf("%d processes of the run's user outlived it", left)
		}
	}
}

// A function's own limits of processes and files count, not the standard ones.
func TestLimitsOfAFunction(t *testing.T) {
	r := open(t, python.Config{})
	files := job(t, execute("kept = []\nwhile True: kept.append(open('/dev/null'))"))
	files.FileLimit = 32
	if err := failed(t, r, files, "OSError"); !strings.Contains(err.Message, "a run may have 32 files open") {
		t.Error(err.Message)
	}
	if r.Level() != python.LevelRestricted || os.Geteuid() != 0 { // other users' processes count, root's do not
		return
	}
	threads := job(t, execute("import threading, time\nfor n in range(kwargs['n']): threading.Thread(target=time.sleep, args=(0.5,), daemon=True).start()\nreturn n"))
	threads.ProcessLimit = 8
	var n int
	threads.Data = jsontext.Value(`{"n":6}`)
	completed(t, r, threads, &n)
	threads.Data = jsontext.Value(`{"n":20}`)
	if err := failed(t, r, threads, "RuntimeError"); !strings.Contains(err.Message, "a run may have 8 processes and threads") {
		t.Error(err.Message)
	}
}

// Code is told that its time is over, and killed only if it goes on.
func TestCodeIsToldToEnd(t *testing.T) {
	r := open(t, python.Config{})
	for name, c := range map[string]struct{ body, stopped, printed string }{
		"ends":     {"import time\ntry:\n    time.sleep(100)\nfinally:\n    print('cleaned up')", "asked", "cleaned up"},
		"async":    {"import asyncio\nasync def main():\n    try:\n        await asyncio.sleep(100)\n    finally:\n        print('cleaned up')\nasyncio.run(main())", "asked", "cleaned up"},
		"goes on":  {"import time\nwhile True:\n    try:\n        time.sleep(100)\n    except BaseException as e:\n        print(type(e).__name__)", "killed", "TimedOut"},
		"in C":     {"return sum(range(10 ** 12))", "killed", ""},
		"swallows": {"import time\ntry:\n    time.sleep(100)\nexcept BaseException:\n    return 'too late'", "asked", ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := job(t, execute(c.body))
			j.Timeout = 2 * time.Second // the start of a worker is part of it
			ended, lines := run(t, r, j)
			if ended.Kind != wire.TimedOut || ended.Stopped != c.stopped || !strings.Contains(texts(lines), c.printed) {
				t.Errorf("ended %s, %s, having printed %q", ended.Kind, ended.Stopped, texts(lines))
			}
			if c.stopped == "asked" && name == "ends" && !strings.Contains(ended.Error.Traceback, "time.sleep(100)") {
				t.Errorf("the traceback does not say where it was: %s", ended.Error.Traceback)
			}
		})
	}
	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		j := job(t, execute("import time\ntry:\n    print('begun')\n    time.sleep(100)\nexcept BaseException as e:\n    print(type(e).__name__)\n    raise"))
		var said []string
		ended := r.Run(ctx, j, func(l wire.LogLine) { said = append(said, l.Text); cancel() })
		if ended.Kind != wire.Canceled || ended.Stopped != "asked" || len(said) != 2 || said[1] != "Canceled" {
			t.Errorf("ended %s, %s, having said %v", ended.Kind, ended.Stopped, said)
		}
	})
}

func TestProcessorTimeIsLimited(t *testing.T) {
	r := open(t, python.Config{})
	for name, body := range map[string]string{
		"itself":   "while True: pass",
		"children": "import subprocess, sys\nsubprocess.run(['sh', '-c', 'while :; do :; done'])",
	} {
		t.Run(name, func(t *testing.T) {
			j := job(t, execute(body))
			j.CPULimit = 300 * time.Millisecond
			failed(t, r, j, "CPULimitExceeded")
		})
	}
	idle := job(t, execute("import time; time.sleep(1); return 1"))
	idle.CPULimit = 300 * time.Millisecond
	var n int
	completed(t, r, idle, &n)
}

func TestFreshRunsShareNothing(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, getpid)
	j.Fresh = true
	first := pidOf(t, r, j)
	if !watch(t, first)() {
		t.Error("a worker was kept that no other run may have")
	}
	if second := pidOf(t, r, j); first == second {
		t.Error("a worker served two runs of a function that wants fresh ones")
	}
}

func TestWorkersAreRetiredAfterTheirRuns(t *testing.T) {
	r := open(t, python.Config{RunsMax: 2})
	j := job(t, getpid)
	if a, b, c := pidOf(t, r, j), pidOf(t, r, j), pidOf(t, r, j); a != b || b == c {
		t.Errorf("of two runs each, the workers were %d, %d, %d", a, b, c)
	}
}

// A worker that keeps much memory is looked at every 64 runs, and goes.
func TestGrownWorkersAreRetired(t *testing.T) {
	r := open(t, python.Config{})
	for name, c := range map[string]struct {
		keeps int
		goes  bool
	}{"slim": {1 << 20, false}, "grown": {300 << 20, true}} {
		j := job(t, fmt.Sprintf("import os\nkept = b'x' * %d\n", c.keeps)+execute("return os.getpid()"))
		first := pidOf(t, r, j)
		for range 63 {
			if pid := pidOf(t, r, j); pid != first {
				t.Fatalf("%s: it went early", name)
			}
		}
		if now := pidOf(t, r, j); (now != first) != c.goes {
			t.Errorf("%s: after 64 runs the worker is %d, it was %d", name, now, first)
		}
	}
}

// Secrets reach the functions that name them, and no output, result or error.
func TestSecretsAreConcealed(t *testing.T) {
	r := open(t, python.Config{Env: map[string]string{"TOKEN": "hunter2-xyzzy", "KEY": "line one\nline two", "OTHER": "not yours"}})
	j := job(t, execute(`
import os
if "fail" in kwargs: raise ValueError("the token is " + os.environ["TOKEN"])
print("token:", os.environ["TOKEN"]); os.write(1, os.environ["TOKEN"].encode() + b"\n"); print(os.environ["KEY"])
print("x" * (16 * 1024 - 5) + os.environ["TOKEN"])
return [os.environ["TOKEN"], len(os.environ["TOKEN"]), os.environ.get("OTHER")]`))
	j.Env = []string{"TOKEN", "KEY"}
	var got []any
	said := texts(completed(t, r, j, &got))
	if fmt.Sprint(got) != "[*** 13 <nil>]" {
		t.Errorf("it returned %v", got)
	}
	other := job(t, execute("return 1"))
	other.Env = []string{"NOT_GIVEN"}
	if err := failed(t, r, other, "VariableMissing"); !strings.Contains(err.Message, "NOT_GIVEN") {
		t.Errorf("it does not say which: %s", err.Message)
	}
	j.Data = jsontext.Value(`{"fail":true}`)
	err := failed(t, r, j, "ValueError")
	for _, secret := range []string{"hunter2", "xyzzy", "line one", "line two"} {
		if strings.Contains(said+err.Message+err.Traceback, secret) {
			t.Errorf("%q was told", secret)
		}
	}
	if strings.Count(said, "***") != 5 {
		t.Errorf("it said %.300q", said)
	}
}

func TestLevels(t *testing.T) {
	r := open(t, python.Config{Sandbox: python.LevelProcess})
	j := job(t, execute("import os; return [os.getuid(), 'HOME' in os.environ]"))
	for _, level := range python.Levels() {
		if !offers(r, level) {
			continue
		}
		j.Sandbox = string(level)
		ended, _ := run(t, r, j)
		want := max(string(level), "") // a function can want more than the executor's level, not less
		if level == python.LevelNone {
			want = "process"
		}
		if ended.Kind != wire.Completed || ended.Sandbox != want {
			t.Errorf("wanting %s it ended %s in %q: %+v", level, ended.Kind, ended.Sandbox, ended.Error)
		}
	}
	j.Sandbox = "airtight"
	failed(t, r, j, "SandboxUnavailable")
	if _, err := python.New(python.Config{Sandbox: "airtight"}); err == nil || !strings.Contains(err.Error(), "use none, process, restricted or isolated") {
		t.Error(err)
	}
}

// TestIsolated: no network, no processes but one's own.
func TestIsolated(t *testing.T) {
	r := open(t, python.Config{})
	if !offers(r, python.LevelIsolated) {
		t.Skipf("this machine offers no isolated sandbox: %v", r.Offers())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	body := fmt.Sprintf("import socket; socket.create_connection(('127.0.0.1', %d), 2).close(); return 1", listener.Addr().(*net.TCPAddr).Port)
	j := job(t, execute(body))
	var n int
	completed(t, r, j, &n) // the level restricted has the network
	j.Sandbox = "isolated"
	failed(t, r, j, "OSError")
	j = job(t, execute("import os; return [os.getpid(), os.getppid()]"))
	j.Sandbox = "isolated"
	var pids []int
	completed(t, r, j, &pids)
	if pids[0] != 1 || pids[1] != 0 {
		t.Errorf("it sees itself as %d, and %d above", pids[0], pids[1])
	}
}

// When the parent of workers is killed its workers end, and another one is started.
func TestTheParentIsReplaced(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, getpid)
	first := pidOf(t, r, j)
	gone := watch(t, first)
	for _, pid := range children() {
		kill(t, pid)
	}
	if !gone() {
		t.Error("a worker outlived its parent")
	}
	if pidOf(t, r, j) == first {
		t.Error("a dead worker answered")
	}
}
