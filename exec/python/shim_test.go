package python_test

import (
	"os"
	osexec "os/exec"
	"testing"
)

// TestShim runs the shim's own tests, which are beside it.
func TestShim(t *testing.T) {
	cmd := osexec.Command("python3", "-B", "-X", "utf8", "-m", "unittest", "discover", "-s", "tests", "-t", ".")
	cmd.Dir = "shim"
	cmd.Env = append(os.Environ(), "PYTHONPATH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
