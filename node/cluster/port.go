package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// raftByte opens a connection of Raft, meetingByte one question. Neither is
	// the number of a message of Raft, so that who does not greet is not served.
	raftByte, meetingByte = 'R', 'B'
	// greetingBytesMax bounds the line with which a connection of Raft begins.
	greetingBytesMax = 1024
	// strangersMax is the number of connections that have not said what they
	// are, or are a question; what comes beyond is closed. Each is gone after
	// meetingTimeout.
	strangersMax = 256
	// acceptRetry is the pause after the system gave no connection.
	acceptRetry = 50 * time.Millisecond
)

// port is the one TCP port of a member, for Raft and for questions.
type port struct {
	listener net.Listener
	addr     string // as others call it
	logger   *slog.Logger

	raft      chan net.Conn // greeted
	strangers chan struct{} // one for each
	done      chan struct{}
	handlers  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // all that came in; nil when closed
}

func openPort(listener net.Listener, addr string, logger *slog.Logger) *port {
	return &port{
		listener: listener, addr: addr, logger: logger,
		raft: make(chan net.Conn), strangers: make(chan struct{}, strangersMax), done: make(chan struct{}),
		conns: make(map[net.Conn]struct{}),
	}
}

// serve takes connections until the port is closed. admit says whether a
// connection of Raft is for us; meet answers a question.
func (p *port) serve(admit func(greeting) error, meet func(question) answer) {
	p.handlers.Go(func() {
		for {
			conn, err := p.listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				p.logger.Warn("raft port takes no connection", "addr", p.addr, "error", err)
				select {
				case <-p.done:
					return
				case <-time.After(acceptRetry):
				}
				continue
			}
			select {
			case p.strangers <- struct{}{}:
				p.handlers.Go(func() {
					defer func() { <-p.strangers }()
					p.receive(conn, admit, meet)
				})
			default:
				_ = conn.Close()
			}
		}
	})
}

// receive finds out what a connection wants.
func (p *port) receive(conn net.Conn, admit func(greeting) error, meet func(question) answer) {
	in := &incoming{Conn: conn, from: bufio.NewReaderSize(conn, greetingBytesMax), port: p}
	if !p.track(in) {
		_ = conn.Close()
		return
	}
	kept, err := p.sort(in, admit, meet)
	if err != nil {
		p.logger.Debug("raft port refuses a connection", "from", conn.RemoteAddr().String(), "error", err)
	}
	if !kept {
		_ = in.Close()
	}
}

// sort serves a connection, or hands it over to Raft and says that it is kept.
func (p *port) sort(in *incoming, admit func(greeting) error, meet func(question) answer) (kept bool, err error) {
	if err := in.SetDeadline(time.Now().Add(meetingTimeout)); err != nil {
		return false, err
	}
	first, err := in.from.ReadByte()
	if err != nil {
		return false, err
	}
	switch first {
	case meetingByte:
		var q question
		if err := json.NewDecoder(io.LimitReader(in.from, meetingBytesMax)).Decode(&q); err != nil {
			return false, fmt.Errorf("not a question: %w", err)
		}
		return false, json.NewEncoder(in).Encode(meet(q))
	case raftByte:
		line, err := in.from.ReadSlice('\n')
		if err != nil {
			return false, fmt.Errorf("not a greeting: %w", err)
		}
		var g greeting
		if err := json.Unmarshal(line, &g); err != nil {
			return false, fmt.Errorf("not a greeting: %w", err)
		}
		if err := errors.Join(admit(g), in.SetDeadline(time.Time{})); err != nil {
			return false, err
		}
		select {
		case p.raft <- in:
			return true, nil
		case <-p.done:
		case <-time.After(meetingTimeout): // Raft is down, or being started
		}
		return false, errors.New("raft takes no connections")
	}
	return false, fmt.Errorf("it begins with byte %d", first)
}

func (p *port) track(in *incoming) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		return false
	}
	p.conns[in] = struct{}{}
	return true
}

// close ends all connections that came in, and waits for the answers that are
// being given.
func (p *port) close() {
	p.mu.Lock()
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	if conns == nil {
		return
	}
	close(p.done)
	_ = p.listener.Close()
	for conn := range conns {
		_ = conn.Close()
	}
	p.handlers.Wait()
}

// incoming is a connection of which the beginning was read.
type incoming struct {
	net.Conn
	from *bufio.Reader
	port *port
}

// Read implements net.Conn. That the port was closed is no error to Raft.
func (in *incoming) Read(b []byte) (int, error) {
	n, err := in.from.Read(b)
	if errors.Is(err, net.ErrClosed) {
		err = io.EOF
	}
	return n, err
}

// Close implements net.Conn.
func (in *incoming) Close() error {
	in.port.mu.Lock()
	delete(in.port.conns, in)
	in.port.mu.Unlock()
	return in.Conn.Close()
}

// greeting opens a connection of Raft. It says whom it is meant for, so that
// Raft's messages never reach another cluster that was given the address since,
// nor a node that has lost what its name has promised.
type greeting struct {
	V        int    `json:"v"`
	From     string `json:"from"` // name of who greets
	Speaks   Speaks `json:"speaks"`
	Cluster  string `json:"cluster,omitempty"`  // "" does not know
	To       string `json:"to,omitempty"`       // name; "" does not know
	Instance string `json:"instance,omitempty"` // "" does not know
}

// layer is the port as one transport of Raft sees it.
type layer struct {
	port  *port
	greet func(addr string) greeting

	once   sync.Once
	closed chan struct{}
}

// Dial implements raft.StreamLayer.
func (l *layer) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", string(addr), timeout)
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(l.greet(string(addr)))
	if err == nil {
		err = conn.SetWriteDeadline(time.Now().Add(meetingTimeout))
	}
	if err == nil {
		_, err = conn.Write(append(append([]byte{raftByte}, line...), '\n'))
	}
	if err == nil {
		err = conn.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Accept implements net.Listener.
func (l *layer) Accept() (net.Conn, error) {
	select {
	case conn := <-l.port.raft:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. The port stays open for questions.
func (l *layer) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *layer) Addr() net.Addr { return address(l.port.addr) }

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
