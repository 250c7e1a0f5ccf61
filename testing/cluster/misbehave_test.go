package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/cluster"
)

// misbehavior is what a function does, and what its run comes to. In the body
// EXECUTOR stands for the process of the node, KEY for a file of its data directory.
type misbehavior struct {
	body string
	kind string // of the error; "*": any; "": the run is Completed
	says string // is in the message of the error

	timeout string // 30s, if it does not say
	cpu     string // the limit of its processor time
	env     string // a variable that it wants
	stopped eventlog.Stop
}

// misbehaviors are the one table of what functions do that they should not.
func misbehaviors() map[string]misbehavior {
	const eperm, eacces = "Operation not permitted", "Permission denied"
	return map[string]misbehavior{
		// Files.
		"reads the data directory": {body: "open('KEY').read()", kind: "PermissionError", says: eacces},
		"lists a directory":        {body: "import os; os.listdir('/home')", kind: "PermissionError", says: eacces},
		"reads shadow":             {body: "open('/etc/shadow').read()", kind: "PermissionError", says: eacces},
		"writes to /tmp":           {body: "open('/tmp/belfry-was-here', 'w')", kind: "PermissionError", says: eacces},
		"writes to the libraries":  {body: "open('/usr/lib/belfry-was-here', 'w')", kind: "PermissionError", says: ""},
		"opens a device":           {body: "open('/dev/ptmx', 'rb')", kind: "PermissionError", says: eacces},
		"makes a device":           {body: "import os, stat; os.mknod('null', 0o600 | stat.S_IFCHR, os.makedev(1, 3))", kind: "PermissionError", says: ""},
		"reads another's memory":   {body: "open('/proc/EXECUTOR/mem', 'rb').read(1)", kind: "PermissionError", says: eacces},
		"reads the environment":    {body: "open('/proc/EXECUTOR/environ').read()", kind: "PermissionError", says: eacces},
		"reads a neighbour":        {body: "import os; os.listdir('..')", kind: "PermissionError", says: eacces},
		"links out":                {body: "import os; os.symlink('KEY', 'x'); open('x').read()", kind: "PermissionError", says: eacces},
		"fills the disk":           {body: "f = open('x', 'wb')\nf.truncate(2 << 30)", kind: "OSError", says: "File too large"},
		// Processes.
		"kills the executor":  {body: "import os; os.kill(EXECUTOR, 9)", kind: "PermissionError", says: eperm},
		"kills its parent":    {body: "import os; os.kill(os.getppid(), 9)", kind: "PermissionError", says: eperm},
		"kills everything":    {body: "import os; os.kill(-1, 9); os.kill(os.getpid(), 9)", kind: "*", says: ""},
		"kills init":          {body: "import os; os.kill(1, 9)", kind: "PermissionError", says: eperm},
		"forks without end":   {body: "import os\nwhile True: os.fork()", kind: "BlockingIOError", says: "a run may have 64 processes and threads"},
		"threads without end": {body: "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()", kind: "RuntimeError", says: "a run may have 64 processes and threads"},
		"opens without end":   {body: "f = []\nwhile True: f.append(open('/dev/null'))", kind: "OSError", says: "a run may have 256 files open"},
		"raises its limits":   {body: "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))", kind: "ValueError", says: ""},
		"becomes root":        {body: "import os; os.setuid(0)", kind: "PermissionError", says: eperm},
		// The kernel.
		"traces":          {body: "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True)\nif libc.ptrace(16, os.getppid(), 0, 0): raise OSError(ctypes.get_errno(), 'ptrace')", kind: "PermissionError", says: "ptrace"},
		"mounts":          {body: "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\nif libc.mount(b'x', b'/', b'tmpfs', 0, None): raise OSError(ctypes.get_errno(), 'mount')", kind: "PermissionError", says: "mount"},
		"new namespaces":  {body: "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\nif libc.unshare(0x10000000): raise OSError(ctypes.get_errno(), 'unshare')", kind: "PermissionError", says: "unshare"},
		"changes root":    {body: "import os; os.chroot('.')", kind: "PermissionError", says: eperm},
		"sets the clock":  {body: "import time; time.clock_settime(time.CLOCK_REALTIME, 0)", kind: "PermissionError", says: eperm},
		"sets the name":   {body: "import socket; socket.sethostname('x')", kind: "PermissionError", says: eperm},
		"loads a program": {body: "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\nif libc.syscall(321, 0, 0, 0) < 0: raise OSError(ctypes.get_errno(), 'bpf')", kind: "PermissionError", says: "bpf"},
		// The protocol and the shim.
		"reads stdin":            {body: "import sys; sys.stdin.read()", kind: "UnsupportedOperation", says: "no standard input"},
		"schedules what is not":  {body: "import valstorm; valstorm.schedule('nobody', after=1)", kind: "ScheduleRefused", says: "there is no function"},
		"schedules never":        {body: "import valstorm; valstorm.schedule('nobody', at='tomorrow')", kind: "ScheduleRefused", says: "not a time that exists"},
		"schedules too much":     {body: "import valstorm; valstorm.schedule('nobody', after=1, data={'x': 'x' * 300_000})", kind: "ValueError", says: "262144 are allowed"},
		"input":                  {body: "input()", kind: "*", says: ""},
		"reads descriptor 0":     {body: "import os; os.read(0, 1)", kind: "OSError", says: "Bad file descriptor"},
		"closes everything":      {body: "import os; os.closerange(0, 1000)", kind: "WorkerCrashed", says: ""},
		"writes to the protocol": {body: "import os; os.write(4, b'x' * 100)", kind: "WorkerCrashed", says: "it sent"},
		"patches json":           {body: "import json; json.dumps = json.loads = json.JSONEncoder = None; 1 / 0", kind: "ZeroDivisionError", says: "division by zero"},
		"patches the shim":       {body: "import belfry_shim.outcome as o; o.encode = None; raise ValueError('still told')", kind: "ValueError", says: "still told"},
		"shadows builtins":       {body: "import builtins; builtins.len = builtins.str = None; 1 / 0", kind: "*", says: ""},
		"exits":                  {body: "import sys; sys.exit(3)", kind: "SystemExit", says: "3"},
		"exits at once":          {body: "import os; os._exit(3)", kind: "WorkerCrashed", says: "exit status 3"},
		"segfaults":              {body: "import ctypes; ctypes.string_at(0)", kind: "WorkerCrashed", says: "segmentation fault"},
		"returns 50 MB":          {body: "return 'x' * 50_000_000", kind: "ResultTooLarge", says: "262144 are allowed"},
		"returns no JSON":        {body: "import datetime; return {'rows': [{'when': datetime.datetime.now()}]}", kind: "ResultNotJSON", says: "result.rows[0].when"},
		"nests its result":       {body: "a = []\nfor _ in range(100000): a = [a]\nreturn a", kind: "ResultNotJSON", says: "nested"},
		"recurses":               {body: "f = lambda: f()\nf()", kind: "RecursionError", says: ""},
		"needs memory":           {body: "x = bytearray(1 << 30)", kind: "MemoryLimitExceeded", says: "536870912 bytes"},
		"surrogates":             {body: "raise ValueError('\\ud800')", kind: "ValueError", says: `\ud800`},
		"a message of megabytes": {body: "raise ValueError('é' * 10_000_000)", kind: "ValueError", says: "bytes cut"},
		"raises in str":          {body: "class E(Exception):\n    def __str__(self): raise KeyError\nraise E", kind: "E", says: "no readable message"},
		// Time.
		"sleeps too long":       {body: "import time; time.sleep(1000)", timeout: "3s", kind: "Timeout", says: "no result within 3s", stopped: eventlog.StopAsked},
		"awaits too long":       {body: "import asyncio; asyncio.run(asyncio.sleep(1000))", timeout: "3s", kind: "Timeout", says: "no result within", stopped: eventlog.StopAsked},
		"ends when told":        {body: "import time, valstorm\ntry: time.sleep(1000)\nexcept valstorm.TimedOut: return 'too late'", timeout: "3s", kind: "Timeout", says: "no result within", stopped: eventlog.StopAsked},
		"goes on when told":     {body: "import time\nwhile True:\n    try: time.sleep(1000)\n    except BaseException: pass", timeout: "3s", kind: "Timeout", says: "no result within", stopped: eventlog.StopKilled},
		"hears nothing":         {body: "return sum(range(10 ** 12))", timeout: "3s", kind: "Timeout", says: "no result within", stopped: eventlog.StopKilled},
		"takes the processor":   {body: "while True: pass", cpu: "300ms", kind: "CPULimitExceeded", says: "more than the 300ms of processor time"},
		"has a child take it":   {body: "import subprocess; subprocess.run(['sh', '-c', 'while :; do :; done'])", cpu: "300ms", kind: "CPULimitExceeded", says: "more than the 300ms"},
		"wants what is not":     {body: "return 1", env: "NOT_GIVEN", kind: "VariableMissing", says: "NOT_GIVEN"},
		"prints 100 MB":         {body: "print('x' * 100_000_000)"},
		"prints past Python":    {body: "import os\nfor _ in range(1000): os.write(1, b'x' * 65536)"},
		"leaves a child":        {body: "import subprocess; subprocess.Popen(['setsid', 'sleep', '1000'])"},
		"answers twice":         {body: "import os\nif os.fork() == 0: return 'child'\nos.wait()"},
		"changes its directory": {body: "import os; os.mkdir('x', 0); os.chmod('.', 0)"},
	}
}

// Misbehaving code ends its own run, with a reason, and nobody else's: all of it in
// one node with its executor, several at a time, and a good function beside them.
func TestMisbehavingCode(t *testing.T) {
	t.Parallel()
	p := restricted(t)
	c := p.Client(api.Admin)
	stop := beside(t, p.Client(api.Admin))
	said := strings.NewReplacer("EXECUTOR", fmt.Sprint(p.Pid()), "KEY", filepath.Join(p.Dir, "executors.key"))
	runs := map[string]string{}
	for name, m := range misbehaviors() {
		f := api.FunctionInput{Name: text(name), Code: text(body(said.Replace(m.body))), Timeout: text("30s"), Isolation: text("fresh")}
		if m.timeout != "" {
			f.Timeout = &m.timeout
		}
		if m.cpu != "" {
			f.CPULimit = &m.cpu
		}
		if m.env != "" {
			f.Env = &[]string{m.env}
		}
		if _, err := c.CreateFunction(t.Context(), f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		i, err := c.CreateItem(t.Context(), api.ItemInput{Name: &name, RunDateTime: text("2020-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: name}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		runs[name] = i.ID
	}
	for name := range misbehaviors() {
		if _, err := c.WaitItem(t.Context(), runs[name]); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	waited := handedBack(t, p)
	for name, m := range misbehaviors() {
		ended, err := c.GetItem(t.Context(), runs[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		run, err := c.GetRun(t.Context(), ended.Run)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if wrong := m.judge(ended, run, 1+waited[ended.ID]); wrong != "" {
			t.Errorf("%s: %s", name, wrong)
		}
	}
	ran := stop()
	v := cluster.Judge(t, p.Conn())
	v.Violations = nil // reported by Judge
	v.AllEnded()
	cluster.Report(t, v)
	completed, back := 0, handedBack(t, p)
	for _, r := range v.Runs { // of calls: the good one's
		if r.Status == string(api.Completed) && len(r.Claims) == 1+back[r.ID] {
			completed++
		}
	}
	if completed != ran || len(v.Runs) != ran || ran < 10 {
		t.Errorf("beside %d misbehaving functions the good one ran %d times, of which %d are in the log as completed at once", len(runs), ran, completed)
	}
	t.Logf("%d misbehaving functions, and beside them %d runs of a good one", len(runs), ran)
}

// handedBack is how many attempts of each item, or run of a call, waited for a slot
// behind those that hang, so that they were never started.
func handedBack(t *testing.T, p *cluster.Process) map[string]int {
	t.Helper()
	count := map[string]int{}
	for _, c := range cluster.Commits(t, p.Conn()) {
		var events []struct {
			Type    eventlog.Type
			Subject string
			Data    struct{ Reason eventlog.Interruption }
		}
		if err := json.Unmarshal(c.Body, &events); err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if (e.Type == eventlog.TypeItemInterrupted || e.Type == eventlog.TypeRunInterrupted) && e.Data.Reason == eventlog.InterruptionHandedBack {
				count[e.Subject]++
			}
		}
	}
	return count
}

// judge says what is wrong with the end of a run, which is this attempt's.
func (m misbehavior) judge(i api.Item, r api.Run, attempt int) string {
	kind, message, status := "", "", api.Completed
	if r.Error != nil {
		kind, message = r.Error.Type, r.Error.Message
	}
	if m.kind != "" {
		status = api.Failed
	}
	ran := eventlog.Sandbox("restricted")
	if m.env != "" {
		ran = "" // it did not
	}
	switch {
	case i.Status != status || r.Status != status || r.Attempt != attempt:
		return fmt.Sprintf("the item is %s and its run %s at attempt %d, not %s at %d: %s %.300s", i.Status, r.Status, r.Attempt, status, attempt, kind, message)
	case m.kind == "*" && kind == "", m.kind != "*" && kind != m.kind, !strings.Contains(message, m.says):
		return fmt.Sprintf("%s: %s, not %s: … %s", kind, fmt.Sprintf("%.300s", message), m.kind, m.says)
	case m.stopped != "" && r.Stopped != m.stopped:
		return fmt.Sprintf("it was stopped by %q, not %q", r.Stopped, m.stopped)
	case r.Sandbox != ran:
		return fmt.Sprintf("it ran in %q", r.Sandbox)
	}
	return ""
}

// restricted starts a node whose functions run at that level.
func restricted(t *testing.T) *cluster.Process {
	t.Helper()
	p := cluster.New(t, "--sandbox", "restricted")
	if err := p.Try(); err != nil {
		if strings.Contains(err.Error(), "cannot be had") && !mustRestrict() {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	return p
}

// body is the code of a function that does this.
func body(does string) string {
	return "def execute(current_user, **kwargs):\n    " + strings.ReplaceAll(does, "\n", "\n    ") + "\n"
}

// beside runs a good function again and again, by calls, until the returned
// function is called, which tells how often it ran. Each run is the
// next of one and the same worker: neither it nor the worker is disturbed.
func beside(t *testing.T, c *client.Client) (stop func() (ran int)) {
	t.Helper()
	f := create(t, c, "good", "import os\ncount = 0\ndef execute(current_user, **kwargs):\n    global count\n    count += 1\n    return [os.getpid(), count]\n")
	ctx, cancel := context.WithCancel(t.Context())
	ran, worker := 0, 0
	again := func() bool {
		r, err := c.RunFunction(t.Context(), api.Call{ID: f.ID, Wait: "1m"})
		if err != nil || r.Status != api.Completed {
			t.Errorf("run %d of the good function is %s: %+v, %v", ran+1, r.Status, r.Error, err)
			return false
		}
		ran++
		var pid, count int
		if _, err := fmt.Sscanf(string(r.Result), "[%d,%d]", &pid, &count); err != nil || count != ran || worker != 0 && pid != worker {
			t.Errorf("run %d of the good function was the %d. of process %d, before it was %d: %v", ran, count, pid, worker, err)
			return false
		}
		worker = pid
		return true
	}
	again()
	var loop sync.WaitGroup
	loop.Go(func() {
		for ctx.Err() == nil && again() {
		}
	})
	return func() int {
		cancel()
		loop.Wait()
		return ran
	}
}
