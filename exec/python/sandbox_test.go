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

// TestMisbehavingCode is what each limit, and each escape that the level
// restricted closes, comes to: it ends its own run only, with an error that says
// what happened.
func TestMisbehavingCode(t *testing.T) {
	r := open(t, python.Config{RunsMax: 1 << 30})
	if r.Level() != python.LevelRestricted {
		t.Skipf("this machine offers no restricted sandbox: %v", r.Offers())
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("do not read me"), 0o644); err != nil {
		t.Fatal(err)
	}
	stop := beside(t, r)
	const eperm, eacces = "Operation not permitted", "Permission denied"
	for name, c := range map[string]struct{ body, kind, want string }{
		// Files.
		"reads the data directory": {fmt.Sprintf("open(%q).read()", secret), "PermissionError", eacces},
		"lists a directory":        {"import os; os.listdir('/home')", "PermissionError", eacces},
		"reads shadow":             {"open('/etc/shadow').read()", "PermissionError", eacces},
		"writes to /tmp":           {"open('/tmp/belfry-was-here', 'w')", "PermissionError", eacces},
		"writes to the libraries":  {"open('/usr/lib/belfry-was-here', 'w')", "PermissionError", ""},
		"opens a device":           {"open('/dev/ptmx', 'rb')", "PermissionError", eacces},
		"makes a device":           {"import os, stat; os.mknod('null', 0o600 | stat.S_IFCHR, os.makedev(1, 3))", "PermissionError", ""},
		"reads another's memory":   {fmt.Sprintf("open('/proc/%d/mem', 'rb').read(1)", os.Getpid()), "PermissionError", eacces},
		"reads the environment":    {fmt.Sprintf("open('/proc/%d/environ').read()", os.Getpid()), "PermissionError", eacces},
		"reads a neighbour":        {"import os; os.listdir('..')", "PermissionError", eacces},
		"links out":                {fmt.Sprintf("import os; os.symlink(%q, 'x'); open('x').read()", secret), "PermissionError", eacces},
		"fills the disk":           {"f = open('x', 'wb')\nf.truncate(2 << 30)", "OSError", "File too large"},
		// Processes.
		"kills the executor":  {fmt.Sprintf("import os; os.kill(%d, 9)", os.Getpid()), "PermissionError", eperm},
		"kills its parent":    {"import os; os.kill(os.getppid(), 9)", "PermissionError", eperm},
		"kills everything":    {"import os; os.kill(-1, 9); os.kill(os.getpid(), 9)", "*", ""},
		"kills init":          {"import os; os.kill(1, 9)", "PermissionError", eperm},
		"forks without end":   {"import os\nwhile True: os.fork()", "BlockingIOError", "a run may have 64 processes and threads"},
		"threads without end": {"import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()", "RuntimeError", "a run may have 64 processes and threads"},
		"opens without end":   {"f = []\nwhile True: f.append(open('/dev/null'))", "OSError", "a run may have 256 files open"},
		"raises its limits":   {"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))", "ValueError", ""},
		"becomes root":        {"import os; os.setuid(0)", "PermissionError", eperm},
		// The kernel.
		"traces":          {"import ctypes, os; libc = ctypes.CDLL(None, use_errno=True)\nif libc.ptrace(16, os.getppid(), 0, 0): raise OSError(ctypes.get_errno(), 'ptrace')", "PermissionError", "ptrace"},
		"mounts":          {"import ctypes; libc = ctypes.CDLL(None, use_errno=True)\nif libc.mount(b'x', b'/', b'tmpfs', 0, None): raise OSError(ctypes.get_errno(), 'mount')", "PermissionError", "mount"},
		"new namespaces":  {"import ctypes; libc = ctypes.CDLL(None, use_errno=True)\nif libc.unshare(0x10000000): raise OSError(ctypes.get_errno(), 'unshare')", "PermissionError", "unshare"},
		"changes root":    {"import os; os.chroot('.')", "PermissionError", eperm},
		"sets the clock":  {"import time; time.clock_settime(time.CLOCK_REALTIME, 0)", "PermissionError", eperm},
		"sets the name":   {"import socket; socket.sethostname('x')", "PermissionError", eperm},
		"loads a program": {"import ctypes; libc = ctypes.CDLL(None, use_errno=True)\nif libc.syscall(321, 0, 0, 0) < 0: raise OSError(ctypes.get_errno(), 'bpf')", "PermissionError", "bpf"},
		// The protocol and the shim.
		"reads stdin":            {"import sys; sys.stdin.read()", "UnsupportedOperation", "no standard input"},
		"input":                  {"input()", "*", ""},
		"reads descriptor 0":     {"import os; os.read(0, 1)", "OSError", "Bad file descriptor"},
		"closes everything":      {"import os; os.closerange(0, 1000)", "WorkerCrashed", ""},
		"writes to the protocol": {"import os; os.write(4, b'x' * 100)", "WorkerCrashed", "it sent"},
		"patches json":           {"import json; json.dumps = json.loads = json.JSONEncoder = None; 1 / 0", "ZeroDivisionError", "division by zero"},
		"patches the shim":       {"import belfry_shim.outcome as o; o.encode = None; raise ValueError('still told')", "ValueError", "still told"},
		"shadows builtins":       {"import builtins; builtins.len = builtins.str = None; 1 / 0", "*", ""},
		"exits":                  {"import sys; sys.exit(3)", "SystemExit", "3"},
		"exits at once":          {"import os; os._exit(3)", "WorkerCrashed", "exit status 3"},
		"segfaults":              {"import ctypes; ctypes.string_at(0)", "WorkerCrashed", "segmentation fault"},
		"returns 50 MB":          {"return 'x' * 50_000_000", "ResultTooLarge", "262144 are allowed"},
		"returns no JSON":        {"import datetime; return {'rows': [{'when': datetime.datetime.now()}]}", "ResultNotJSON", "result.rows[0].when"},
		"nests its result":       {"a = []\nfor _ in range(100000): a = [a]\nreturn a", "ResultNotJSON", "nested"},
		"recurses":               {"f = lambda: f()\nf()", "RecursionError", ""},
		"needs memory":           {"x = bytearray(1 << 30)", "MemoryLimitExceeded", "536870912 bytes"},
		"surrogates":             {"raise ValueError('\\ud800')", "ValueError", `\ud800`},
		"a message of megabytes": {"raise ValueError('é' * 10_000_000)", "ValueError", "bytes cut"},
		"raises in str":          {"class E(Exception):\n    def __str__(self): raise KeyError\nraise E", "E", "no readable message"},
	} {
		t.Run(name, func(t *testing.T) {
			j := job(t, execute(c.body))
			j.Timeout = 30 * time.Second
			ended, _ := run(t, r, j)
			switch {
			case ended.Kind != wire.Failed || ended.Error == nil:
				t.Fatalf("ended %s with %.200s", ended.Kind, ended.Result)
			case c.kind != "*" && ended.Error.Type != c.kind, !strings.Contains(ended.Error.Message, c.want):
				t.Errorf("%s: %s, not %s: … %s", ended.Error.Type, ended.Error.Message, c.kind, c.want)
			case ended.Sandbox != "restricted":
				t.Errorf("it ran in %q", ended.Sandbox)
			}
		})
	}
	if n := stop(); n == 0 {
		t.Error("the good function never ran")
	}
}

// What a function starts does not outlive its run, wherever it hides.
func TestNothingIsLeftRunning(t *testing.T) {
	r := open(t, python.Config{})
	for name, body := range map[string]string{
		"a daemon": "import os\nr, w = os.pipe()\nif os.fork() == 0:\n    os.setsid()\n    pid = os.fork()\n    if pid:\n        os.write(w, b'%d' % pid); os._exit(0)\n" +
			"    import time; time.sleep(1000)\nreturn int(os.read(r, 20))",
		"a session": "import subprocess; return subprocess.Popen(['setsid', 'sleep', '1000']).pid",
	} {
		t.Run(name, func(t *testing.T) {
			if !watch(t, pidOf(t, r, job(t, execute(body))))() {
				t.Error("it outlived the run")
			}
		})
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
			j.Timeout = 500 * time.Millisecond
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
	if first, second := pidOf(t, r, j), pidOf(t, r, j); first == second {
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
