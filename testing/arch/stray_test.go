package arch

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// trackedBytesMax is the size of a file that git keeps for ever.
const trackedBytesMax = 400_000

func TestRepositoryHoldsNoStrayFiles(t *testing.T) {
	top, err := root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(top, ".git")); err != nil {
		return // an unpacked archive: nothing is tracked
	}
	list := exec.Command("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = top
	names, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for _, name := range strings.Split(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			continue // deleted and not committed yet
		}
		report(t, strayFile(name, content))
	}
}

// strayFile finds fault with a file that git holds or is about to.
func strayFile(name string, content []byte) (found []finding) {
	if len(content) > trackedBytesMax {
		found = append(found, finding{file: name, line: 1, problem: "a file of " + strconv.Itoa(len(content)) + " bytes in git", remedy: "keep it elsewhere, or make it when it is needed"})
	}
	head := content[:min(len(content), 8192)]
	if bytes.IndexByte(head, 0) >= 0 && !mayBeBinary(name) {
		found = append(found, finding{file: name, line: 1, problem: "a binary in git", remedy: "delete it and name it in .gitignore"})
	}
	return found
}

// mayBeBinary allows pictures, and old logs as test data.
func mayBeBinary(name string) bool {
	switch path.Ext(name) {
	case ".png", ".ico", ".woff2":
		return true
	}
	return strings.HasPrefix(name, "testing/golden/")
}
