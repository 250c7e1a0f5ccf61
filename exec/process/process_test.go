package process

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/exec/credential"
	"github.com/belfryhq/belfry/exec/wire"
)

func TestTheNameOfAHost(t *testing.T) {
	for host, want := range map[string]string{
		"web":                   "web",
		"Web-01.example.com":    "web-01",
		"my_laptop":             "my-laptop",
		"-odd-":                 "odd",
		"...":                   "",
		"":                      "",
		"höst":                  "h-st",
		strings.Repeat("a", 40): strings.Repeat("a", 32),
		strings.Repeat("a", 31) + "-" + strings.Repeat("b", 9): strings.Repeat("a", 31),
	} {
		name := nameOf(host)
		if name != want {
			t.Errorf("%q is called %q, not %q", host, name, want)
		}
		err := Config{Name: name, URL: "nats://127.0.0.1:4222", Credentials: "f"}.Validate()
		if (err == nil) != (want != "") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// A node that restarts takes an executor for gone after wire.LostAfter.
func TestTheNodeIsTriedAgainSoonEnough(t *testing.T) {
	for n := range 100 {
		pause := backoff(n)
		if pause <= 0 || pause > wire.LostAfter/4 {
			t.Errorf("before attempt %d it waits %v", n, pause)
		}
		if n <= 1 && pause > reconnectMin {
			t.Errorf("the first time it waits %v", pause)
		}
	}
}

func TestWithoutANodeItWaitsUntilItIsStopped(t *testing.T) {
	t.Run("nobody listens", func(t *testing.T) { waits(t, "127.0.0.1:1") })
	t.Run("a proxy without a node behind it", func(t *testing.T) {
		proxy, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer proxy.Close()
		go func() {
			for {
				conn, err := proxy.Accept()
				if err != nil {
					return
				}
				_ = conn.Close()
			}
		}()
		waits(t, proxy.Addr().String())
	})
}

// waits says that an executor whose node does not answer there goes on trying.
func waits(t *testing.T, addr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), credential.File)
	if _, err := credential.Make(file); err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{URL: "nats://user:hidden@" + addr, Credentials: file, Name: "one", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("that is enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
	defer cancel()
	if err := p.Start(ctx); !errors.Is(err, cause) {
		t.Errorf("it ended with %v", err)
	}
	if err := errors.Join(p.Stop(t.Context()), p.Stop(t.Context()), p.Err()); err != nil {
		t.Error(err)
	}
	if said := p.unauthorized().Error(); strings.Contains(said, "hidden") || strings.Contains(said, "\n") {
		t.Errorf("it would say %s", said)
	}
}

func TestCheckTellsWhatIsInstalled(t *testing.T) {
	venv := filepath.Join(t.TempDir(), "venv")
	if out, err := exec.Command("python3", "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
		t.Skipf("this Python makes no environments: %v %s", err, out)
	}
	site, err := filepath.Glob(filepath.Join(venv, "lib", "python3*", "site-packages"))
	if err != nil || len(site) != 1 {
		t.Fatal(site, err)
	}
	for dir, metadata := range map[string]string{
		"zeta-1.0.dist-info":   "Metadata-Version: 2.1\nName: zeta\nVersion: 1.0\n",
		"Alpha-2.1.dist-info":  "Metadata-Version: 2.1\nName: Alpha\nVersion: 2.1\n",
		"broken-3.0.dist-info": "",
	} {
		if err := os.Mkdir(filepath.Join(site[0], dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(site[0], dir, "METADATA"), []byte(metadata), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(venv, "bin", "python")
	offer, err := Check(t.Context(), Config{Python: program, Slots: 3})
	if err != nil {
		t.Fatal(err)
	}
	want := []Package{{"Alpha", "2.1"}, {"zeta", "1.0"}}
	if offer.Slots != 3 || offer.Python.Path != program || !strings.HasPrefix(offer.Python.Version, "3.") || !slices.Equal(offer.Python.Packages, want) {
		t.Errorf("it offers %+v", offer)
	}
	if _, err := Check(t.Context(), Config{Python: "/no/such/python"}); err == nil || !strings.Contains(err.Error(), "--python") {
		t.Errorf("without Python: %v", err)
	}
}
