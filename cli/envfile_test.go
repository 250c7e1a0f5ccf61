package cli

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLinesOfAnEnvFile(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want map[string]string
	}{
		"nothing":                        {"", map[string]string{}},
		"comments and blank lines":       {"# a\n\n   \n\t# b\nA=1\n", map[string]string{"A": "1"}},
		"no newline at the end":          {"A=1", map[string]string{"A": "1"}},
		"lines as Windows ends them":     {"A=1\r\nB=2\r\n", map[string]string{"A": "1", "B": "2"}},
		"an empty value":                 {"A=\nB=''", map[string]string{"A": "", "B": ""}},
		"quotes":                         {"A='a b'\nB=\"c d\"", map[string]string{"A": "a b", "B": "c d"}},
		"the other quotes inside":        {`A='a "b" c'` + "\n" + `B="it's"`, map[string]string{"A": `a "b" c`, "B": "it's"}},
		"quotes within a plain value":    {`A=a"b'c`, map[string]string{"A": `a"b'c`}},
		"spaces that quotes keep":        {"A=' a '\nB= b ", map[string]string{"A": " a ", "B": " b"}},
		"export":                         {"export A=1\n  export   B=2", map[string]string{"A": "1", "B": "2"}},
		"a variable called export":       {"export=1", map[string]string{"export": "1"}},
		"=, # and \\ within a value":     {`A=postgres://u:p=q#r@h/d?a=b\n`, map[string]string{"A": `postgres://u:p=q#r@h/d?a=b\n`}},
		"nothing is put in for $":        {"A=$HOME\nB=\"${A}\"", map[string]string{"A": "$HOME", "B": "${A}"}},
		"keys in capitals or not, and _": {"_a1=1\nA_B=2", map[string]string{"_a1": "1", "A_B": "2"}},
	} {
		got, err := parseEnv("f", c.text)
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestAWrongLineIsToldByItsNumberAndNotShown(t *testing.T) {
	for name, line := range map[string]string{
		"no =":                      "hunter2",
		"no key":                    "=hunter2",
		"a key with a space":        "MY KEY=hunter2",
		"a space before the =":      "KEY =hunter2",
		"a key that begins with 1":  "1KEY=hunter2",
		"a key with a dash":         "MY-KEY=hunter2",
		"a quote that does not end": "KEY='hunter2",
		"a lone quote":              `KEY="`,
		"text after the quote":      "KEY='hunter2' hunter2",
		"a quote that ends early":   "KEY='hunter2'hunter2'",
		"two kinds of quotes":       `KEY='hunter2"`,
		"a key twice":               "A=hunter2",
		"NUL":                       "KEY=hunter2\x00",
		"no UTF-8":                  "KEY=hunter2\xff",
		"export of nothing":         "export hunter2",
	} {
		_, err := parseEnv("secrets.env", "A=1\n\n# c\n"+line+"\nB=2\n")
		if _, wrong := errors.AsType[*usageError](err); !wrong || !strings.Contains(err.Error(), "secrets.env, line 4 ") ||
			strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhoMayTouchAnEnvFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		path   string
		says   string // of an error
		shared bool
	}{
		"its owner":               {path: file("own", "A=1", 0o600)},
		"the group reads":         {path: file("g", "A=1", 0o640), shared: true},
		"all read":                {path: file("o", "A=1", 0o604), shared: true},
		"the group writes":        {path: file("gw", "A=1", 0o620), says: "chmod 600"},
		"all write":               {path: file("ow", "A=1", 0o602), says: "chmod 600"},
		"nobody, it is missing":   {path: filepath.Join(dir, "none"), says: "no such file"},
		"a directory":             {path: dir, says: "is no file"},
		"one that is very large":  {path: file("big", strings.Repeat("#", envFileBytesMax+1), 0o600), says: "bytes"},
		"one of the largest size": {path: file("full", strings.Repeat("#", envFileBytesMax), 0o600)},
	} {
		_, shared, err := readEnvFile(c.path)
		switch _, wrong := errors.AsType[*usageError](err); {
		case c.says == "" && (err != nil || shared != c.shared):
			t.Errorf("%s: shared %v, %v", name, shared, err)
		case c.says != "" && (!wrong || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Both servers read the file before they touch anything, and warn of one that
// others can read.
func TestServersReadTheEnvFileFirst(t *testing.T) {
	dir := t.TempDir()
	bad, open := filepath.Join(dir, "bad.env"), filepath.Join(dir, "open.env")
	if err := errors.Join(os.WriteFile(bad, []byte("hunter2\n"), 0o600), os.WriteFile(open, []byte("A=1\n"), 0o600), os.Chmod(open, 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{"up", "exec"} {
		data := filepath.Join(dir, server)
		status, out, errs := run(t, server, "--data", data, "--env-file", bad)
		if status != exitUsage || out != "" || !strings.Contains(errs, "bad.env, line 1 ") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: %d %q %q", server, status, out, errs)
		}
		if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s made its data directory", server)
		}
	}
	_, _, errs := run(t, "exec", "--data", dir, "--env-file", open, "--name", "x")
	if !strings.Contains(errs, "chmod 600") || !strings.Contains(errs, "open.env") {
		t.Errorf("a file that all can read: %q", errs)
	}
}
