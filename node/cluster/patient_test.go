package cluster

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// What a member lacks waits until that answers heartbeats again, and no longer than
// this node leads and the member is one.
func TestWhoComesBackIsSentWhatItLacksAtOnce(t *testing.T) {
	away := new(site)
	away.t = t
	listener := away.listen()
	addr := raft.ServerAddress(listener.Addr().String())
	no(t, listener.Close())
	beat := &raft.AppendEntriesRequest{Term: 1}
	entries := &raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 7, PrevLogTerm: 1, LeaderCommitIndex: 7}
	for name, c := range map[string]struct {
		leads bool
		ends  func(p *patient, o *office) // of the attempt; nil: it does by itself
	}{
		"it answers heartbeats": {true, func(p *patient, _ *office) {
			back, err := raft.NewTCPTransport(string(addr), nil, 1, time.Second, io.Discard)
			no(t, err)
			defer back.Close()
			go func() {
				rpc := <-back.Consumer()
				rpc.Respond(&raft.AppendEntriesResponse{Term: 1, Success: true}, nil)
			}()
			no(t, p.AppendEntries("n2", addr, beat, new(raft.AppendEntriesResponse)))
		}},
		"the lead is handed on": {true, func(p *patient, _ *office) {
			no(t, p.hurried(func() error {
				if err := p.AppendEntries("n2", addr, entries, new(raft.AppendEntriesResponse)); err == nil {
					t.Error("nobody was there, and the attempt did not fail")
				}
				return nil
			}))
		}},
		"it was removed":              {true, func(p *patient, _ *office) { p.remove("n2") }},
		"this node leads no longer":   {true, func(_ *patient, o *office) { o.set(false) }},
		"this node stops":             {true, func(_ *patient, o *office) { o.close() }},
		"this node does not lead yet": {false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice()
			o.set(c.leads)
			inner, err := raft.NewTCPTransport("127.0.0.1:0", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 1, time.Second, io.Discard)
			no(t, err)
			defer inner.Close()
			p := newPatient(inner, o)
			over := make(chan error, 1)
			go func() { over <- p.AppendEntries("n2", addr, entries, new(raft.AppendEntriesResponse)) }()
			if c.ends != nil {
				select {
				case err := <-over:
					t.Fatalf("nothing has changed, and the attempt has ended with %v", err)
				case <-time.After(100 * time.Millisecond): // real sockets, real time
				}
				c.ends(p, o)
			}
			select {
			case err := <-over:
				if err == nil {
					t.Error("nobody was there, and the attempt did not fail")
				}
			case <-time.After(patience):
				t.Fatal("the attempt goes on")
			}
			if name == "it was removed" {
				go func() { over <- p.AppendEntries("n2", addr, entries, new(raft.AppendEntriesResponse)) }()
				select {
				case err := <-over:
					if err == nil {
						t.Error("nobody was there, and the last attempt did not fail")
					}
				case <-time.After(patience):
					t.Fatal("the last attempt goes on")
				}
			}
		})
	}
}

// A heartbeat that was received when Raft stopped is not handed to it.
func TestAfterTheEndNoHeartbeatIsHeard(t *testing.T) {
	inner, err := raft.NewTCPTransport("127.0.0.1:0", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 1, time.Second, io.Discard)
	no(t, err)
	p := newPatient(inner, newOffice())
	entered, goOn, handed := make(chan struct{}), make(chan struct{}), 0
	hear := p.whileOpen(func(raft.RPC) {
		handed++
		close(entered)
		<-goOn
	})
	go hear(raft.RPC{})
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- p.Close() }()
	select {
	case err := <-closed:
		t.Errorf("it is closed while a heartbeat is in hand: %v", err)
	case <-time.After(50 * time.Millisecond): // real sockets, real time
	}
	close(goOn)
	no(t, <-closed)
	answer := make(chan raft.RPCResponse, 1)
	hear(raft.RPC{RespChan: answer})
	if got := <-answer; got.Error == nil || handed != 1 {
		t.Errorf("after the end a heartbeat is answered %v; %d were handed on", got.Error, handed)
	}
}
