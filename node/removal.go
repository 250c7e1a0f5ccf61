package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/cluster"
)

// evacuateEvery is how often the servers are asked to move a leaving node's
// streams: again, as whoever led them may have died over it.
const evacuateEvery = time.Second

// removals are what this node knows of those under way.
type removals struct {
	mu    sync.Mutex
	steps map[string]api.RemovalStep
	asked map[string]time.Time // when the servers were last asked to move its streams
}

// remove is a duty of the leader: it has those who are to leave do so. Each step
// looks at how things are and may be repeated, so that the next leader goes on
// where this one died:
//
//	to be removed ──▶ owns nothing ──▶ holds no copy of a stream ──▶ no peer of NATS ──▶ no member
//
// The coordinator does the first: it plans without those nodes, and takes from
// them if they are dead.
func (n *Node) remove(ctx context.Context) {
	tick := time.NewTicker(n.cfg.Idle / beats)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		state := n.raft.State()
		for _, name := range slices.Sorted(maps.Keys(state.Leaving)) {
			if err := n.removeOne(ctx, state, name); err != nil && ctx.Err() == nil {
				n.cfg.Logger.Warn("a node could not be removed yet; trying again", "node", name, "error", err)
			}
		}
		n.forgetPeers(ctx, state)
	}
}

// removeOne takes the step that comes next.
func (n *Node) removeOne(ctx context.Context, state cluster.State, name string) error {
	if name == n.cfg.name() { // who goes does not see it through
		return n.raft.Transfer(ctx, "")
	}
	if step, _ := n.removalStep(name); step == api.StepPartitions || slices.Contains(state.Plan[:], name) {
		return nil
	}
	if n.broker != nil { // else no stream is on a node
		moved, err := n.moved(ctx, state)
		if err != nil {
			return err
		}
		if !moved {
			n.atStep(name, api.StepStreams)
			return n.evacuate(ctx, name)
		}
		n.atStep(name, api.StepMembers)
		if err := n.broker.RemovePeer(ctx, name); err != nil {
			return err
		}
	}
	if err := n.raft.Removed(ctx, name); err != nil {
		return err
	}
	n.cfg.Logger.Info("a node was removed", "node", name)
	return nil
}

// evacuate has another server take what a node holds of the streams.
func (n *Node) evacuate(ctx context.Context, name string) error {
	n.leavers.mu.Lock()
	due := time.Since(n.leavers.asked[name]) >= evacuateEvery
	if due {
		n.leavers.asked[name] = time.Now()
	}
	n.leavers.mu.Unlock()
	if !due {
		return nil
	}
	return n.broker.Evacuate(ctx, name)
}

// moved says whether all copies of the streams are on nodes that stay, and as
// many of them complete as may be needed when one dies.
func (n *Node) moved(ctx context.Context, state cluster.State) (bool, error) {
	js, err := jetstream.New(n.nc)
	if err != nil {
		return false, err
	}
	stays := func(name string) bool {
		_, member := state.Members[name]
		return member && !state.Leaving[name]
	}
	for _, name := range n.streams() {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return false, fmt.Errorf("look where stream %s is: %w", name, err)
		}
		on := stream.CachedInfo().Cluster
		if on == nil || !stays(on.Leader) || len(on.Replicas) < replicas-1 {
			return false, nil
		}
		for _, copied := range on.Replicas {
			if !stays(copied.Name) || !copied.Current || copied.Offline {
				return false, nil
			}
		}
	}
	return true, nil
}

// forgetPeers has NATS forget who was removed and then came back for a moment: a
// server that knows its old peers is let in again by them.
func (n *Node) forgetPeers(ctx context.Context, state cluster.State) {
	for name := range state.Removed {
		if n.broker == nil || !n.broker.HasPeer(name) {
			continue
		}
		if err := n.broker.RemovePeer(ctx, name); err != nil && ctx.Err() == nil {
			n.cfg.Logger.Warn("a removed node's nats server could not be forgotten; trying again", "node", name, "error", err)
		}
	}
}

// removalStep is how far the removal of a node is, and what it still owns.
func (n *Node) removalStep(name string) (step api.RemovalStep, owned int) {
	for _, owner := range n.scheduler.Owners() {
		if owner == name {
			owned++
		}
	}
	n.leavers.mu.Lock()
	defer n.leavers.mu.Unlock()
	switch step = n.leavers.steps[name]; {
	case owned > 0:
		step = api.StepPartitions
	case step == "":
		step = api.StepStreams
	}
	return step, owned
}

func (n *Node) atStep(name string, step api.RemovalStep) {
	n.leavers.mu.Lock()
	defer n.leavers.mu.Unlock()
	if n.leavers.steps[name] != step {
		n.cfg.Logger.Info("a node is being removed", "node", name, "step", string(step))
	}
	n.leavers.steps[name] = step
}

// expulsion is why this node takes no part any more: it is no member, or its
// release does not go together with that of the others. It is nil while it does.
func (n *Node) expulsion() error {
	if n.coordinator != nil && n.coordinator.Err() != nil {
		return n.coordinator.Err()
	}
	if n.raft != nil {
		return n.raft.Expulsion()
	}
	return nil
}

// whileMember is ctx until this node is no member any more, so that a start does
// not wait for a cluster that has forgotten it.
func (n *Node) whileMember(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	n.later(func() { cancel(nil) })
	go func() {
		select {
		case <-ctx.Done():
		case <-n.raft.Expelled():
			cancel(n.raft.Expulsion())
		}
	}()
	return ctx
}

// watchRemoval ends the node's deciding when it is no member any more.
func (n *Node) watchRemoval(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-n.coordinator.Done():
	case <-n.raft.Expelled():
	}
	n.noteRemoval()
	n.scheduler.Fail(n.expulsion())
}

// noteRemoval has the data directory say that it belongs to no cluster any more, if
// that is so: one of another release comes back with the right one.
func (n *Node) noteRemoval() {
	if errors.Is(n.expulsion(), cluster.ErrMixed) {
		return
	}
	is := n.dir.is
	is.Removed = true
	if err := n.dir.write(is); err != nil {
		n.cfg.Logger.Warn("that this node was removed could not be noted", "error", err)
	}
}
