package cluster

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// reach is what the leader knows of whether the others answer its heartbeats.
type reach struct {
	mu      sync.Mutex
	silent  map[string]time.Time // since when, for those that do not answer
	changed chan struct{}        // closed, and made anew, at each change
}

func newReach() *reach { return &reach{changed: make(chan struct{})} }

// observe takes what Raft observes, on its goroutines. A channel would lose
// what comes while nobody reads.
func (r *reach) observe(o *raft.Observation) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch what := o.Data.(type) {
	case raft.RaftState:
		r.silent = make(map[string]time.Time) // a new leader knows nothing yet
	case raft.FailedHeartbeatObservation:
		if r.silent == nil {
			r.silent = make(map[string]time.Time)
		}
		r.silent[string(what.PeerID)] = what.LastContact
	case raft.ResumedHeartbeatObservation:
		delete(r.silent, string(what.PeerID))
	default:
		return false
	}
	close(r.changed)
	r.changed = make(chan struct{})
	return false
}

// Reachable tells when each other member last answered this node's heartbeats:
// now, unless it is silent. A member that has been silent since this node was
// elected counts from then. It is nil where this node does not lead. What stands
// still without closing its connections is noticed after some heartbeats.
func (c *Cluster) Reachable() map[string]time.Time {
	if !c.IsLeader() {
		return nil
	}
	now := time.Now()
	last := make(map[string]time.Time)
	c.reach.mu.Lock()
	defer c.reach.mu.Unlock()
	for _, server := range c.servers() {
		name := string(server.ID)
		if name == c.cfg.Name {
			continue
		}
		last[name] = now
		if since, ok := c.reach.silent[name]; ok {
			last[name] = since
		}
	}
	return last
}

// ReachableChanged is closed when a member falls silent, is silent for longer,
// or answers again.
func (c *Cluster) ReachableChanged() <-chan struct{} {
	c.reach.mu.Lock()
	defer c.reach.mu.Unlock()
	return c.reach.changed
}
