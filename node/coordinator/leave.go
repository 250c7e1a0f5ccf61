package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/belfryhq/belfry/node/cluster"
	"github.com/belfryhq/belfry/node/scheduler"
)

// Leave says that this node will stop and gives all its partitions to the others
// that are ready, evenly, without waiting for a plan. It returns when the log
// holds the moves and nothing came meanwhile, or with ctx's error, or with
// scheduler.ErrStopped at once where the node decides nothing any more; then
// whoever finds the node gone takes the rest. With nobody to give to it returns at
// once.
// Call it between Start and Stop.
func (c *Coordinator) Leave(ctx context.Context) error {
	c.mu.Lock()
	c.leaving = true
	c.mu.Unlock()
	c.beatNow()
	if !c.beginGiving(ctx) {
		return c.left(context.Cause(ctx))
	}
	defer c.endGiving()
	if len(c.others()) > 0 {
		c.wait(ctx, c.cfg.Beat/4) // who has not heard yet would give us back what we give
	}
	for quiet := false; ; {
		owners, others := cluster.Plan(c.cfg.Mover.Owners()), c.others()
		switch to := shares(c.cfg.Node, owners, Assign(owners, others)); {
		case len(others) == 0:
			if n := count(owners)[c.cfg.Node]; n > 0 {
				c.cfg.Logger.Info("nobody is there to take this node's partitions: they stay its own", "node", c.cfg.Node, "partitions", n)
			}
			return nil
		case len(to) == 0 && quiet:
			return nil
		case len(to) == 0: // another may not have heard yet, and give us something
			quiet = true
		default:
			quiet = false
			for _, node := range names(to) {
				switch err := c.give(ctx, node, to[node]); {
				case errors.Is(err, scheduler.ErrStopped):
					return c.left(err)
				case err != nil && ctx.Err() == nil:
					c.cfg.Logger.Warn("partitions could not be given away; trying again", "node", c.cfg.Node, "error", err)
				}
			}
		}
		if !c.wait(ctx, c.cfg.Beat) {
			return c.left(context.Cause(ctx))
		}
	}
}

// wait waits; false if ctx ended first.
func (c *Coordinator) wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// left is the error of a node that leaves with partitions; nil if it has none.
func (c *Coordinator) left(cause error) error {
	n := count(c.cfg.Mover.Owners())[c.cfg.Node]
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d partitions could not be given away; the other nodes take them when this one is gone: %w", n, cause)
}

// others are the nodes to which one that leaves gives.
func (c *Coordinator) others() []string {
	return slices.DeleteFunc(c.candidates(c.cfg.Agreement.State()), func(name string) bool { return name == c.cfg.Node })
}

// beRemoved gives everything away and ends this node's part.
func (c *Coordinator) beRemoved(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, c.cfg.MovePatience)
	defer cancel()
	if err := c.Leave(limited); err != nil {
		c.cfg.Logger.Warn("removed from the cluster", "node", c.cfg.Node, "error", err)
	}
	if ctx.Err() == nil {
		c.cfg.Logger.Warn("removed from the cluster: this node decides nothing any more", "node", c.cfg.Node)
		close(c.removed)
	}
}
