package python_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/exec/python"
	"github.com/belfryhq/belfry/exec/wire"
)

// beside runs a good function again and again, on one worker, until the
// returned function is called, which says how often it ran. Any other end
// than success, or of its worker, fails the test.
func beside(t *testing.T, r *python.Runtime) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	good := job(t, getpid)
	good.Function = "fun_good"
	pid := pidOf(t, r, good)
	var wg sync.WaitGroup
	ran := 0
	wg.Go(func() {
		for ctx.Err() == nil {
			ended := r.Run(t.Context(), good, func(wire.LogLine) {})
			var got int
			if ended.Kind != wire.Completed || unmarshal(ended.Result, &got) != nil || got != pid {
				t.Errorf("the good function ended %s with %s on a worker that was %d: %+v", ended.Kind, ended.Result, pid, ended.Error)
				return
			}
			ran++
		}
	})
	return func() int { cancel(); wg.Wait(); return ran }
}

// An answer that code forges is held to the limits as well.
func TestAForgedResultIsHeldToTheLimit(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, execute("import os\nf = b'd' + bytes(7) + b'\\1' + bytes(17) + b'\"' + b'x' * 300_000 + b'\"'\n"+
		"f = len(f).to_bytes(4, 'big') + f\nwhile f: f = f[os.write(4, f):]\nimport time; time.sleep(1000)"))
	j.Timeout = 30 * time.Second
	failed(t, r, j, "ResultTooLarge")
}

// Who has more to say than one answer serves nobody else.
func TestTwoAnswersRetireAWorker(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, execute("import os\nf = b'd' + bytes(7) + b'\\1' + bytes(16) + b'\\1' + b'1'\n"+
		"if not kwargs: os.write(4, 2 * (bytes([0, 0, 0, len(f)]) + f))\nreturn 2"))
	var n int
	completed(t, r, j, &n)
	j.Data = jsontext.Value(`{"honest":true}`)
	if completed(t, r, j, &n); n != 2 {
		t.Errorf("the next run came to %d, the answer to the one before", n)
	}
}

// forge is a body that writes a frame of its own making.
func forge(body string) string {
	return "import os; f = " + body + "; os.write(4, bytes([0, 0, 0, len(f)]) + f); return 1"
}

func TestCrashesEndTheirRunOnly(t *testing.T) {
	r := open(t, python.Config{RunsMax: 1 << 30})
	stop := beside(t, r)
	for name, c := range map[string]struct{ body, want string }{
		"exit":          {"import os; os._exit(3)", "exit status 3"},
		"exit 0":        {"import os; os._exit(0)", "exit status 0"},
		"segfault":      {"import ctypes; ctypes.string_at(0)", "segmentation fault"},
		"abort":         {"import os; os.abort()", "aborted"},
		"kill":          {"import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed"},
		"group":         {"import os, signal; os.killpg(0, signal.SIGTERM)", "terminated"},
		"closed":        {"import os; os.closerange(3, 1000)\nwhile True: pass", "closed its channel"},
		"closed, then":  {"import os; os.closerange(3, 1000); return 1", "exit status"},
		"another one":   {"import os; os.execv('/bin/sleep', ['sleep', '1000'])", "closed its channel"},
		"garbage":       {"import os; os.write(4, b'\\0\\0\\0\\2xx'); return 1", "too short"},
		"a huge frame":  {"import os; os.write(4, b'\\xff' * 8); return 1", "a frame of 4294967295 bytes"},
		"a wrong frame": {forge("b'h' + bytes(7) + b'\\1'"), "a frame of kind 'h'"},
		"another's run": {forge("b'd' + bytes(7) + b'\\7' + bytes(17) + b'1'"), "request 7"},
		"a short one":   {forge("b'd' + bytes(7) + b'\\1' + bytes(9)"), "too short"},
		"no result":     {forge("b'd' + bytes(7) + b'\\1' + bytes(17)"), "no JSON"},
		"bad output":    {forge("b'o' + bytes(7) + b'\\1' + bytes(8) + b'\\9x'"), "too short"},
		"C recursion":   {"import sys; sys.setrecursionlimit(10**8)\nf = lambda *a: f(*a)\nclass R:\n    def __repr__(self): return repr(self)\nrepr(R())", ""},
		"a bare fork":   {"import ctypes, os\nif ctypes.CDLL(None).fork() == 0: return 'from the child'\nos._exit(4)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := job(t, execute(c.body))
			j.Timeout = 30 * time.Second
			if name == "a bare fork" {
				j.Timeout = 500 * time.Millisecond // the child keeps the pipe open
			}
			ended, _ := run(t, r, j)
			if ended.Error == nil || (ended.Kind != wire.Failed && ended.Kind != wire.TimedOut) {
				t.Fatalf("ended %s with %s", ended.Kind, ended.Result)
			}
			if !strings.Contains(ended.Error.Message, c.want) {
				t.Errorf("%s: the message is %q, without %q", ended.Error.Type, ended.Error.Message, c.want)
			}
		})
	}
	if stop() == 0 {
		t.Error("the good function never ran")
	}
}

func TestAForkedChildNeverAnswers(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, execute("import os\nif os.fork() == 0: return 'child'\nos.wait()\nreturn 'parent'"))
	for range 3 {
		var got string
		completed(t, r, j, &got)
		if got != "parent" {
			t.Fatalf("the answer is the %s's", got)
		}
	}
	j = job(t, execute("import os\nif os.fork() == 0: raise ValueError\nos.wait()\nreturn 'parent'"))
	var got string
	completed(t, r, j, &got)
}

func TestWhatARunLeavesRunningIsKilled(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, execute(`import os, subprocess; return [os.getpid(), subprocess.Popen(["sleep", "1000"]).pid]`))
	var first, second [2]int
	completed(t, r, j, &first)
	if !watch(t, first[1])() {
		t.Error("the child of a run outlived it")
	}
	completed(t, r, j, &second)
	if first[0] == second[0] {
		t.Error("a worker was reused that had left a process behind")
	}
}

func TestTimeOutKillsTheWholeGroup(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, execute(`
import subprocess, time
if kwargs:
    child = subprocess.Popen(["sh", "-c", "sleep 1000 & echo $!; wait"])
    time.sleep(1000)`))
	var none any
	completed(t, r, j, &none) // a warm worker: the time is the function's
	j.Data, j.Timeout = jsontext.Value(`{"hang":true}`), 3*time.Second
	begun := time.Now()
	ended, lines := run(t, r, j)
	if ended.Kind != wire.TimedOut || ended.Error.Type != "Timeout" || ended.Error.Message != "no result within 3s" {
		t.Fatalf("ended %s: %+v", ended.Kind, ended.Error)
	}
	if ended.Started.Before(begun) || ended.Finished.Sub(begun) < j.Timeout {
		t.Errorf("begun %s, started %s, finished %s", begun, ended.Started, ended.Finished)
	}
	var grandchild int
	if len(lines) != 1 || unmarshal([]byte(lines[0].Text), &grandchild) != nil {
		t.Fatalf("printed %q", texts(lines))
	}
	if !watch(t, grandchild)() {
		t.Error("a grandchild outlived the time-out")
	}
}

func TestTimeOutIncludesLoading(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, "while True: pass\n"+execute("return 1"))
	j.Timeout = 500 * time.Millisecond
	ended, _ := run(t, r, j)
	if ended.Kind != wire.TimedOut || !ended.Started.IsZero() {
		t.Errorf("ended %s, started %s", ended.Kind, ended.Started)
	}
}

func TestTimeOutsAreNotPutOff(t *testing.T) {
	r := open(t, python.Config{})
	for name, body := range map[string]string{
		"catches all":   "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
		"ignores":       "import signal, time\nfor s in (signal.SIGTERM, signal.SIGINT): signal.signal(s, signal.SIG_IGN)\ntime.sleep(1000)",
		"in C":          "import re; re.match(r'(a+)+$', 'a' * 64 + 'b')",
		"in str":        "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
		"printing":      "while True: print('x' * 1000)",
		"writing":       "import os\nwhile True: os.write(1, b'x' * 1000)",
		"child writing": "import subprocess; subprocess.run(['yes'])",
	} {
		t.Run(name, func(t *testing.T) {
			j := job(t, execute(body))
			j.Timeout = 400 * time.Millisecond
			if ended, _ := run(t, r, j); ended.Kind != wire.TimedOut {
				t.Errorf("ended %s: %+v", ended.Kind, ended.Error)
			}
		})
	}
}

func TestMemoryLimit(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, execute("x = bytearray(kwargs['n']); return len(x)"))
	j.MemoryLimit = 64 << 20
	var n int
	j.Data = jsontext.Value(`{"n":50000000}`)
	completed(t, r, j, &n)
	j.Data = jsontext.Value(`{"n":70000000}`)
	failed(t, r, j, "MemoryLimitExceeded")
	j.Data = jsontext.Value(`{"n":50000000}`)
	completed(t, r, j, &n)

	grow := job(t, execute("x = []\nwhile True: x.append([0] * 1000)"))
	grow.MemoryLimit = 64 << 20
	failed(t, r, grow, "MemoryLimitExceeded")
	grow.MemoryLimit = 0
	grow.Code = execute("x = bytearray(200 << 20); return len(x)")
	completed(t, r, grow, &n)
}
