package cluster

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Network is the cables between the nodes of a cluster and their executors. What
// node k listens on at 127.0.0.1 is called at 127.0.1.k, at the same port, where
// the network passes it on, knowing who calls. A program that calls 127.0.0.1
// stands beside the node; one of the test's process reaches all nodes.
type Network struct {
	t       testing.TB
	callers callers

	mu     sync.Mutex
	sides  map[string]int // by name; whoever is not in it is reached by all
	style  Style
	healed chan struct{} // closed when the network is whole
	cables map[*cable]struct{}
	closed bool
	serve  sync.WaitGroup
}

// Style is what is seen of a split by those whom it parts.
type Style int

const (
	// Pulled is a cable that was pulled: nothing is heard any more, and nobody
	// is told. What was sent meanwhile arrives after it, as TCP has it, also if
	// who sent it has given up; who calls meanwhile waits for an answer.
	Pulled Style = iota
	// Closed ends the connections at once, and those that are tried.
	Closed
)

func (s Style) String() string { return [...]string{"pulled", "closed"}[s] }

// cable is one connection, from who called to who was called.
type cable struct {
	from, to string
	ends     [2]net.Conn
	cut      chan struct{} // closed when the ends are
	once     sync.Once
}

func (c *cable) close() {
	c.once.Do(func() {
		close(c.cut)
		for _, end := range c.ends {
			if end != nil {
				_ = end.Close()
			}
		}
	})
}

// NewNetwork is a whole network without anybody in it.
func NewNetwork(t testing.TB) *Network {
	t.Helper()
	if _, err := os.Stat(socketsFile); err != nil {
		t.Skipf("who calls is read from %s: %v", socketsFile, err)
	}
	n := &Network{t: t, healed: make(chan struct{}), cables: map[*cable]struct{}{}}
	close(n.healed)
	t.Cleanup(n.close)
	return n
}

// host is where node number k is called.
func host(k int) string { return fmt.Sprintf("127.0.1.%d", k) }

// Join brings the ports of a node into the network: what calls them at that host.
func (n *Network) Join(name, host string, addrs ...string) {
	n.t.Helper()
	for _, addr := range addrs {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			n.t.Fatal(err)
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			n.t.Skipf("the network needs loopback addresses beside 127.0.0.1: %v", err)
		}
		n.t.Cleanup(func() { _ = listener.Close() })
		n.serve.Go(func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				n.serve.Go(func() { n.carry(conn, name, addr) })
			}
		})
	}
}

// carry passes on what is said over one connection.
func (n *Network) carry(conn net.Conn, to, addr string) {
	from, err := n.callers.of(conn)
	if err != nil { // it has given up
		_ = conn.Close()
		return
	}
	c := &cable{from: from, to: to, ends: [2]net.Conn{conn}, cut: make(chan struct{})}
	if !n.lay(c) {
		// Nobody would have answered it: it is not served after the split either.
		n.pass(c)
		n.lift(c)
		return
	}
	defer n.lift(c)
	end, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	if !n.tie(c, end) {
		_ = end.Close()
		return
	}
	var back sync.WaitGroup
	back.Go(func() { n.pump(c, conn, end) })
	n.pump(c, end, conn)
	back.Wait()
}

// lay adds a connection, unless its ends are parted.
func (n *Network) lay(c *cable) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.parted(c) {
		if n.style == Closed || n.closed {
			c.close()
		} else {
			n.cables[c] = struct{}{} // for the end of the test
		}
		return false
	}
	n.cables[c] = struct{}{}
	return true
}

// tie completes a connection, unless it has been ended.
func (n *Network) tie(c *cable, end net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-c.cut:
		return false
	default:
		c.ends[1] = end
		return true
	}
}

func (n *Network) lift(c *cable) {
	n.mu.Lock()
	delete(n.cables, c)
	n.mu.Unlock()
	c.close()
}

// parted says that a split is between the ends. The lock is held.
func (n *Network) parted(c *cable) bool {
	from, known := n.sides[c.from]
	to, too := n.sides[c.to]
	return known && too && from != to
}

// pass waits while the ends are parted; false if the connection has ended.
func (n *Network) pass(c *cable) bool {
	for {
		n.mu.Lock()
		parted, healed := n.parted(c), n.healed
		n.mu.Unlock()
		if !parted {
			return true
		}
		select {
		case <-healed:
		case <-c.cut:
			return false
		}
	}
}

// pump carries one direction, and ends both with it: that an end has closed is
// something it says, too.
func (n *Network) pump(c *cable, from, to net.Conn) {
	defer c.close()
	said := make([]byte, 32<<10)
	for {
		k, err := from.Read(said)
		if !n.pass(c) {
			return
		}
		if k > 0 {
			if _, err := to.Write(said[:k]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Split parts the named nodes and executors: those of one side reach each other,
// and whoever was not named.
func (n *Network) Split(style Style, sides ...[]string) {
	n.Heal()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.style, n.sides, n.healed = style, map[string]int{}, make(chan struct{})
	for k, names := range sides {
		for _, name := range names {
			n.sides[name] = k
		}
	}
	if style == Closed {
		for c := range n.cables {
			if n.parted(c) {
				c.close()
			}
		}
	}
}

// Heal makes the network whole.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sides != nil {
		n.sides = nil
		close(n.healed)
	}
}

// Between says how many connections there are between two, whoever called.
func (n *Network) Between(a, b string) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.cables {
		if c.from == a && c.to == b || c.from == b && c.to == a {
			count++
		}
	}
	return count
}

func (n *Network) close() {
	n.mu.Lock()
	n.closed = true
	for c := range n.cables {
		c.close()
	}
	n.mu.Unlock()
	n.Heal()
	n.serve.Wait()
}

// Connect has all of the members call each other over a network. Call it before
// they start.
func (m *Members) Connect() *Network {
	m.t.Helper()
	m.Network = NewNetwork(m.t)
	var join []string
	for k, p := range m.Nodes {
		m.Network.Join(p.Name, host(k+1), p.Raft, strings.TrimPrefix(p.URL, "nats://"), p.routes)
		p.line = append(p.line, "--advertise", host(k+1))
		join = append(join, called(k, p.Raft))
	}
	for _, p := range m.Nodes {
		p.line[slices.Index(p.line, "--join")+1] = strings.Join(join, ",")
	}
	return m.Network
}

// called is an address of node number k, from 0, in the network.
func called(k int, addr string) string {
	return strings.Replace(addr, "127.0.0.1", host(k+1), 1)
}
