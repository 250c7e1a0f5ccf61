package cluster

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// NATS is a NATS that is none of Belfry's: nats-server as its makers wrote it, in
// processes of its own, on real disks.
type NATS struct {
	t       testing.TB
	Servers []*Server
}

// Server is one of its processes.
type Server struct {
	t    testing.TB
	Name string
	URL  string
	Dir  string // of its configuration and its store
	cmd  *exec.Cmd
	log  *lines
}

var natsBuild struct {
	once sync.Once
	path string
	err  error
}

// natsBinary is the nats-server of go.mod, built once.
func natsBinary(t testing.TB) string {
	t.Helper()
	natsBuild.once.Do(func() {
		dir, err := os.MkdirTemp("", "belfry-nats")
		if err != nil {
			natsBuild.err = err
			return
		}
		natsBuild.path = filepath.Join(dir, "nats-server")
		if out, err := exec.Command("go", "build", "-o", natsBuild.path, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
			natsBuild.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if natsBuild.err != nil {
		t.Fatal(natsBuild.err)
	}
	return natsBuild.path
}

// JetStream is the configuration of a NATS that can keep a log; DIR becomes the
// server's directory.
const JetStream = `jetstream { store_dir: "DIR", sync_interval: always }` + "\n"

// NewNATS starts servers s1, s2, …, of one cluster if they are several, with this
// configuration besides names and addresses. The test's end kills them.
func NewNATS(t testing.TB, servers int, config string) *NATS {
	t.Helper()
	n := &NATS{t: t}
	addrs := freeAddrs(t, 2*servers)
	var routes []string
	for k := range servers {
		routes = append(routes, "nats://"+addrs[servers+k])
	}
	for k := range servers {
		s := &Server{t: t, Name: fmt.Sprint("s", k+1), URL: "nats://" + addrs[k], Dir: t.TempDir()}
		text := fmt.Sprintf("server_name: %s\nlisten: %q\n%s", s.Name, addrs[k], strings.ReplaceAll(config, "DIR", s.Dir))
		if servers > 1 {
			text += fmt.Sprintf("cluster { name: theirs, listen: %q, routes: [%s] }\n", addrs[servers+k], strings.Join(routes, ", "))
		}
		if err := os.WriteFile(s.conf(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		n.Servers = append(n.Servers, s)
	}
	for _, s := range n.Servers {
		s.Start()
	}
	return n
}

// URL is the addresses of all servers.
func (n *NATS) URL() string {
	var urls []string
	for _, s := range n.Servers {
		urls = append(urls, s.URL)
	}
	return strings.Join(urls, ",")
}

// Server is the one of a name.
func (n *NATS) Server(name string) *Server {
	n.t.Helper()
	for _, s := range n.Servers {
		if s.Name == name {
			return s
		}
	}
	n.t.Fatalf("there is no NATS server %q", name)
	return nil
}

func (s *Server) conf() string { return filepath.Join(s.Dir, "nats.conf") }

// Start runs the server and returns when it takes connections.
func (s *Server) Start() {
	s.t.Helper()
	s.log = &lines{}
	s.cmd = exec.Command(natsBinary(s.t), "-c", s.conf())
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.Kill)
	until := time.Now().Add(startTimeout)
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "nats://"))
		if err == nil {
			_ = conn.Close() // it was only to be seen that there is one
			return
		}
		if time.Now().After(until) {
			s.t.Fatalf("%s takes no connections: %s", s.Name, s.log)
		}
		time.Sleep(20 * time.Millisecond) // a real process, real time
	}
}

// Kill ends the server with SIGKILL. It may be called again.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended by itself
	_ = s.cmd.Wait()         // it did not end well
	s.cmd = nil
}
