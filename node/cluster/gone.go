package cluster

import (
	"context"
	"errors"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// goneTimeout bounds the look at a member's port: a machine that is there
	// refuses at once.
	goneTimeout = 100 * time.Millisecond
	// looksInHeartbeat is how often a silent leader's port is looked at within a
	// heartbeat timeout. Raft gives ten signs of life in one.
	looksInHeartbeat = 4
)

// Gone says that a member's machine answers and that nothing listens at its raft
// address: its process has ended. False means nothing: it may stand still, or be
// cut off. It takes goneTimeout at most, and ctx may end it before.
func (c *Cluster) Gone(ctx context.Context, name string) bool {
	server, known := c.server(name)
	if !known || c.port == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, goneTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", string(server.Address))
	if err == nil {
		_ = conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// watchLeader has this node stand for election when the leader's process has
// ended, instead of when it has been silent for long: a takeover begins with an
// election. One after the other, or votes would be split.
func (c *Cluster) watchLeader() {
	look := c.cfg.HeartbeatTimeout / looksInHeartbeat
	tick := time.NewTicker(look)
	defer tick.Stop()
	gone, looks := "", 0 // for how many looks a leader has been gone
	for {
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
		leader := c.Leader()
		if c.raft.State() != raft.Follower || leader == "" || time.Since(c.raft.LastContact()) < look || !c.Gone(c.life, leader) {
			gone = ""
			continue
		}
		if leader != gone {
			gone, looks = leader, 0
		}
		if looks == c.turn(leader) {
			c.cfg.Logger.Info("the leader's process has ended: standing for election", "node", c.cfg.Name, "leader", leader)
			c.electSelf()
		}
		looks++
	}
}

// turn is this node's place among those with a vote, but for the leader, sorted;
// -1 if it has none.
func (c *Cluster) turn(leader string) int {
	var voters []string
	for _, s := range c.servers() {
		if s.Suffrage == raft.Voter && string(s.ID) != leader {
			voters = append(voters, string(s.ID))
		}
	}
	slices.Sort(voters)
	return slices.Index(voters, c.cfg.Name)
}
