package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// keepMembers is a duty: it has Raft's configuration follow the members. What a
// leader left half done, the next one finishes.
func (c *Cluster) keepMembers(ctx context.Context) {
	c.correctAddress(ctx)
	c.putSelf(ctx)
	goals := make(map[raft.ServerID]uint64)
	for ctx.Err() == nil {
		var again <-chan time.Time
		if c.tidy(ctx, goals) {
			again = time.After(c.cfg.HeartbeatTimeout / 2)
		}
		select {
		case <-ctx.Done():
		case <-c.changed:
		case <-again:
		}
	}
}

// wake has keepMembers look again.
func (c *Cluster) wake() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// putSelf tells the members what the others can't: a leader asks nobody to join.
func (c *Cluster) putSelf(ctx context.Context) {
	if c.cfg.Self.Instance == "" {
		return // the caller tells it
	}
	c.membership.Lock()
	defer c.membership.Unlock()
	known := c.fsm.State().Members[c.cfg.Name]
	updated := known.updated(c.self())
	if updated == known {
		return
	}
	if _, err := c.local(ctx, putMember{updated}); err != nil && ctx.Err() == nil {
		c.cfg.Logger.Warn("the members do not know this node's new address", "node", c.cfg.Name, "error", err)
	}
}

// tidy removes from Raft who was removed from the members, and gives a vote to
// who has caught up. It returns whether anything is left to do. goals holds, for
// each member without a vote, the entry it is to reach; where it got within one
// round, it follows.
func (c *Cluster) tidy(ctx context.Context, goals map[raft.ServerID]uint64) (left bool) {
	state := c.fsm.State()
	for _, server := range c.servers() {
		name := string(server.ID)
		if _, gone := state.Removed[name]; gone {
			left = true
			c.note(ctx, "remove a node", name, c.expel(ctx, name))
			continue
		}
		if server.Suffrage == raft.Voter || state.Leaving[name] || c.port == nil {
			continue
		}
		left = true
		goal, known := goals[server.ID]
		goals[server.ID] = c.raft.CommitIndex()
		if known && c.hasReached(ctx, server, goal) {
			c.note(ctx, "give a node a vote", name, c.promote(ctx, server))
		}
	}
	return left
}

func (c *Cluster) note(ctx context.Context, step, name string, err error) {
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrNotLeader) {
		c.cfg.Logger.Warn("raft's members could not be changed", "node", name, "step", step, "error", err)
	}
}

// hasReached asks a member how far it is.
func (c *Cluster) hasReached(ctx context.Context, server raft.Server, goal uint64) bool {
	a, err := c.ask(ctx, string(server.Address), question{Ask: askHello})
	return err == nil && a.Self.Name == string(server.ID) && a.Cluster == c.id() && a.Applied >= goal &&
		a.Self.Instance == c.fsm.State().Members[a.Self.Name].Instance
}

func (c *Cluster) promote(ctx context.Context, server raft.Server) error {
	c.membership.Lock()
	defer c.membership.Unlock()
	state := c.fsm.State()
	now, ok := c.server(string(server.ID))
	if _, member := state.Members[string(server.ID)]; !ok || !member || state.Leaving[string(server.ID)] || now.Address != server.Address {
		return nil // it changed meanwhile: look again
	}
	err := await(ctx, func() error {
		return c.raft.AddVoter(server.ID, server.Address, 0, c.cfg.CommandTimeout).Error()
	})
	if err == nil {
		c.cfg.Logger.Info("a node has caught up and has a vote", "node", string(server.ID))
	}
	return err
}
