package python

import (
	"os"
	"testing"
)

// The parent of a runtime that was killed removes its work directory, perhaps after
// the next runtime has begun in the same place.
func TestAWorkDirectoryIsNotThatOfTheLastStart(t *testing.T) {
	dir := t.TempDir()
	first, err := workDir(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(first); err != nil {
		t.Fatal(err)
	}
	next, err := workDir(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if next == first {
		t.Errorf("both starts work in %s", next)
	}
}
