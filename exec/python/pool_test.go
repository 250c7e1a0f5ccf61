package python_test

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/exec/python"
	"github.com/belfryhq/belfry/exec/wire"
)

func TestWarmWorkersAreReused(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, "import os\ncount = 0\ndef execute(current_user, **kwargs):\n    global count\n    count += 1\n"+
		"    if kwargs.get('fail'): raise ValueError\n    return [os.getpid(), count, current_user.name]\n")
	var a, b []any
	completed(t, r, j, &a)
	j.Data = jsontext.Value(`{"fail":true}`)
	failed(t, r, j, "ValueError")
	j.Data, j.User = nil, jsontext.Value(`{"id":"ada","name":"Ada King"}`)
	completed(t, r, j, &b)
	if a[0] != b[0] || b[1] != 3.0 {
		t.Errorf("an orderly run did not leave its worker warm: %v, then %v", a, b)
	}
	if b[2] != "Ada King" {
		t.Errorf("the user's record is that of an earlier run: %v", b[2])
	}
}

// Code that was told to end may have stopped anywhere: its worker serves nobody else.
func TestStoppedWorkersAreRetired(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, "import os, time\n"+execute("if kwargs: time.sleep(1000)\nreturn os.getpid()"))
	first := pidOf(t, r, j)
	hang := *j
	hang.Data, hang.Timeout = jsontext.Value(`{"hang":true}`), 300*time.Millisecond
	if ended, _ := run(t, r, &hang); ended.Kind != wire.TimedOut || ended.Stopped != "asked" {
		t.Fatalf("ended %s, stopped by %q", ended.Kind, ended.Stopped)
	}
	if pidOf(t, r, j) == first {
		t.Error("a worker was reused whose run had been told to end")
	}
}

func TestWorkersServeOneKeyOnly(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, getpid)
	seen := map[int]string{pidOf(t, r, j): "the first"}
	for name, change := range map[string]func(){
		"user":     func() { j.UserID = "bob" },
		"version":  func() { j.Version = 2 },
		"function": func() { j.Function = "fun_other" },
		"code":     func() { j.Code += "# other\n" },
		"memory":   func() { j.MemoryLimit++ },
	} {
		change()
		pid := pidOf(t, r, j)
		if other, ok := seen[pid]; ok {
			t.Errorf("another %s ran on the worker of %s", name, other)
		}
		seen[pid] = name
	}
}

func TestTheWorkerUnusedForLongestGoes(t *testing.T) {
	r := open(t, python.Config{Idle: 2})
	j := job(t, getpid)
	run := func(user string) int { j.UserID = user; return pidOf(t, r, j) }
	a, b := run("a"), run("b")
	goneB := watch(t, b)
	if run("a") != a {
		t.Fatal("a's worker was not kept")
	}
	run("c")
	if !goneB() {
		t.Error("b's worker was kept beyond the bound")
	}
	if run("a") != a {
		t.Error("a's worker went, though b's was unused for longer")
	}
}

func TestIdleWorkersEndAfterTheirTime(t *testing.T) {
	r := open(t, python.Config{IdleFor: 50 * time.Millisecond})
	j := job(t, getpid)
	for range 2 {
		if !watch(t, pidOf(t, r, j))() {
			t.Fatal("an idle worker did not end")
		}
	}
}

func TestAWorkerKilledWhileIdleIsReplaced(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, getpid)
	pid := pidOf(t, r, j)
	gone := watch(t, pid)
	kill(t, pid)
	if !gone() {
		t.Fatal("not killed")
	}
	if pidOf(t, r, j) == pid {
		t.Error("a dead worker answered")
	}
}

func TestCloseKillsEverything(t *testing.T) {
	r, err := python.New(python.Config{})
	if err != nil {
		t.Fatal(err)
	}
	idle := watch(t, pidOf(t, r, job(t, getpid)))
	hung := job(t, execute("import os, subprocess\nprint(os.getpid()); print(subprocess.Popen(['sleep', '1000']).pid)\nwhile True: pass"))
	hung.Function = "fun_hung"
	pids, ended := make(chan int, 2), make(chan wire.OutcomeKind, 1)
	go func() {
		ended <- r.Run(t.Context(), hung, func(l wire.LogLine) {
			var pid int
			_ = unmarshal([]byte(l.Text), &pid)
			pids <- pid
		}).Kind
	}()
	worker, child := watch(t, <-pids), watch(t, <-pids)
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if kind := <-ended; kind != wire.Lost {
		t.Errorf("the run under way ended %s", kind)
	}
	if !idle() || !worker() || !child() {
		t.Error("a process outlived Close")
	}
	if kind := r.Run(t.Context(), hung, func(wire.LogLine) {}).Kind; kind != wire.Lost {
		t.Errorf("a run after Close ended %s", kind)
	}
	if _, err := r.Check(t.Context(), "f", "x"); err == nil {
		t.Error("a check after Close was answered")
	}
}

func TestCloseLeavesNoDescriptors(t *testing.T) {
	var before int
	for round := range 2 { // what the first leaves is the poller's
		r, err := python.New(python.Config{})
		if err != nil {
			t.Fatal(err)
		}
		pidOf(t, r, job(t, getpid))
		failed(t, r, job(t, execute("import os; os._exit(1)")), "WorkerCrashed")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if n := descriptors(t); round > 0 && n > before {
			t.Errorf("%d files are open, %d were before", n, before)
		}
		before = descriptors(t)
	}
}
