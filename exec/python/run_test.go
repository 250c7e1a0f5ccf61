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

func TestGuideExample(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, `
from valstorm.models import User

def execute(current_user: User, **kwargs):
    target_email = kwargs.get("target_email")
    print(f"Hello {current_user.name}, sending email to {target_email}")
    return {"status": "success"}
`)
	j.Data = jsontext.Value(`{"target_email":"joe@example.com"}`)
	before := time.Now()
	ended, lines := run(t, r, j)
	if ended.Kind != wire.Completed || string(ended.Result) != `{"status":"success"}` {
		t.Fatalf("ended %s: %s %+v", ended.Kind, ended.Result, ended.Error)
	}
	if got, want := texts(lines), "stdout|Hello Ada Lovelace, sending email to joe@example.com\n"; got != want {
		t.Errorf("printed %q, not %q", got, want)
	}
	if at := lines[0].Time; at.Before(before) || at.After(ended.Finished) {
		t.Errorf("a line of %s in a run from %s to %s", at, before, ended.Finished)
	}
	if ended.Started.Before(before) || ended.Finished.Before(ended.Started) {
		t.Errorf("begun %s, started %s, finished %s", before, ended.Started, ended.Finished)
	}
}

func TestAsync(t *testing.T) {
	r := open(t, python.Config{})
	var got []int
	completed(t, r, job(t, `
import asyncio
async def double(n):
    await asyncio.sleep(0)
    return 2 * n
async def execute(current_user, **kwargs):
    return await asyncio.gather(double(1), double(2))
`), &got)
	if len(got) != 2 || got[0] != 2 || got[1] != 4 {
		t.Errorf("got %v", got)
	}
	failed(t, r, job(t, "async def execute(current_user, **kwargs): raise LookupError('no')"), "LookupError")
}

func TestWhatCodeSees(t *testing.T) {
	r := open(t, python.Config{Env: map[string]string{"SHOWN": "yes"}})
	j := job(t, `
import os, sys, datetime
from valstorm import run
import valstorm
def execute(current_user, **kwargs):
    return {
        "run": [run.id, run.attempt, run.function, run.function_id, run.function_version, run.source.kind, run.source.id],
        "due": run.scheduled_for.isoformat(), "utc": run.scheduled_for.tzinfo is datetime.timezone.utc,
        "same": valstorm.run is run,
        "user": [current_user.id, current_user.name, current_user.email, current_user.shoe_size, current_user.is_superuser],
        "data": kwargs, "env": os.environ.get("SHOWN"), "secret": os.environ.get("HOME") == os.getcwd(),
        "files": os.listdir("."), "descriptors": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:3],
    }
`)
	j.Env = []string{"SHOWN"}
	j.User = jsontext.Value(`{"id":"ada","name":"Ada L.","email":"a@b.c","shoe_size":38}`)
	j.Data = jsontext.Value(`{"π":[1,2.5,null,true,"x"],"big":123456789012345678901234567890,"":{"a b":1}}`)
	ended, _ := run(t, r, j)
	want := `{"run":["run_1",1,"send mail","fun_TestWhatCodeSees",1,"item","sci_1"],` +
		`"due":"2026-03-01T12:00:00.250000+00:00","utc":true,"same":true,` +
		`"user":["ada","Ada L.","a@b.c",38,null],` +
		`"data":{"π":[1,2.5,null,true,"x"],"big":123456789012345678901234567890,"":{"a b":1}},` +
		`"env":"yes","secret":true,"files":[],"descriptors":[0,1,2]}`
	if string(ended.Result) != want {
		t.Errorf("got  %s %+v\nwant %s", ended.Result, ended.Error, want)
	}
}

func TestOutput(t *testing.T) {
	r, does := open(t, python.Config{}), warm(t)
	for name, c := range map[string]struct{ body, want string }{
		"print":         {`print("a", 1); print(); print("b\nc")`, "stdout|a 1\nstdout|\nstdout|b\nstdout|c\n"},
		"stderr":        {`import sys; print("a", file=sys.stderr)`, "stderr|a\n"},
		"partial":       {`print("a", end=""); print("b", end="")`, "stdout|ab\n"},
		"flushed parts": {`print("a", end="", flush=True); print("b")`, "stdout|ab\n"},
		"logging": {"import logging\nlogging.debug('no')\nlogging.info('a %d', 1)\nlogging.getLogger('x.y').warning('b')",
			"log|INFO root: a 1\nlog|WARNING x.y: b\n"},
		"warnings":    {`import sys; sys.stderr.buffer.write(b"\xffraw\n")`, `stderr|\xffraw` + "\n"},
		"unicode":     {`print("héllo 世界 🎉")`, "stdout|héllo 世界 🎉\n"},
		"surrogates":  {`print("a\udcffb")`, `stdout|a\udcffb` + "\n"},
		"descriptor":  {`import os; os.write(1, b"raw\n"); os.write(2, b"err\xff")`, "stdout|raw\nstderr|err\uFFFD\n"},
		"subprocess":  {`import subprocess; subprocess.run(["echo", "from a child"], check=True)`, "stdout|from a child\n"},
		"stdout file": {`import subprocess, sys; subprocess.run(["echo", "x"], stdout=sys.stdout, check=True)`, "stdout|x\n"},
		"replaced":    {`import sys, io; sys.stdout = io.StringIO(); print("lost")`, ""},
		"after":       {`print("back")`, "stdout|back\n"},
		"crlf":        {`print("a\r")`, "stdout|a\n"},
		"fork":        {"import os, sys\nif os.fork() == 0:\n    print('child')\n    os._exit(0)\nos.wait()", "stdout|child\n"},
		"thread":      {"import threading\nw = threading.Thread(target=print, args=('t',))\nw.start()\nw.join()", "stdout|t\n"},
	} {
		t.Run(name, func(t *testing.T) {
			ended, lines := run(t, r, does(c.body))
			if ended.Kind != wire.Completed {
				t.Fatalf("ended %s: %+v", ended.Kind, ended.Error)
			}
			if got := texts(lines); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestOutputBeforeACrashIsKept(t *testing.T) {
	r := open(t, python.Config{})
	_, lines := run(t, r, job(t, execute(`import os; print("one"); os.write(1, b"two\n"); print("three", end="", flush=True); os._exit(1)`)))
	for _, want := range []string{"one", "two", "three"} {
		if !strings.Contains(texts(lines), want) {
			t.Errorf("%q was lost: %q", want, texts(lines))
		}
	}
}

func TestFloodsOfOutputAreCounted(t *testing.T) {
	r := open(t, python.Config{})
	const written = 5 << 20
	for name, body := range map[string]string{
		"print":      `for _ in range(5 * 1024): print("x" * 1023)`,
		"one line":   `print("x" * (5 * 1024 * 1024 - 1))`,
		"descriptor": "import os\nfor _ in range(5 * 1024): os.write(1, b'x' * 1023 + b'\\n')",
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var kept, lines int64
			ended := r.Run(t.Context(), job(t, execute(body)), func(l wire.LogLine) {
				mu.Lock()
				defer mu.Unlock()
				kept += int64(len(l.Text))
				lines++
			})
			if ended.Kind != wire.Completed {
				t.Fatalf("ended %s: %+v", ended.Kind, ended.Error)
			}
			if kept > 1<<20+64<<10 || kept < 1<<19 {
				t.Errorf("%d bytes kept", kept)
			}
			if total := kept + ended.Dropped; total > written || total < written-lines-1 {
				t.Errorf("%d bytes kept and %d dropped, of %d", kept, ended.Dropped, written)
			}
		})
	}
}

func TestStartedIsTheFirstLine(t *testing.T) {
	r := open(t, python.Config{})
	var at struct{ Loaded, Inside int64 }
	j := job(t, `
import time
time.sleep(0.05)
loaded = time.time_ns()
def execute(current_user, **kwargs):
    inside = time.time_ns()
    return {"loaded": loaded, "inside": inside}
`)
	for range 3 {
		ended, _ := run(t, r, j)
		if err := unmarshal(ended.Result, &at); err != nil {
			t.Fatal(err)
		}
		if s := ended.Started.UnixNano(); s < at.Loaded || s > at.Inside {
			t.Errorf("started %d, but the module was loaded %d and the first line ran %d", s, at.Loaded, at.Inside)
		}
	}
}

func TestCancelEndsARunAtOnce(t *testing.T) {
	r := open(t, python.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := r.Run(ctx, job(t, execute("print('here')\nwhile True: pass")), func(wire.LogLine) { cancel() })
	if ended.Kind != wire.Canceled || ended.Started.IsZero() {
		t.Errorf("ended %s, started %s", ended.Kind, ended.Started)
	}
	if ended := r.Run(ctx, job(t, getpid), func(wire.LogLine) {}); ended.Kind != wire.Canceled {
		t.Errorf("a run that was canceled before it began ended %s", ended.Kind)
	}
}
