package jetstream

import (
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// wires carry the routes between servers, so that one of them can be cut off.
type wires struct {
	mu    sync.Mutex
	addr  []string                // of each server's routes, once it listens
	cut   map[int]bool            // closed: as if the process were killed
	mute  map[int]bool            // silent: as if the network were split
	again *sync.Cond              // mute has changed
	conns map[net.Conn][2]int     // of both ends
	ports map[[2]int]net.Listener // from, to
}

func newWires(t *testing.T, n int) *wires {
	t.Helper()
	w := &wires{addr: make([]string, n), cut: map[int]bool{}, mute: map[int]bool{}, conns: map[net.Conn][2]int{}, ports: map[[2]int]net.Listener{}}
	w.again = sync.NewCond(&w.mu)
	for from := range n {
		for to := range n {
			if from == to {
				continue
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			w.ports[[2]int{from, to}] = l
			go w.serve(l, [2]int{from, to})
		}
	}
	t.Cleanup(func() {
		w.heal()
		for i := range n {
			w.kill(i)
		}
	})
	return w
}

// routes are the addresses by which a server finds the others.
func (w *wires) routes(from int) (urls []*url.URL) {
	for ends, l := range w.ports {
		if ends[0] == from {
			urls = append(urls, &url.URL{Scheme: "nats", Host: l.Addr().String()})
		}
	}
	return urls
}

// listens says where the routes of a server are.
func (w *wires) listens(i int, s *server.Server) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addr[i] = s.ClusterAddr().String()
}

func (w *wires) serve(l net.Listener, ends [2]int) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		to, cut := w.addr[ends[1]], w.cut[ends[0]] || w.cut[ends[1]]
		w.mu.Unlock()
		if to == "" || cut {
			_ = in.Close()
			continue
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			_ = in.Close()
			continue
		}
		w.mu.Lock()
		w.conns[in], w.conns[out] = ends, ends
		w.mu.Unlock()
		go w.carry(in, out, ends)
		go w.carry(out, in, ends)
	}
}

// carry copies one direction; while an end is mute it holds back what comes.
func (w *wires) carry(from, to net.Conn, ends [2]int) {
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		w.mu.Lock()
		for w.mute[ends[0]] || w.mute[ends[1]] {
			w.again.Wait()
		}
		w.mu.Unlock()
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			_ = from.Close()
			_ = to.Close()
			w.mu.Lock()
			delete(w.conns, from)
			delete(w.conns, to)
			w.mu.Unlock()
			return
		}
	}
}

// kill closes a server's routes for good: for the others it is as dead as its
// process could be.
func (w *wires) kill(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[i] = true
	for c, ends := range w.conns {
		if ends[0] == i || ends[1] == i {
			_ = c.Close()
		}
	}
}

// split silences a server's routes and leaves them open.
func (w *wires) split(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mute[i] = true
}

// heal ends all splits.
func (w *wires) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.mute)
	w.again.Broadcast()
}
