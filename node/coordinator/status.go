package coordinator

import (
	"maps"
	"slices"
	"time"

	"github.com/belfryhq/belfry/node/cluster"
)

// Status is what a node knows of the others, for cluster.status.
type Status struct {
	// Nodes are those that were ever heard, this one too, by name.
	Nodes []NodeStatus
	// Listening says that this node hears well enough to know who is gone.
	Listening bool
	// ClockOff is how far this node's clock is off the median, if that is more
	// than the limit; else 0.
	ClockOff time.Duration
	// Moved are the moves that this node saw last: those of one beat.
	Moved []Move
}

// NodeStatus is a node's sign of life.
type NodeStatus struct {
	Name, Process         string
	Alive, Ready, Leaving bool
	// Silent is how long ago it was last heard.
	Silent time.Duration
	// Offset is how far its clock is ahead of ours, if Measured.
	Offset   time.Duration
	Measured bool
}

// Move is partitions that went from one node to another.
type Move struct {
	From, To   string
	Partitions []int
	Seen       time.Time
}

// Status looks at the present moment.
func (c *Coordinator) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	st := Status{Listening: c.ears.surely(now), ClockOff: c.clocks.ill, Moved: slices.Clone(c.moved)}
	for _, name := range slices.Sorted(maps.Keys(c.ears.nodes)) {
		s := c.ears.nodes[name]
		n := NodeStatus{
			Name: name, Process: s.Process, Alive: c.ears.alive(name, now), Ready: s.Ready, Leaving: s.Leaving, Silent: now.Sub(s.at),
		}
		if n.Offset, n.Measured = c.clocks.offset(name); name == c.cfg.Node {
			n.Measured = true
		}
		st.Nodes = append(st.Nodes, n)
	}
	return st
}

// lookAtOwners notes what has moved since the last look.
func (c *Coordinator) lookAtOwners() {
	owners := cluster.Plan(c.cfg.Mover.Owners())
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.owners
	c.owners = owners
	if before == owners || before == (cluster.Plan{}) {
		return
	}
	moves := map[[2]string]*Move{}
	for p, now := range owners {
		if now == before[p] {
			continue
		}
		way := [2]string{before[p], now}
		if moves[way] == nil {
			moves[way] = &Move{From: before[p], To: now, Seen: c.cfg.Clock()}
		}
		moves[way].Partitions = append(moves[way].Partitions, p)
	}
	c.moved = nil
	for _, way := range slices.SortedFunc(maps.Keys(moves), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		c.moved = append(c.moved, *moves[way])
	}
}
