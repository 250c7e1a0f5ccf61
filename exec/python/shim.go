package python

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed shim/*.py shim/belfry_shim/*.py shim/valstorm/*.py
var shim embed.FS

// unpackShim writes the shim below dir and returns the path of its entry.
func unpackShim(dir string) (string, error) {
	err := fs.WalkDir(shim, "shim", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(path))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		text, err := shim.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o600)
	})
	if err != nil {
		return "", fmt.Errorf("python: cannot unpack the shim: make %s writable: %w", dir, err)
	}
	return filepath.Join(dir, "shim", "worker.py"), nil
}
