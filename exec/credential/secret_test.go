package credential

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func made(t *testing.T, path string) Secret {
	t.Helper()
	s, err := Make(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func public(t *testing.T, s Secret, name string) string {
	t.Helper()
	key, err := s.Key(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestASecretIsMadeOnceForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	first := made(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if again := made(t, path); again != first {
		t.Error("a second start drew another secret")
	}
	read, err := Read(path)
	if err != nil || read != first {
		t.Errorf("read %v", err)
	}
	if other := made(t, filepath.Join(t.TempDir(), File)); other == first {
		t.Error("two nodes drew one secret")
	}
	left, err := filepath.Glob(path + "*")
	if err != nil || len(left) != 1 {
		t.Errorf("there are %v, %v", left, err)
	}
}

func TestANameHasOneKeyAndNoOtherNameHasIt(t *testing.T) {
	dir := t.TempDir()
	s, other := made(t, filepath.Join(dir, "a")), made(t, filepath.Join(dir, "b"))
	if first, again := public(t, s, "one"), public(t, s, "one"); first != again {
		t.Error("a name has two keys")
	}
	if public(t, s, "one") == public(t, s, "two") || public(t, s, "one") == public(t, other, "one") {
		t.Error("two names, or two secrets, have one key")
	}
}

func TestTheSecretIsNotPrinted(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	s := made(t, path)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if shown := fmt.Sprintf(format, s); strings.Contains(shown, strings.TrimSpace(string(raw))) || shown != "(secret)" {
			t.Errorf("%s shows %s", format, shown)
		}
	}
}

func TestAFileThatIsNoSecretIsRefusedInOneLine(t *testing.T) {
	good := strings.Repeat("ab", secretBytes)
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		says    string
	}{
		"empty":                {"", 0o600, "hold no secret"},
		"short":                {good[2:], 0o600, "hold no secret"},
		"long":                 {good + "ab", 0o600, "hold no secret"},
		"no hexadecimal":       {strings.Repeat("zz", secretBytes), 0o600, "hold no secret"},
		"nothing but zeros":    {strings.Repeat("00", secretBytes), 0o600, "hold no secret"},
		"a large file":         {strings.Repeat("x", fileBytesMax+1), 0o600, "hold no secret"},
		"read by the group":    {good, 0o640, "chmod 600"},
		"read by all":          {good, 0o604, "chmod 600"},
		"written by the group": {good, 0o620, "chmod 600"},
	} {
		path := filepath.Join(t.TempDir(), File)
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), good) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Make(path); err == nil {
			t.Errorf("%s: it was made anew, and executors that have the old one are locked out", name)
		}
	}
	missing := filepath.Join(t.TempDir(), File)
	if _, err := Read(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "--credentials") {
		t.Errorf("missing: %v", err)
	}
	if _, err := Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "hold no secret") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Make(filepath.Join(t.TempDir(), "none", File)); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("no directory: %v", err)
	}
}

// What a node finds in place of its secret is kept: executors may have the copy
// that it is to be restored from.
func TestADamagedSecretIsNotDrawnAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	const damaged = "no secret"
	if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(path); err == nil || !strings.Contains(err.Error(), "restore it") || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("it said %v", err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != damaged {
		t.Errorf("the file holds %q, %v", raw, err)
	}
}
