package python_test

import (
	"context"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/python"
	"github.com/belfryhq/belfry/exec/wire"
)

// abandon is the body of a process that runs a function that hangs, says the
// pid of its worker, and is killed.
func abandon() {
	r, err := python.New(python.Config{Dir: os.Getenv("BELFRY_TEST_ABANDON")})
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Run(context.Background(), &exec.Job{
		Function: "fun_1", FunctionName: "hangs", Version: 1, Timeout: time.Minute,
		Code: execute("import os; print(os.getpid())\nwhile True: pass"),
	}, func(l wire.LogLine) { fmt.Println(l.Text) })
}

// An executor that is killed leaves no worker, and of their directories nothing
// outside its own, which its next start empties.
func TestWorkersEndWithTheirParent(t *testing.T) {
	parent, dir := osexec.Command(os.Args[0]), t.TempDir()
	parent.Env = append(os.Environ(), "BELFRY_TEST_ABANDON="+dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = parent.Process.Kill() })
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	gone := watch(t, pid)
	_ = parent.Process.Kill()
	_ = parent.Wait()
	if !gone() {
		t.Errorf("worker %d outlived its parent", pid)
	}
	outside := filepath.Join(os.TempDir(), "belfry-work-"+strings.ReplaceAll(strings.Trim(dir, "/"), "/", "-")+"-*")
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		left, err := filepath.Glob(outside)
		if err != nil || len(left) > 0 && time.Since(begun) > 10*time.Second {
			t.Fatalf("there are still %v, %v", left, err)
		}
		if len(left) == 0 {
			break
		}
	}
}

func TestPythonsThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	script := func(name, text string) string {
		path := dir + "/" + name
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hello := func(body string) string {
		return "printf '%s' '" + body + "' >&3; sleep 1000"
	}
	plain := dir + "/plain"
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ python, want string }{
		"missing":         {dir + "/none", "no Python found"},
		"not in the path": {"no-such-python", "no Python found"},
		"not executable":  {plain, "cannot be executed"},
		"a directory":     {dir, "no Python found"},
		"true":            {"/bin/true", "no Python that Belfry can use (it ended before its hello: exit status 0)"},
		"cat":             {"/bin/cat", "no Python that Belfry can use"},
		"too old":         {script("old", hello(`{"hello":1,"python":"3.8.18"}`)), "is Python 3.8.18, which is too old"},
		"says why":        {script("two", "echo 'Unknown option: -I' >&2; exit 2"), "Unknown option: -I"},
		"another shim":    {script("new", hello(`{"hello":1,"python":"3.12.1"}`)), "speaks protocol 1"},
		"silent":          {script("silent", "exec sleep 1000"), "does not answer as Python does within 300ms"},
		"babbling":        {script("babble", "exec yes >&3"), "no Python that Belfry can use"},
	} {
		t.Run(name, func(t *testing.T) {
			max := 10 * time.Second
			if name == "silent" {
				max = 300 * time.Millisecond
			}
			r, err := python.New(python.Config{Python: c.python, StartMax: max})
			if err == nil {
				_ = r.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is %q, without %q", err, c.want)
			}
		})
	}
}

func TestDirIsUsedAndLeftEmpty(t *testing.T) {
	dir := t.TempDir() + "/python"
	r := open(t, python.Config{Dir: dir})
	var cwd string
	completed(t, r, job(t, "import os\n"+execute("return os.getcwd()")), &cwd)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, cwd, filepath.Dir(cwd)} { // workers with users of their own may be elsewhere
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
	if r.Version() == "" {
		t.Error("no version")
	}
}

func TestConfigIsValidated(t *testing.T) {
	for _, cfg := range []python.Config{{Idle: -1}, {IdleFor: -1}, {RunsMax: -1}, {StartMax: -1}} {
		if _, err := python.New(cfg); err == nil {
			t.Errorf("accepted %+v", cfg)
		}
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
