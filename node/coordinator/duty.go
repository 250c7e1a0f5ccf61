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

// Duty is what the leader does, for cluster.Lead: it plans for those who are
// alive and ready, and takes from the gone what the plan gives to others. It
// begins when this node has listened for a whole silence, whether it led then or
// not, and returns when ctx ends. Only one may run in a Coordinator.
func (c *Coordinator) Duty(ctx context.Context) {
	look := func() {
		if !c.surely() {
			return
		}
		c.lookWhoEnded(ctx)
		if err := c.coordinate(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Logger.Warn("partitions could not be coordinated; trying again", "node", c.cfg.Node, "error", err)
		}
	}
	look()
	c.each(ctx, look)
}

// lookWhoEnded looks after those who missed a beat.
func (c *Coordinator) lookWhoEnded(ctx context.Context) {
	c.mu.Lock()
	now := time.Now()
	since := now.Add(-c.cfg.Beat * missedPercent / 100)
	missed := c.ears.missed(since, now)
	c.mu.Unlock()
	for _, name := range missed {
		if name != c.cfg.Node && c.cfg.Gone(ctx, name) {
			c.mu.Lock()
			c.ears.end(name, since)
			c.mu.Unlock()
		}
	}
}

// surely says whether who was not heard is gone.
func (c *Coordinator) surely() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ears.surely(time.Now())
}

// coordinate plans, and has the gone part of the plan come true. What the members
// have not agreed on is not taken: who is cut off from most of them agrees on
// nothing.
func (c *Coordinator) coordinate(ctx context.Context) error {
	state, owners := c.cfg.Agreement.State(), cluster.Plan(c.cfg.Mover.Owners())
	members := c.candidates(state)
	plan := next(state.Plan, owners, members)
	if plan != state.Plan {
		limited, cancel := context.WithTimeout(ctx, c.cfg.MovePatience)
		defer cancel()
		if err := c.cfg.Agreement.PutPlan(limited, plan); err != nil {
			return fmt.Errorf("agree on a plan: %w", err)
		}
		c.cfg.Logger.Info("partitions are planned anew", "node", c.cfg.Node, "members", members, "moves", differences(owners, plan))
	}
	var problems error
	for _, gone := range c.gone(state.Members, owners) {
		problems = errors.Join(problems, c.take(ctx, gone, owners, plan))
	}
	return problems
}

// differences counts the partitions that a plan moves.
func differences(owners, plan cluster.Plan) (n int) {
	for p := range plan {
		if plan[p] != owners[p] {
			n++
		}
	}
	return n
}

// gone are the owners that are to be taken from.
func (c *Coordinator) gone(members map[string]cluster.Member, owners cluster.Plan) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	owning := count(owners)
	for name := range c.strangers {
		if _, member := members[name]; member || owning[name] == 0 {
			delete(c.strangers, name)
		}
	}
	for name := range owning {
		switch {
		case name == "" || name == c.cfg.Node || now.Before(c.spared[name]):
		case !c.ears.alive(name, now), c.lingers(members, name, now):
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// lingers says that a node is no member, and has had time to give away what it
// owns. It may be cut off from those who agreed on that.
func (c *Coordinator) lingers(members map[string]cluster.Member, name string, now time.Time) bool {
	if _, member := members[name]; member {
		return false
	}
	if c.strangers[name].IsZero() {
		c.strangers[name] = now
	}
	return now.Sub(c.strangers[name]) > strangerSilences*c.cfg.Silence
}

// take takes what a gone node owns and the plan gives to others.
func (c *Coordinator) take(ctx context.Context, gone string, owners, plan cluster.Plan) error {
	to := shares(gone, owners, plan)
	c.onlyReady(to) // an old plan may name who is gone
	if len(to) == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, c.cfg.MovePatience)
	defer cancel()
	err := c.cfg.Mover.TakeFrom(limited, gone, to)
	switch {
	case err == nil:
		c.cfg.Logger.Warn("a node is gone: its partitions were given to others", "node", c.cfg.Node, "gone", gone, "to", names(to))
		return nil
	case errors.Is(err, scheduler.ErrLaneMoved):
		// It writes, so it lives, or another coordinator was faster.
		c.cfg.Logger.Info("a silent node's lane goes on: nothing was taken from it", "node", c.cfg.Node, "silent", gone)
		c.mu.Lock()
		c.spared[gone] = time.Now().Add(spareSilences * c.cfg.Silence)
		c.mu.Unlock()
		return nil
	case errors.Is(err, scheduler.ErrMovePending), errors.Is(err, scheduler.ErrNotOwned), errors.Is(err, scheduler.ErrStopped):
		return nil // look again at the next beat
	}
	return fmt.Errorf("take partitions of %s: %w", gone, err)
}

// shares are the partitions that a node owns and a plan gives to others.
func shares(from string, owners, plan cluster.Plan) map[string][]int {
	to := map[string][]int{}
	for p, owner := range owners {
		if owner == from && plan[p] != from {
			to[plan[p]] = append(to[plan[p]], p)
		}
	}
	return to
}
