package cluster_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/cluster"
)

// levels are those of sandboxes, the least first.
func levels() []string { return []string{"none", "process", "restricted", "isolated"} }

// escapes are what code tries in order to get out, by what it is called in the
// README. Each raises an exception if it does not succeed, and does no harm if it does.
func escapes() map[string]string {
	return map[string]string{
		"have the executor's variables":                   "os.environ['BELFRY_TEST_MARK']",
		"read the executor's variables in `/proc`":        "open('/proc/%d/environ' % executor, 'rb').read()",
		"find the executor's variables in its parent":     "assert b'BELFRY_TEST_MARK' in open('/proc/%d/environ' % os.getppid(), 'rb').read()",
		"read the executor's memory":                      "open('/proc/%d/mem' % executor, 'rb')",
		"see the processes of others":                     "open('/proc/%d/cmdline' % executor, 'rb').read()",
		"read the data directory (`executors.key`)":       "open(key).read()",
		"read `/etc/shadow`":                              "open('/etc/shadow').read()",
		"read a file elsewhere that all may read":         "open(elsewhere + '/open').read()",
		"read the directory of another worker":            "open(neighbour + '/mine').read()",
		"write outside of its directory":                  "open(elsewhere + '/new', 'w'); os.remove(elsewhere + '/new')",
		"open a terminal (`/dev/ptmx`)":                   "os.close(os.open('/dev/ptmx', os.O_RDWR | os.O_NOCTTY))",
		"signal the executor":                             "os.kill(executor, 23)", // SIGURG, which it ignores
		"trace the executor":                              "apart(lambda: call(libc.ptrace, 0x4206, executor, None, None))",
		"be root":                                         "os.setuid(0)",
		"gain rights by a set-user-ID program":            "assert subprocess.run([elsewhere + '/id', '-u'], capture_output=True, check=True).stdout.strip() != str(os.geteuid()).encode()",
		"have the capability of administrators":           "apart(lambda: call(libc.capset, struct.pack('=Ii', 0x20080522, 0), struct.pack('=6I', 1 << 21, 1 << 21, 0, 0, 0, 0)))",
		"mount a file system":                             "os.mkdir('m'); call(libc.mount, b'x', b'm', b'tmpfs', 0, None); call(libc.umount2, b'm', 2)",
		"make namespaces":                                 "apart(lambda: call(libc.unshare, 0x20000))",
		"set the host's name":                             "socket.sethostname(socket.gethostname())",
		"connect to a port of loopback (NATS)":            "socket.create_connection(('127.0.0.1', port), 5).close()",
		"have 100 processes":                              "many()",
		"have 300 files open":                             "kept = [open('/dev/null') for _ in range(300)]",
		"write a file of 2 GiB":                           "open('large', 'wb').truncate(2 << 30)",
		"have core dumps":                                 "assert resource.getrlimit(resource.RLIMIT_CORE) != (0, 0)",
		"leave a process running in a session of its own": "", // see leaves
	}
}

// escapeCode tries one escape and tells what kept it from succeeding.
const escapeCode = `import ctypes, os, resource, signal, socket, struct, subprocess
libc = ctypes.CDLL(None, use_errno=True)

def call(function, *args):
    if function(*args) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def apart(does):
    """Does it in a process of its own, which ends at once."""
    if pid := os.fork():
        if code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            raise OSError(code, os.strerror(code))
        return
    try:
        does()
        os._exit(0)
    except OSError as err:
        os._exit(err.errno)

def many():
    made = []
    try:
        for _ in range(100):
            if (pid := os.fork()) == 0:
                signal.pause()
            made.append(pid)
    finally:
        for pid in made:
            os.kill(pid, 9)
            os.waitpid(pid, 0)

def execute(current_user, **kwargs):
    try:
        exec(kwargs["escape"], {**globals(), **kwargs})
    except Exception as err:
        return "%s: %s" % (type(err).__name__, err)
`

// At each level the same escapes are tried, in one node. What was open is what the
// table of testing/README.md says.
func TestWhatEachSandboxClosed(t *testing.T) {
	t.Setenv("BELFRY_TEST_MARK", "here")
	p := cluster.New(t, "--sandbox", "none")
	p.Start()
	c := p.Client(api.Admin)
	if _, err := c.CreateUser(t.Context(), api.UserInput{ID: "neighbour"}); err != nil {
		t.Fatal(err)
	}
	with := map[string]any{"executor": p.Pid(), "key": filepath.Join(p.Dir, "executors.key"), "elsewhere": elsewhere(t)}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.URL, "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	with["port"] = json.Number(port)
	told, found := readme(t), map[string][]string{}
	for _, level := range levels() {
		if !offered(t, c, level) {
			if level == "restricted" && mustRestrict() {
				t.Error("restricted is not offered, and can be had here")
			}
			t.Logf("this machine does not offer %s", level)
			for name := range escapes() {
				found[name] = append(found[name], "")
			}
			continue
		}
		with["neighbour"] = neighbour(t, c, level)
		for name, does := range escapes() {
			why := ""
			if does == "" {
				why = leaves(t, c, level)
			} else {
				with["escape"] = does
				why = try(t, c, level, with)
			}
			state := "open"
			if why != "" {
				state = "closed"
				t.Logf("%-10s %s: %s", level, name, why)
			}
			found[name] = append(found[name], state)
		}
	}
	for name := range escapes() {
		if told[name] == nil {
			t.Errorf("testing/README.md has no line for: %s; found: %s", name, strings.Join(found[name], " | "))
		}
	}
	for name, states := range told {
		if found[name] == nil {
			t.Errorf("testing/README.md tells of what nobody tries: %s", name)
			continue
		}
		for n, level := range levels() {
			// Who is not root, or is root of a container, has fewer ways out from the start.
			if got := found[name][n]; got != "" && got != states[n] && (got == "open" || powerful(t)) {
				t.Errorf("%s: at %s it is %s, in testing/README.md %s", name, level, got, states[n])
			}
		}
	}
	cluster.Judge(t, p.Conn())
}

// offered says whether functions can run at a level here.
func offered(t *testing.T, c *client.Client, level string) bool {
	t.Helper()
	name := "try " + level
	if _, err := c.CreateFunction(t.Context(), api.FunctionInput{Name: &name, Code: text(escapeCode), Sandbox: &level, Isolation: text("fresh"), Timeout: text("1m")}); err != nil {
		t.Fatal(err)
	}
	r, err := c.RunFunction(t.Context(), api.Call{ID: name, Wait: "1m", Data: []byte(`{"escape":""}`)})
	if err != nil || r.Error != nil && r.Error.Type != "SandboxUnavailable" {
		t.Fatalf("%s: %+v, %v", level, r.Error, err)
	}
	if r.Error != nil {
		t.Logf("%s: %s", level, r.Error.Message)
	}
	return r.Error == nil
}

// try tells what kept an escape from succeeding, "" if nothing did.
func try(t *testing.T, c *client.Client, level string, with map[string]any) string {
	t.Helper()
	data, err := json.Marshal(with)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.RunFunction(t.Context(), api.Call{ID: "try " + level, Wait: "1m", Data: data})
	if err != nil || r.Status != api.Completed || r.Sandbox != eventlog.Sandbox(level) {
		t.Fatalf("%s at %s: %s in %q, %+v, %v", with["escape"], level, r.Status, r.Sandbox, r.Error, err)
	}
	var why string
	if err := json.Unmarshal(r.Result, &why); err != nil {
		t.Fatal(err)
	}
	return why
}

// neighbour has another user's worker of the level write a file in its directory,
// and wait there. It returns the directory.
func neighbour(t *testing.T, c *client.Client, level string) (dir string) {
	t.Helper()
	name := "neighbour " + level
	code := body("import os\nopen('mine', 'w').close()\nos.chmod('mine', 0o644)\nreturn os.getcwd()")
	if _, err := c.CreateFunction(t.Context(), api.FunctionInput{Name: &name, Code: &code, Sandbox: &level}); err != nil {
		t.Fatal(err)
	}
	r, err := c.RunFunction(t.Context(), api.Call{ID: name, Wait: "1m"})
	if err != nil || json.Unmarshal(r.Result, &dir) != nil {
		t.Fatalf("%+v, %v", r.Error, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mine")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// leaves has a run leave a process behind that is of no session of its. It tells
// what became of it, "" if it lives on.
func leaves(t *testing.T, c *client.Client, level string) string {
	t.Helper()
	mark := fmt.Sprintf("%d.%d", 100_000+os.Getpid(), slices.Index(levels(), level)) // seconds, and no other process's
	why := try(t, c, level, map[string]any{"escape": "subprocess.Popen(['setsid', 'sleep', '" + mark + "'])"})
	for end := time.Now().Add(5 * time.Second); why == ""; time.Sleep(10 * time.Millisecond) { // real processes, real time
		if !runs(t, mark) {
			return "it was killed"
		}
		if time.Now().After(end) {
			break
		}
	}
	return why
}

// runs says whether a process has this argument.
func runs(t *testing.T, argument string) bool {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(path string) bool {
		line, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(line), argument)
	})
}

// elsewhere is a directory that is open to all, as are a file in it and a program
// that runs as nobody, whoever starts it.
func elsewhere(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "belfry-elsewhere-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, err := exec.LookPath("id")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, "id")
	for _, err := range []error{
		os.Chmod(dir, 0o777), os.WriteFile(filepath.Join(dir, "open"), nil, 0o644), os.WriteFile(own, binary, 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(own, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(own, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	return dir
}

// powerful says that we may do all that a machine allows anybody.
func powerful(t *testing.T) bool {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	var held uint64
	for line := range strings.Lines(string(status)) {
		if mask, ok := strings.CutPrefix(line, "CapEff:"); ok {
			if _, err := fmt.Sscanf(mask, "%x", &held); err != nil {
				t.Fatal(err)
			}
		}
	}
	const needed = 1<<19 | 1<<21 // CAP_SYS_PTRACE, CAP_SYS_ADMIN
	return os.Geteuid() == 0 && held&needed == needed
}

// readme reads the table of what each level closed.
func readme(t *testing.T) map[string][]string {
	t.Helper()
	file, err := os.Open("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	told, within := map[string][]string{}, false
	for lines := bufio.NewScanner(file); lines.Scan(); {
		cells := strings.Split(strings.Trim(lines.Text(), "| "), " | ")
		switch {
		case slices.Equal(cells[1:], levels()):
			within = true
		case !strings.HasPrefix(lines.Text(), "|"):
			within = false
		case within && len(cells) == 1+len(levels()):
			told[cells[0]] = cells[1:]
		}
	}
	return told
}
