package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/node/broker"
	"github.com/belfryhq/belfry/node/coordinator"
)

// watch ends the node when a part that it cannot be without has ended by itself.
func (n *Node) watch(ctx context.Context) {
	tick := time.NewTicker(n.cfg.Idle) // nothing tells of the disk
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.scheduler.Done():
			n.end(n.scheduler.Err())
			return
		case <-tick.C:
			if err := n.storing(); err != nil {
				n.end(err)
				return
			}
		}
	}
}

// storing is an error when our NATS server keeps no streams any more. Other servers
// may still answer for it: one more that is lost would end the cluster's majority.
// That a server which is removed keeps none is as it should be.
func (n *Node) storing() error {
	if n.broker == nil || n.broker.Stores() {
		return nil
	}
	if n.leaves() {
		return nil
	}
	return n.full()
}

// whyNot has an error of the broker tell why it does not store.
func (n *Node) whyNot(err error) error {
	switch {
	case !errors.Is(err, broker.ErrNotStoring):
		return err
	case n.leaves():
		return coordinator.ErrRemoved
	}
	return n.full()
}

// leaves says that this node is no member any more, or is about to be none.
func (n *Node) leaves() bool {
	if n.cfg.Cluster == nil {
		return false
	}
	state, name := n.raft.State(), n.cfg.name()
	_, removed := state.Removed[name]
	return removed || state.Leaving[name] || n.expulsion() != nil
}

func (n *Node) full() error {
	return fmt.Errorf("the disk of %s is full, or must not be written to, so that nothing can be kept there: make room and start the node again", n.cfg.DataDir)
}

// end notes why the node ended by itself. The first cause counts.
func (n *Node) end(cause error) {
	n.once.Do(func() {
		n.cause = cause
		close(n.ended)
	})
}

// Done is closed when the node, once started, has ended by itself, not by Stop: see
// Err. It still has to be stopped, and gives away what it has.
func (n *Node) Done() <-chan struct{} { return n.ended }

// Err is why the node ended by itself; nil if it did not.
func (n *Node) Err() error {
	select {
	case <-n.ended:
		return n.cause
	default:
		return nil
	}
}
