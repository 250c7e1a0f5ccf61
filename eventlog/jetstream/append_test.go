package jetstream

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
)

// deaf connects to a server whose answers, from the first append on, are
// swallowed; then calls after.
type deaf struct {
	server *server.Server
	after  func()
}

func (d *deaf) InProcessConn() (net.Conn, error) {
	c, err := d.server.InProcessConn()
	return &deafConn{Conn: c, after: func() { d.after() }}, err
}

type deafConn struct {
	net.Conn
	armed atomic.Bool
	after func()
	once  sync.Once
}

func (c *deafConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("HPUB "+eventlog.DefaultPrefix.LanePrefix())) {
		c.armed.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *deafConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.armed.Load() || !bytes.Contains(b[:n], []byte(`"seq"`)) {
			return n, err
		}
		c.once.Do(c.after) // the acknowledgement came this far
	}
}

// TestLostAcknowledgement: the commit is stored, nobody hears of it. The
// outcome is unknown; the same again is refused and found.
func TestLostAcknowledgement(t *testing.T) {
	for name, closes := range map[string]bool{"the answer never comes": false, "the connection is closed": true} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, t.TempDir())
			last := put(t, create(t, s, Config{}), "n1", 0, 3)

			d := &deaf{server: s, after: func() {}}
			nc, err := nats.Connect("", nats.InProcessServer(d), nats.NoReconnect())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if closes {
				d.after = func() { go nc.Close() }
			}
			l, err := Open(t.Context(), nc, Config{AppendTimeout: 100 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			expect := eventlog.Expect{LaneSeq: last}
			if _, err := l.Append(t.Context(), "n1", expect, "mine", []byte("[1]")); !errors.Is(err, eventlog.ErrUnknown) || errors.Is(err, eventlog.ErrOccupied) {
				t.Fatalf("got %v, want unknown", err)
			}

			again := open(t, s, Config{})
			if _, err := again.Append(t.Context(), "n1", expect, "mine", []byte("[1]")); !errors.Is(err, eventlog.ErrOccupied) {
				t.Fatalf("the same again: got %v, want occupied", err)
			}
			m, err := again.Next(t.Context(), "n1", last+1)
			if err != nil || m.ID != "mine" || string(m.Body) != "[1]" {
				t.Errorf("what holds the place: %+v, %v", m, err)
			}
		})
	}
}

func TestUnknownIsWhatIsNotCleanlyAcknowledged(t *testing.T) {
	unknown := func(t *testing.T, l *Log, expect eventlog.Expect, id string, body []byte) error {
		t.Helper()
		_, err := l.Append(t.Context(), "n1", expect, id, body)
		if !errors.Is(err, eventlog.ErrUnknown) || errors.Is(err, eventlog.ErrOccupied) {
			t.Errorf("got %v, want unknown", err)
		}
		return err
	}
	t.Run("taken for a duplicate", func(t *testing.T) {
		l := create(t, startServer(t, t.TempDir()), Config{})
		if _, err := l.Append(t.Context(), "n2", eventlog.Expect{}, "twice", []byte("[]")); err != nil {
			t.Fatal(err)
		}
		unknown(t, l, eventlog.Expect{}, "twice", []byte("[]"))
		if err := l.Integrity(t.Context(), 1); err != nil {
			t.Error(err)
		}
	})
	t.Run("no room", func(t *testing.T) {
		o := options(t.TempDir())
		o.JetStreamMaxStore = 1 << 20
		l := create(t, start(t, o), Config{})
		body := bytes.Repeat([]byte("x"), 400_000)
		var last uint64
		var err error
		for err == nil {
			if last++; last > 10 {
				t.Fatal("the limit has no effect")
			}
			_, err = l.Append(t.Context(), "n1", eventlog.Expect{LaneSeq: last - 1}, string(rune('a'+last)), body)
		}
		last--
		for range 3 {
			if err := unknown(t, l, eventlog.Expect{LaneSeq: last}, "more", body); errors.Is(err, context.DeadlineExceeded) {
				t.Error("a full store must answer, not stay silent")
			}
		}
		if err := l.Integrity(t.Context(), last); err != nil {
			t.Error(err)
		}
	})
	t.Run("no stream", func(t *testing.T) {
		l := create(t, startServer(t, t.TempDir()), Config{})
		if err := l.js.DeleteStream(t.Context(), eventlog.DefaultPrefix.Stream()); err != nil {
			t.Fatal(err)
		}
		if err := unknown(t, l, eventlog.Expect{}, "x", []byte("[]")); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("got %v, want the cause in it", err)
		}
	})
	t.Run("no server", func(t *testing.T) {
		s := startServer(t, t.TempDir())
		l := create(t, s, Config{AppendTimeout: 20 * time.Millisecond})
		stopServer(s)
		if err := unknown(t, l, eventlog.Expect{}, "x", []byte("[]")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the cause in it", err)
		}
	})
	t.Run("too large for the server", func(t *testing.T) {
		l := create(t, startServer(t, t.TempDir()), Config{})
		unknown(t, l, eventlog.Expect{}, "x", bytes.Repeat([]byte("x"), 2<<20))
		put(t, l, "n1", 0, 1) // the connection has not suffered
	})
}

// TestTwoGeneses: two nodes, each with a connection of its own, start at once.
func TestTwoGeneses(t *testing.T) {
	s := startServer(t, t.TempDir())
	nodes := []*Log{create(t, s, Config{}), open(t, s, Config{})}
	errs := make([]error, len(nodes))
	var group sync.WaitGroup
	for i, l := range nodes {
		group.Go(func() {
			_, errs[i] = l.Append(t.Context(), []string{"n1", "n2"}[i], eventlog.Expect{Empty: true}, []string{"g1", "g2"}[i], []byte("[]"))
		})
	}
	group.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("exactly one must win: %v, %v", errs[0], errs[1])
	}
	if err := errors.Join(errs...); !errors.Is(err, eventlog.ErrOccupied) {
		t.Errorf("the other: %v, want occupied", err)
	}
}

// What nobody took, since nobody leads the stream, is offered to the next leader as
// soon as there is one.
func TestAnAppendWaitsForTheNextLeader(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir()))
	l := &Log{nc: nc, stream: "LED", lanes: "led.", cfg: Config{AppendTimeout: 20 * time.Second}.WithDefaults()}
	var err error
	if l.elections, err = watchElections(nc, l.stream); err != nil {
		t.Fatal(err)
	}
	type result struct {
		seq uint64
		err error
		at  time.Time
	}
	done := make(chan result, 1)
	go func() {
		seq, err := l.Append(t.Context(), "n1", eventlog.Expect{}, "waits", []byte("[]"))
		done <- result{seq, err, time.Now()}
	}()
	// It offers after 0.63 and 1.27 s, and next after 2.55 s: now nothing is due for
	// more than a second.
	time.Sleep(1300 * time.Millisecond) // a real server, real time
	if _, err := nc.Subscribe("led.n1", func(m *nats.Msg) { _ = m.Respond([]byte(`{"stream":"LED","seq":7}`)) }); err != nil {
		t.Fatal(err)
	}
	elected := time.Now()
	if err := nc.Publish(electedPrefix+"LED", nil); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.err != nil || r.seq != 7 || r.at.Sub(elected) > time.Second {
		t.Errorf("%s after the election: sequence %d, %v", r.at.Sub(elected), r.seq, r.err)
	}
}
