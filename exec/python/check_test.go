package python_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/belfryhq/belfry/exec/python"
)

func TestCheck(t *testing.T) {
	r := open(t, python.Config{})
	const good = "def execute(current_user, **kwargs):\n    pass\n"
	for name, c := range map[string]struct {
		code, want   string // want is "" for sound code
		line, column int
	}{
		"sound":             {code: good},
		"async":             {code: "async " + good},
		"typed and more":    {code: "from valstorm.models import User\ndef execute(current_user: User, /, a=1, *args, b, **data) -> dict: ...\n"},
		"decorated":         {code: "import functools\n@functools.cache\n" + good},
		"inside if":         {code: "if True:\n    def execute(current_user, **kwargs): pass\nelse:\n    def execute(current_user, **k): pass\n"},
		"inside try":        {code: "try:\n    import x\nexcept ImportError:\n    def execute(current_user, **kwargs): pass\n"},
		"unicode":           {code: "# héllo 世界\n" + good},
		"not executed":      {code: "import os; os._exit(1)\n" + good},
		"hangs if executed": {code: "while True: pass\n" + good},
		"syntax":            {"def execute(current_user, **kwargs):\n    x = = 1\n", "invalid syntax", 2, 9},
		"colon":             {"def execute(current_user, **kwargs)\n    pass", "", 1, 36},
		"indentation":       {"def execute(current_user, **kwargs):\npass", "indent", 2, 1},
		"outside":           {good + "return 1\n", "'return' outside function", 3, 1},
		"empty":             {"", "there is no function execute; write def execute(current_user, **kwargs): at the top level", 0, 0},
		"in a class":        {"class C:\n    def execute(self, **kwargs): pass\n", "there is no function execute", 0, 0},
		"in a function":     {"def f():\n    def execute(current_user, **kwargs): pass\n", "there is no function execute", 0, 0},
		"a variable":        {"execute = lambda current_user, **kwargs: 1\n", "there is no function execute", 0, 0},
		"no kwargs":         {"\ndef execute(current_user): pass\n", "does not take **kwargs", 2, 1},
		"no user":           {"def execute(**kwargs): pass\n", "does not take current_user first", 1, 1},
		"user second":       {"def execute(data, current_user, **kwargs): pass\n", "does not take current_user first", 1, 1},
		"one branch wrong":  {"if 1:\n    def execute(): pass\nelse:\n" + "    def execute(current_user, **k): pass\n", "current_user first", 2, 5},
		"NUL":               {good + "x = '\x00'\n", "NUL byte", 3, 6},
		"deep":              {"x = " + strings.Repeat("(", 50000) + strings.Repeat(")", 50000) + "\n" + good, "nested", 0, 0},
		"deep attributes":   {"x = a" + strings.Repeat(".a", 100000) + "\n" + good, "nested", 0, 0},
		"deep sums":         {"x = " + strings.Repeat("-", 100000) + "1\n" + good, "nested", 0, 0},
		"too large":         {good + strings.Repeat("#", 256<<10), "262144 are allowed", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			flaw, err := r.Check(t.Context(), "f", c.code)
			if err != nil {
				t.Fatal(err)
			}
			sound := c.want == "" && c.line == 0
			switch {
			case sound && flaw != nil:
				t.Errorf("refused: %+v", *flaw)
			case !sound && flaw == nil:
				t.Error("accepted")
			case sound:
			case !strings.Contains(flaw.Message, c.want):
				t.Errorf("the message is %q, without %q", flaw.Message, c.want)
			case c.line != 0 && (flaw.Line != c.line || flaw.Column != c.column):
				t.Errorf("%q at %d:%d, not %d:%d", flaw.Message, flaw.Line, flaw.Column, c.line, c.column)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Check(ctx, "f", good); err == nil {
		t.Error("a check whose caller has gone was answered")
	}
	if flaw, err := r.Check(t.Context(), "f", good); flaw != nil || err != nil {
		t.Errorf("refused after all that: %v, %v", flaw, err)
	}
}

// A check that is killed from outside says nothing of the code.
func TestACheckThatIsKilled(t *testing.T) {
	r := open(t, python.Config{})
	long := "def execute(current_user, **kwargs):\n" + strings.Repeat("    x = [1, 2, 3]\n", 12_000)
	if _, err := r.Check(t.Context(), "f", "def execute(current_user, **kwargs): pass"); err != nil {
		t.Fatal(err)
	}
	if len(children()) == 0 {
		t.Skip("this system does not list a process's children: nothing can be killed")
	}
	for n := range 40 { // until the kill comes in the middle of it
		var killing sync.WaitGroup
		killing.Go(func() {
			time.Sleep(time.Duration(n) * time.Millisecond) // a real process, real time
			for _, pid := range children() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		})
		flaw, err := r.Check(t.Context(), "f", long)
		killing.Wait()
		if flaw != nil {
			t.Fatalf("the code is to blame: %s", flaw.Message)
		}
		if err != nil {
			t.Log(err)
			return
		}
	}
	t.Error("no kill came in time")
}

// children are the processes of this test.
func children() (pids []int) {
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		return nil
	}
	for _, list := range lists {
		raw, _ := os.ReadFile(list) // of a thread that may have ended
		for _, field := range strings.Fields(string(raw)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
