package cluster_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/testing/cluster"
)

// speaker calls a port from a process of its own, says what it is told to and
// prints what it hears.
type speaker struct {
	say  io.Writer
	told chan string
}

const speakerCode = `exec 3<>/dev/tcp/127.0.1.2/$1 || exit 1
{ cat <&3; echo ended; } 2>/dev/null &
while read -r line; do echo "$line" >&3; done`

func newSpeaker(t *testing.T, name, port string) speaker {
	t.Helper()
	cmd := exec.Command("bash", "-c", speakerCode, "bash", port, "--name", name)
	say, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	hear, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("callers are written for bash: %v", err)
	}
	s := speaker{say, make(chan string, 16)}
	go func() {
		for lines := bufio.NewScanner(hear); lines.Scan(); {
			s.told <- lines.Text()
		}
	}()
	t.Cleanup(func() { _ = say.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return s
}

// hears says a word and returns the echo; "" if there is none.
func (s speaker) hears(word string, within time.Duration) string {
	if word != "" {
		_, _ = fmt.Fprintln(s.say, word) // it is seen that nothing comes back
	}
	select {
	case told := <-s.told:
		return told
	case <-time.After(within):
		return ""
	}
}

// echo is a node that says all it hears.
func echo(t *testing.T) (port string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	_, port, _ = strings.Cut(listener.Addr().String(), ":")
	return port
}

// A split parts two sides and nobody else: a pulled cable is silent, and what was
// said meanwhile arrives late; a closed one ends.
func TestNetworkSplits(t *testing.T) {
	t.Parallel()
	const soon, never = 20 * time.Second, 300 * time.Millisecond
	n := cluster.NewNetwork(t)
	port := echo(t)
	n.Join("n2", "127.0.1.2", "127.0.0.1:"+port)
	n1, n3 := newSpeaker(t, "n1", port), newSpeaker(t, "n3", port)
	all := func(when string) {
		t.Helper()
		if a, b := n1.hears("one", soon), n3.hears("three", soon); a != "one" || b != "three" {
			t.Fatalf("%s n1 hears %q and n3 %q", when, a, b)
		}
	}
	all("at first")
	if n.Between("n1", "n2") != 1 || n.Between("n1", "n3") != 0 {
		t.Errorf("%d connections are between n1 and n2, %d between n1 and n3", n.Between("n1", "n2"), n.Between("n1", "n3"))
	}
	n.Split(cluster.Pulled, []string{"n1"}, []string{"n2", "n3"})
	late := newSpeaker(t, "n1", port)
	until(t, "it has called", func() bool { return n.Between("n1", "n2") == 2 })
	if a, b, c := n1.hears("late", never), n3.hears("three", soon), late.hears("hello", never); a != "" || b != "three" || c != "" {
		t.Errorf("over a pulled cable n1 hears %q, n3 %q, and who called meanwhile %q", a, b, c)
	}
	n.Heal()
	if a := n1.hears("", soon); a != "late" {
		t.Errorf("after it n1 hears %q", a)
	}
	if a := late.hears("", soon); a != "ended" {
		t.Errorf("who called over a pulled cable hears %q", a)
	}
	all("after a pulled cable")
	n.Split(cluster.Closed, []string{"n1"}, []string{"n2", "n3"})
	if a := n1.hears("", soon); a != "ended" {
		t.Errorf("over a connection that was closed n1 hears %q", a)
	}
	if a := newSpeaker(t, "n1", port).hears("", soon); a != "ended" {
		t.Errorf("who called while connections are closed hears %q", a)
	}
	if b := n3.hears("three", soon); b != "three" {
		t.Errorf("n3 hears %q", b)
	}
	n.Heal()
	n1 = newSpeaker(t, "n1", port)
	all("after closed connections")
}
