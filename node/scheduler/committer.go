package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
)

// seal hands the oldest open commit to the committer if that is idle. Only now
// are the events' prevs known: every commit before is stored.
func (s *Scheduler) seal() {
	if s.sending != nil || len(s.open) == 0 || s.holds() {
		return
	}
	s.sending = s.open[0]
	if s.sending == s.filling {
		s.filling = nil
	}
	s.sealed <- s.sending // never blocks: one is sent at a time
}

// holds says whether the commit that gathers waits a little for more. The
// callers whom the last commit answered tend to ask again at once: a commit
// that leaves with the first of them makes all others wait for a whole append.
// So it waits until as many are there, but no longer than the last append took,
// and never with a claim in it, which somebody's due time waits for.
func (s *Scheduler) holds() bool {
	c := s.open[0]
	return c == s.filling && len(c.runs) == 0 && !s.snap.draining &&
		c.orders < s.answered && time.Now().Before(s.holdUntil)
}

// commitLoop stores sealed commits, one at a time.
func (s *Scheduler) commitLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-s.sealed:
			begun := time.Now()
			seq, err := s.store(ctx, eventlog.Expect{LaneSeq: s.laneSeq}, c.id, c.body())
			if err != nil {
				if ctx.Err() == nil {
					s.Fail(err)
				}
				return
			}
			c.seq, c.took, s.laneSeq = seq, time.Since(begun), seq
			s.acked <- c // never blocks: one is open at a time
		}
	}
}

// store appends one commit: the same again and again while its outcome is
// unknown, until it is acknowledged or another message holds its place. Unknown
// is never taken for failed.
func (s *Scheduler) store(ctx context.Context, expect eventlog.Expect, id string, body []byte) (uint64, error) {
	defer s.stats.unknownSince.Store(0)
	backoff := 10 * time.Millisecond
	for {
		started := time.Now()
		seq, err := s.cfg.Log.Append(ctx, s.cfg.Node, expect, id, body)
		if err == nil {
			s.stats.appended(time.Since(started), len(body))
			return seq, nil
		}
		if errors.Is(err, eventlog.ErrOccupied) {
			seq, err = s.holder(ctx, expect.LaneSeq, id)
			if err == nil || errors.Is(err, ErrFenced) {
				return seq, err
			}
		}
		if s.stats.unknownSince.CompareAndSwap(0, time.Now().UnixMilli()) {
			s.log.Warn("the outcome of an append is unknown; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(backoff):
			backoff = min(2*backoff, appendBackoffMax)
		}
	}
}

// holder tells what stands at the place after the lane's sequence: this very
// commit, whose acknowledgement was lost, or a later process's.
func (s *Scheduler) holder(ctx context.Context, after uint64, id string) (uint64, error) {
	m, err := s.cfg.Log.Next(ctx, s.cfg.Node, after+1)
	switch {
	case err != nil:
		return 0, fmt.Errorf("look who holds the place after %d: %w", after, err)
	case m.ID == id:
		return m.Seq, nil
	}
	return 0, fmt.Errorf("%w (message %d)", ErrFenced, m.Seq)
}

// stored is the acknowledgement of a commit. What waited for it goes out now.
type stored struct{ c *commit }

func (m stored) handle(s *Scheduler) {
	c := m.c
	if c.seq != s.lastSeq+1 {
		// One node alone writes to its stream: a sequence that it did not
		// write is somebody's who must not be there.
		s.Fail(fmt.Errorf("%w: sequence %d follows %d, and what is between is not ours", eventlog.ErrDamaged, c.seq, s.lastSeq))
		return
	}
	s.state.Settle(c.events, projection.Pending(c.n), c.seq)
	s.state.Advance(c.seq, s.cfg.Node)
	s.lastSeq, s.sending = c.seq, nil
	s.answered, s.holdUntil = c.orders, time.Now().Add(min(c.took, holdMax))
	s.stats.LastSeq.Store(c.seq)
	s.open = s.open[1:]
	s.snap.events += len(c.events)
	close(c.done)
	for _, a := range c.runs {
		s.claimStored(a, c.seq)
	}
	for _, a := range c.closed {
		s.attemptStored(a)
	}
	s.wake(c)
	s.acknowledge(c.stored)
}
