package cluster

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// State is a copy of what this node knows to be agreed. On the leader it is
// current once WaitLeader returned or a duty runs; elsewhere it may lag.
func (c *Cluster) State() State { return c.fsm.State() }

// Leader is the name of the node that leads, as far as this node knows; "" is
// nobody.
func (c *Cluster) Leader() string {
	_, id := c.raft.LeaderWithID()
	return string(id)
}

// IsLeader tells whether this node leads, as far as it knows.
func (c *Cluster) IsLeader() bool { return c.raft.State() == raft.Leader }

// Expelled is closed when the cluster has said that this node belongs to it no
// more: see Expulsion. Who was cut off from the others learns it when it finds
// them again.
func (c *Cluster) Expelled() <-chan struct{} { return c.expelled }

// Expulsion says why, once Expelled is closed; else nil. It is an ErrRefused, or
// ErrMixed where the others that were reached are all of a release that this one
// does not go together with: then the node is a member still.
func (c *Cluster) Expulsion() error {
	select {
	case <-c.expelled:
		return c.expulsion
	default:
		return nil
	}
}

// WaitLeader returns when a leader is known. If it is this node, State is then
// current. It returns the cause of ctx when that ends first, ErrStopped when the
// Cluster was stopped, and Expulsion when the cluster lets this node in no longer.
func (c *Cluster) WaitLeader(ctx context.Context) error {
	seen := make(chan raft.Observation, 1)
	observer := raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	c.raft.RegisterObserver(observer)
	defer c.raft.DeregisterObserver(observer)
	for {
		var again <-chan time.Time
		if c.IsLeader() {
			if c.barrier(ctx) == nil {
				return nil
			}
			again = time.After(barrierRetry)
		} else if leader := c.Leader(); leader != "" && leader != c.cfg.Name {
			return nil
		}
		select {
		case <-seen:
		case <-again:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.expelled:
			return c.expulsion
		case <-c.done:
			return ErrStopped
		}
	}
}

// PutMember makes m a member, or replaces what is known of it.
//
// Like all commands it returns when the change is on the disks of a majority and
// in the State of the leader; that of another node may lag. Where this node does
// not lead, the leader is asked to do it, until ctx ends while there is none; a
// node that does not listen on TCP, or belongs to no cluster, asks nobody. An
// error wraps ErrNotLeader, ErrBusy, ErrUnknownOutcome, ErrRefused or ErrStopped,
// or is the cause of a ctx that had ended before.
func (c *Cluster) PutMember(ctx context.Context, m Member) error {
	_, err := c.command(ctx, putMember{m})
	return err
}

// PutPlan replaces the plan. A plan that names a node which is not a member is
// refused. It works on the leader only: a plan is the work of who leads.
func (c *Cluster) PutPlan(ctx context.Context, p Plan) error {
	_, err := c.local(ctx, putPlan{p})
	return err
}

// IntendStream announces that the event stream is about to be created with this
// id, and returns the stream there is: the first id that was announced wins,
// for ever.
func (c *Cluster) IntendStream(ctx context.Context, id string) (Stream, error) {
	r, err := c.command(ctx, intendStream{id})
	return r.stream, err
}

// StreamCreated records that the stream exists.
func (c *Cluster) StreamCreated(ctx context.Context, id string) error {
	_, err := c.command(ctx, streamCreated{id})
	return err
}

// RaiseLowWater records that the stream reached seq. A lower one than is known
// changes nothing.
func (c *Cluster) RaiseLowWater(ctx context.Context, id string, seq uint64) error {
	_, err := c.command(ctx, raiseLowWater{id, seq})
	return err
}
