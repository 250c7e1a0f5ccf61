package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/belfryhq/belfry/node/cluster"
	"github.com/belfryhq/belfry/node/scheduler"
)

// followPlan gives away, at each beat, some of what this node owns and the plan
// gives to another, until ctx ends or the node is no member any more.
func (c *Coordinator) followPlan(ctx context.Context) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	member := false
	c.each(ctx, func() {
		state := c.cfg.Agreement.State()
		_, still := state.Members[c.cfg.Node]
		if member && !still {
			c.beRemoved(ctx)
			end()
			return
		}
		member = still // one that joins is not yet
		if err := c.followOnce(ctx, state.Plan); err != nil && !errors.Is(err, scheduler.ErrStopped) && ctx.Err() == nil {
			c.cfg.Logger.Warn("partitions could not be given away; trying again", "node", c.cfg.Node, "error", err)
		}
	})
}

// followOnce gives one portion away, and returns when that is stored.
func (c *Coordinator) followOnce(ctx context.Context, plan cluster.Plan) error {
	if !c.beginGiving(ctx) {
		return nil
	}
	defer c.endGiving()
	to := shares(c.cfg.Node, c.cfg.Mover.Owners(), plan)
	c.onlyReady(to)
	left := c.cfg.Portion
	for _, node := range names(to) {
		some := to[node][:min(left, len(to[node]))]
		left -= len(some)
		if err := c.give(ctx, node, some); err != nil {
			return err
		}
		if left == 0 {
			break
		}
	}
	return nil
}

// onlyReady leaves out who may be given nothing now.
func (c *Coordinator) onlyReady(to map[string][]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(to, func(node string, _ []int) bool { return !c.ears.takes(node, now) })
}

// give moves partitions of ours, and passes over those that went already. It is
// ErrStopped when this node decides nothing any more.
func (c *Coordinator) give(ctx context.Context, to string, partitions []int) error {
	limited, cancel := context.WithTimeout(ctx, c.cfg.MovePatience)
	defer cancel()
	err := c.cfg.Mover.GiveAway(limited, to, partitions)
	switch {
	case err == nil:
		c.cfg.Logger.Info("partitions were given away", "node", c.cfg.Node, "to", to, "partitions", len(partitions))
		return nil
	case errors.Is(err, scheduler.ErrNotOwned):
		return nil
	case errors.Is(err, scheduler.ErrUnknownNode):
		return nil // its opening is not folded here yet
	}
	return fmt.Errorf("give partitions to %s: %w", to, err)
}

// names are the receivers of shares, sorted.
func names(to map[string][]int) []string { return slices.Sorted(maps.Keys(to)) }

// beginGiving waits for the one place of who gives; false if ctx ended first.
func (c *Coordinator) beginGiving(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case c.giving <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Coordinator) endGiving() { <-c.giving }
