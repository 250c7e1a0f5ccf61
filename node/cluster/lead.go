package cluster

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// barrierRetry is the pause after a barrier that failed while the office was
// not lost yet.
const barrierRetry = 100 * time.Millisecond

// Lead runs duty whenever this node leads: once for each term of office, when
// State holds all that was agreed before it. The duty's context ends, with
// ErrNotLeader as its cause, when the term does; the next term's duty starts
// only after this one returned. A duty that returns early is not started again
// in the same term.
//
// Lead returns when ctx ends or the Cluster stops, after the duty did.
func (c *Cluster) Lead(ctx context.Context, duty func(context.Context)) {
	for {
		term, ok := c.office.awaitStart(ctx)
		if !ok {
			return
		}
		c.serve(ctx, term, duty)
		c.office.awaitEnd(ctx, term)
	}
}

// serve runs duty for one term.
func (c *Cluster) serve(ctx context.Context, term uint64, duty func(context.Context)) {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.office.awaitEnd(ctx, term)
		cancel(ErrNotLeader)
	}()
	if c.caughtUp(ctx) {
		duty(ctx)
	}
	cancel(nil)
	<-watched
}

// caughtUp returns true when the state machine has applied all that was agreed
// before, and false when ctx ended first.
func (c *Cluster) caughtUp(ctx context.Context) bool {
	for ctx.Err() == nil {
		err := c.barrier(ctx)
		if err == nil {
			return true
		}
		select {
		case <-ctx.Done():
		case <-time.After(barrierRetry):
		}
	}
	return false
}

// barrier waits until all that was agreed before is applied here.
func (c *Cluster) barrier(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CommandTimeout)
	defer cancel()
	return await(ctx, func() error { return c.raft.Barrier(c.cfg.CommandTimeout).Error() })
}

// watchOffice passes Raft's announcements on. The channel holds the latest one
// only: what is lost between two readings is an end and a beginning, and the
// beginning is read, as a new term.
func (c *Cluster) watchOffice() {
	for {
		select {
		case held := <-c.raft.LeaderCh():
			c.office.set(held)
		case <-c.done:
			return
		}
	}
}

// standAlone lets a group of one elect itself without waiting for the heartbeat
// of a leader that cannot be. Where it does not succeed, Raft's own timeout
// does the same a second later.
func (c *Cluster) standAlone() {
	servers := c.servers()
	if len(servers) != 1 || servers[0].ID != raft.ServerID(c.cfg.Name) || servers[0].Suffrage != raft.Voter {
		return
	}
	c.electSelf()
}

// electSelf has this node ask for votes at once.
func (c *Cluster) electSelf() {
	self := c.transport.LocalAddr()
	request := &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersionMax,
		ID:              []byte(c.cfg.Name),
		Addr:            c.transport.EncodePeer(raft.ServerID(c.cfg.Name), self),
	}}
	if err := c.transport.TimeoutNow(raft.ServerID(c.cfg.Name), self, request, new(raft.TimeoutNowResponse)); err != nil {
		c.cfg.Logger.Debug("raft waits for its own timeout", "node", c.cfg.Name, "error", err)
	}
}

// correctAddress is the part of a duty that tells the group when this node came back under
// another address, so that who joins is sent to the right one.
func (c *Cluster) correctAddress(ctx context.Context) {
	self := c.transport.LocalAddr()
	for _, server := range c.servers() {
		if server.ID != raft.ServerID(c.cfg.Name) || server.Address == self {
			continue
		}
		err := await(ctx, func() error {
			return c.raft.AddVoter(server.ID, self, 0, c.cfg.CommandTimeout).Error()
		})
		if err != nil && ctx.Err() == nil {
			c.cfg.Logger.Warn("raft does not know this node's new address", "node", c.cfg.Name, "addr", self, "error", err)
		}
	}
}

func (c *Cluster) servers() []raft.Server {
	return c.raft.GetConfiguration().Configuration().Servers
}
