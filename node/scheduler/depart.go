package scheduler

import (
	"context"
	"maps"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
)

// departure is the next time that a node is left with no partition.
type departure struct {
	ctx context.Context //nolint:containedctx // it is what ends
	end context.CancelFunc
}

func newDeparture() *departure {
	ctx, end := context.WithCancel(context.Background())
	return &departure{ctx, end}
}

// Departure ends when next some node is left with no partition, as one that died
// is: who waits for its answer asks better who owns now. It is safe for
// concurrent use.
func (s *Scheduler) Departure() context.Context { return s.departure.Load().ctx }

// depart ends Departure if somebody owns nothing any more.
func (s *Scheduler) depart(before, now [eventlog.Partitions]projection.Ownership) {
	left := map[string]bool{}
	for _, owner := range before {
		left[owner.Node] = true
	}
	maps.DeleteFunc(left, func(node string, _ bool) bool {
		for _, owner := range now {
			if owner.Node == node {
				return true
			}
		}
		return false
	})
	if len(left) > 0 {
		s.departure.Swap(newDeparture()).end()
	}
}
