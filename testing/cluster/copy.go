package cluster

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Copy copies a node's directory into an empty one, with the modes of its files:
// a node refuses a secret that others can read. The node must not run.
func Copy(t testing.TB, to, from string) {
	t.Helper()
	err := os.CopyFS(to, os.DirFS(from))
	if err == nil {
		err = filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			name, err := filepath.Rel(from, path)
			if err != nil {
				return err
			}
			return os.Chmod(filepath.Join(to, name), info.Mode().Perm())
		})
	}
	if err != nil {
		t.Fatalf("copy a node's directory: %v", err)
	}
}
