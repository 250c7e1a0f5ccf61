package cluster

import (
	"context"
	"fmt"

	"github.com/hashicorp/raft"
)

// Remove records that a member is to leave, in State.Leaving; nothing else
// changes yet. The caller then takes from it what it owns, and ends with
// Removed. The last member with a vote cannot leave. It works on the leader only
// and may be repeated; elsewhere the error is a NotLeaderError.
func (c *Cluster) Remove(ctx context.Context, name string) error {
	if err := c.lead(ctx); err != nil {
		return err
	}
	c.membership.Lock()
	defer c.membership.Unlock()
	state := c.fsm.State()
	if !state.Leaving[name] {
		if err := c.spare(name, func(other string) bool { return !state.Leaving[other] }); err != nil {
			return err
		}
	}
	_, err := c.local(ctx, startLeaving{name})
	return err
}

// Removed ends what Remove began, when the member owns nothing any more: it is
// forgotten, Raft talks to it no longer, and its name is never let in again. An
// error, or a crash, after it was forgotten leaves the rest to the next leader.
//
// It works on the leader only and may be repeated. A leader does not remove
// itself: it hands over first and answers with a NotLeaderError.
func (c *Cluster) Removed(ctx context.Context, name string) error {
	if err := c.lead(ctx); err != nil {
		return err
	}
	c.membership.Lock()
	defer c.membership.Unlock()
	if err := c.spare(name, func(string) bool { return true }); err != nil {
		return err
	}
	if name == c.cfg.Name && c.fsm.State().Leaving[name] {
		if err := c.Transfer(ctx, ""); err != nil {
			return err
		}
		return c.notLeader()
	}
	if _, err := c.local(ctx, forget{name}); err != nil {
		return err
	}
	c.wake()
	return c.removeServer(ctx, name)
}

// lead returns nil on a leader whose state is current.
func (c *Cluster) lead(ctx context.Context) error {
	if !c.IsLeader() {
		return c.notLeader()
	}
	return c.barrier(ctx)
}

// spare refuses to go without name if no other that counts has a vote.
func (c *Cluster) spare(name string, counts func(other string) bool) error {
	server, ok := c.server(name)
	if !ok || server.Suffrage != raft.Voter {
		return nil
	}
	for _, other := range c.servers() {
		if other.ID != server.ID && other.Suffrage == raft.Voter && counts(string(other.ID)) {
			return nil
		}
	}
	return fmt.Errorf("%w: node %s is the last that has a vote: let another one join first", ErrRefused, name)
}

// expel has Raft talk no longer to a node that was forgotten.
func (c *Cluster) expel(ctx context.Context, name string) error {
	c.membership.Lock()
	defer c.membership.Unlock()
	if name == c.cfg.Name {
		return c.Transfer(ctx, "") // the next leader does it
	}
	return c.removeServer(ctx, name)
}

func (c *Cluster) removeServer(ctx context.Context, name string) error {
	if !c.isServer(name) {
		return nil
	}
	err := await(ctx, func() error {
		return c.raft.RemoveServer(raft.ServerID(name), 0, c.cfg.CommandTimeout).Error()
	})
	if p, ours := c.transport.(*patient); ours && err == nil {
		p.remove(raft.ServerID(name))
	}
	return err
}

// Transfer hands leadership over to the member that is named, or to any for "".
// It works on the leader only; where the named one leads already it does nothing.
func (c *Cluster) Transfer(ctx context.Context, to string) error {
	if !c.IsLeader() {
		if to != "" && c.Leader() == to {
			return nil
		}
		return c.notLeader()
	}
	if to == "" {
		return c.handOn(ctx, func() error { return c.raft.LeadershipTransfer().Error() })
	}
	if to == c.cfg.Name {
		return nil
	}
	server, ok := c.server(to)
	if !ok || server.Suffrage != raft.Voter {
		return fmt.Errorf("%w: node %s has no vote in this cluster and cannot lead it", ErrRefused, to)
	}
	return c.handOn(ctx, func() error {
		return c.raft.LeadershipTransferToServer(server.ID, server.Address).Error()
	})
}

func (c *Cluster) handOn(ctx context.Context, transfer func() error) error {
	p, ours := c.transport.(*patient)
	if !ours {
		return await(ctx, transfer)
	}
	return await(ctx, func() error { return p.hurried(transfer) })
}
