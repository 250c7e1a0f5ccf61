package cluster

import (
	"sync"

	"github.com/hashicorp/raft"
)

// patient is Raft's transport, by which a member that comes back is sent at once
// what it lacks. After each attempt that fails Raft waits for twice as long as
// before, up to ten seconds (maxFailureScale in its replication.go), also when the
// member has long been back and answers heartbeats, which have a pace of their own.
// Here an attempt that failed lasts until the member answers those, so that there
// are no others to count. It ends early when this node leads no longer, since Raft
// ends what it began as the leader only between two attempts.
//
// Closed, it hears no heartbeat any more. Raft's own may hand one on when Raft has
// stopped, which then panics as its store is closed.
//
// It is safe for concurrent use.
type patient struct {
	*raft.NetworkTransport
	office *office

	hearing sync.RWMutex // held by who hands a heartbeat on
	closed  bool

	mu      sync.Mutex
	answers map[raft.ServerID]chan struct{} // closed when the member answers
	removed map[raft.ServerID]bool
	hurries int // calls of hurried under way
}

func newPatient(transport *raft.NetworkTransport, o *office) *patient {
	return &patient{
		NetworkTransport: transport, office: o,
		answers: map[raft.ServerID]chan struct{}{}, removed: map[raft.ServerID]bool{},
	}
}

// AppendEntries implements raft.Transport.
func (p *patient) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	err := p.NetworkTransport.AppendEntries(id, target, args, resp)
	switch beat := isHeartbeat(args); {
	case beat && err == nil:
		p.answered(id)
	case !beat && err != nil:
		p.await(id)
	}
	return err
}

// SetHeartbeatHandler implements raft.Transport.
func (p *patient) SetHeartbeatHandler(handle func(raft.RPC)) {
	p.NetworkTransport.SetHeartbeatHandler(p.whileOpen(handle))
}

func (p *patient) whileOpen(handle func(raft.RPC)) func(raft.RPC) {
	return func(rpc raft.RPC) {
		p.hearing.RLock()
		defer p.hearing.RUnlock()
		if p.closed {
			rpc.Respond(nil, raft.ErrTransportShutdown)
			return
		}
		handle(rpc)
	}
}

// Close implements raft.WithClose. It returns when no heartbeat is in hand.
func (p *patient) Close() error {
	p.hearing.Lock()
	p.closed = true
	p.hearing.Unlock()
	return p.NetworkTransport.Close()
}

// isHeartbeat tells them as Raft's own transport does: they say nothing of the log.
func isHeartbeat(args *raft.AppendEntriesRequest) bool {
	return len(args.Entries) == 0 && args.PrevLogEntry == 0 && args.PrevLogTerm == 0 && args.LeaderCommitIndex == 0
}

// await returns when a member has answered a heartbeat, or was removed, or this
// node's term of office is over.
func (p *patient) await(id raft.ServerID) {
	_, leads, _, changed := p.office.look()
	if !leads {
		return
	}
	answers := p.answer(id)
	if answers == nil {
		return
	}
	select {
	case <-answers:
	case <-changed:
	}
}

// answer is closed when the member answers; nil if nobody waits for it.
func (p *patient) answer(id raft.ServerID) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.removed[id] || p.hurries > 0 {
		return nil
	}
	if p.answers[id] == nil {
		p.answers[id] = make(chan struct{})
	}
	return p.answers[id]
}

// hurried has no attempt wait while do runs. A transfer of the lead asks whoever
// sends to the member, and Raft takes no command until it has been answered.
func (p *patient) hurried(do func() error) error {
	p.mu.Lock()
	p.hurries++
	for id, answers := range p.answers {
		close(answers)
		delete(p.answers, id)
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.hurries--
		p.mu.Unlock()
	}()
	return do()
}

// remove ends the attempts to reach a member, and the waiting of those to come:
// Raft makes one more.
func (p *patient) remove(id raft.ServerID) {
	p.mu.Lock()
	p.removed[id] = true
	p.mu.Unlock()
	p.answered(id)
}

func (p *patient) answered(id raft.ServerID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if answers := p.answers[id]; answers != nil {
		close(answers)
		delete(p.answers, id)
	}
}
