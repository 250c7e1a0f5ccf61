package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// announceRetryMax is the longest pause between two tries to tell the leader
// where this node is.
const announceRetryMax = 4 * time.Second

// admit answers a node that wants to join, or that is back and may have moved.
// Neither ok nor refused asks for patience.
func (c *Cluster) admit(ctx context.Context, q question) (ok bool, refused string) {
	if !c.IsLeader() {
		return false, ""
	}
	c.membership.Lock()
	defer c.membership.Unlock()
	if c.barrier(ctx) != nil {
		return false, ""
	}
	if refused := c.objection(q); refused != "" {
		return false, refused
	}
	err := c.enter(ctx, q.Self)
	if errors.Is(err, ErrRefused) {
		return false, words(err, ErrRefused)
	}
	return err == nil, ""
}

// objection says why a node can't be let in. What the state machine refuses is
// not looked at here.
func (c *Cluster) objection(q question) string {
	state := c.fsm.State()
	known, member := state.Members[q.Self.Name]
	switch {
	case q.Self.Name == c.cfg.Name:
		return fmt.Sprintf("this cluster has a node %s, which leads it: choose another name", q.Self.Name)
	case q.Self.Instance == "":
		return fmt.Sprintf("node %s does not say which data directory it has: update it", q.Self.Name)
	case q.Self.Brings != "" && q.Self.Brings != state.Stream.ID:
		return fmt.Sprintf("node %s brings an event stream, and the nodes of --join form a cluster already, with its own: begin with new nodes, on empty data directories", q.Self.Name)
	case q.Belongs && q.Cluster != "" && q.Cluster != state.ID:
		return ofAnother(q.Self.Name)
	case q.Belongs && q.Cluster == "" && !c.isServer(q.Self.Name) && (!member || known.Instance != q.Self.Instance):
		if _, removed := state.Removed[q.Self.Name]; !removed {
			return ofAnother(q.Self.Name)
		}
	}
	return ""
}

func (c *Cluster) isServer(name string) bool {
	_, ok := c.server(name)
	return ok
}

// isOnly tells whether the group is this node alone, as far as it knows.
func (c *Cluster) isOnly() bool { return len(c.servers()) == 1 && c.isServer(c.cfg.Name) }

func (c *Cluster) server(name string) (raft.Server, bool) {
	for _, server := range c.servers() {
		if string(server.ID) == name {
			return server, true
		}
	}
	return raft.Server{}, false
}

// enter makes m a member and has Raft talk to it, without a vote for now. What
// is so already is left alone. The caller holds membership.
func (c *Cluster) enter(ctx context.Context, m Member) error {
	state := c.fsm.State()
	if state.ID == "" { // formed by one node
		if _, err := c.local(ctx, found{ID: rand.Text()}); err != nil {
			return err
		}
	}
	known := state.Members[m.Name]
	if updated := known.updated(m); updated != known {
		if _, err := c.local(ctx, putMember{updated}); err != nil {
			return err
		}
	}
	server, ok := c.server(m.Name)
	if ok && string(server.Address) == m.Raft {
		return nil
	}
	if !ok {
		c.cfg.Logger.Info("a node joins the cluster", "node", m.Name, "addr", m.Raft)
	}
	// Of one that has a vote this changes the address alone.
	err := await(ctx, func() error {
		return c.raft.AddNonvoter(raft.ServerID(m.Name), raft.ServerAddress(m.Raft), 0, c.cfg.CommandTimeout).Error()
	})
	c.wake()
	return err
}

// leaderlessLooks is how often in a row, a heartbeat timeout apart, nobody must
// lead for this node to ask whether it is still a member.
const leaderlessLooks = 2

// announce tells the leader where this node is now: after a start, and whenever
// it has heard of no leader for a while. A node that was removed, or replaced,
// learns it so: Raft does not tell it. A group of this node alone has nobody to
// tell, for as long as it is one.
func (c *Cluster) announce() {
	for c.announced() && c.leaderless() {
	}
}

// leaderless returns true when nobody has led for a while, as far as this node
// knows, and false when it stops.
func (c *Cluster) leaderless() bool {
	for looks := 0; looks < leaderlessLooks; {
		select {
		case <-c.done:
			return false
		case <-time.After(c.cfg.HeartbeatTimeout):
		}
		if looks++; c.Leader() != "" {
			looks = 0
		}
	}
	return true
}

// announced returns true when the leader knows where this node is, or there is no
// other, and false when it is no member or stops.
func (c *Cluster) announced() bool {
	for pause := meetEvery; !c.IsLeader() && !c.isOnly(); pause = min(2*pause, announceRetryMax) {
		var apart error // why who answers does not go together with us
		fits := false
		for addr := range c.neighbours() {
			if c.life.Err() != nil {
				return false
			}
			a, err := c.ask(c.life, addr, question{Ask: askJoin})
			fits = fits || err == nil
			switch {
			case errors.Is(err, ErrMixed):
				apart = err
			case err != nil || !a.OK && a.Refused == "":
				continue
			case c.isSelf(a.Self): // named otherwise than by Addr, such as localhost
				continue
			case a.OK:
				return true
			case a.Cluster == c.id() && a.Cluster != "":
				c.cfg.Logger.Error("this node does not belong to its cluster any more", "node", c.cfg.Name, "error", a.Refused)
				c.banish(fmt.Errorf("%w: %s", ErrRefused, a.Refused))
				return false
			default:
				c.cfg.Logger.Warn("a node of another cluster was asked for the way", "node", c.cfg.Name, "addr", addr, "answer", a.Refused)
			}
		}
		if apart != nil && !fits {
			c.cfg.Logger.Error("this node does not go together with its cluster", "node", c.cfg.Name, "error", apart)
			c.banish(apart)
			return false
		}
		select {
		case <-c.done:
			return false
		case <-time.After(pause):
		}
	}
	return true
}

// banish has this node end, for a reason.
func (c *Cluster) banish(why error) {
	c.expulsion = why
	close(c.expelled)
}

// neighbours are the addresses at which other members may be. This node may be
// among them, under another name for its address.
func (c *Cluster) neighbours() map[string]bool {
	at := make(map[string]bool)
	for _, addr := range c.cfg.Join {
		at[addr] = true
	}
	for _, server := range c.servers() {
		at[string(server.Address)] = true
	}
	for m := range maps.Values(c.fsm.State().Members) {
		at[m.Raft] = true
	}
	delete(at, c.Addr())
	delete(at, "")
	return at
}

// words is what an error says besides its kind.
func words(err, kind error) string { return strings.TrimPrefix(err.Error(), kind.Error()+": ") }
