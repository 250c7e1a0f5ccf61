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
	if s.sending != nil || s.displaced || len(s.open) == 0 || s.holds() {
		return
	}
	s.sending = s.open[0]
	if s.sending == s.filling {
		s.filling = nil
	}
	s.sealed <- sealed{s.sending, s.laneSeq} // has room for one, and one is sent at a time
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

// sealed is a commit and the message of the lane that it must follow: one that
// this process folded or appended itself.
type sealed struct {
	c     *commit
	after uint64
}

// commitLoop stores sealed commits, one at a time.
func (s *Scheduler) commitLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-s.sealed:
			c, begun := m.c, time.Now()
			seq, err := s.store(ctx, s.cfg.Node, eventlog.Expect{LaneSeq: m.after}, c.id, c.body())
			switch {
			case errors.Is(err, errOccupied) && !s.cfg.Alone:
				s.acked <- occupied{c}
			case errors.Is(err, errOccupied):
				s.Fail(fmt.Errorf("%w (%w)", ErrFenced, err))
				return
			case err != nil:
				return // ctx ended
			default:
				s.acked <- stored{c, seq, time.Since(begun)}
			}
		}
	}
}

// errOccupied says that another message holds the place of a commit.
var errOccupied = errors.New("another message holds the commit's place")

// store appends one commit to a lane: the same again and again while its
// outcome is unknown, until it is acknowledged or another message holds its
// place (errOccupied). Unknown is never taken for failed.
func (s *Scheduler) store(ctx context.Context, lane string, expect eventlog.Expect, id string, body []byte) (uint64, error) {
	own := lane == s.cfg.Node // of another's lane readiness says nothing
	if own {
		defer s.stats.unknownSince.Store(0)
	}
	backoff, said := 10*time.Millisecond, false
	for {
		started := time.Now()
		seq, err := s.cfg.Log.Append(ctx, lane, expect, id, body)
		if err == nil {
			s.stats.appended(time.Since(started), len(body))
			return seq, nil
		}
		if errors.Is(err, eventlog.ErrOccupied) {
			seq, err = s.holder(ctx, lane, expect.LaneSeq, id)
			if err == nil || errors.Is(err, errOccupied) {
				return seq, err
			}
		}
		if own {
			s.stats.unknownSince.CompareAndSwap(0, time.Now().UnixMilli())
		}
		if !said {
			said = true
			s.log.Warn("the outcome of an append is unknown; trying again", "lane", lane, "error", err)
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
func (s *Scheduler) holder(ctx context.Context, lane string, after uint64, id string) (uint64, error) {
	m, err := s.cfg.Log.Next(ctx, lane, after+1)
	switch {
	case err != nil:
		return 0, fmt.Errorf("look who holds the place after %d: %w", after, err)
	case m.ID == id:
		return m.Seq, nil
	}
	return 0, fmt.Errorf("%w: message %d", errOccupied, m.Seq)
}

// stored is the acknowledgement of a commit. What waited for it goes out now.
type stored struct {
	c    *commit
	seq  uint64
	took time.Duration
}

func (m stored) handle(s *Scheduler) {
	c := m.c
	if c != s.sending {
		return // it was seen in the stream before it was acknowledged
	}
	if s.cfg.Alone && m.seq != s.folded+1 {
		// One node alone writes to its stream: a sequence that it did not
		// write is somebody's who must not be there.
		s.Fail(fmt.Errorf("%w: sequence %d follows %d, and what is between is not ours", eventlog.ErrDamaged, m.seq, s.folded))
		return
	}
	c.seq, s.laneSeq = m.seq, m.seq
	s.state.Settle(c.events, projection.Pending(c.n), c.seq)
	s.sending, s.open = nil, s.open[1:]
	s.answered, s.holdUntil = c.orders, time.Now().Add(min(m.took, holdMax))
	s.snap.events += len(c.events)
	close(c.done)
	for _, a := range c.runs {
		a.claimSeq = c.seq
		s.unsent = append(s.unsent, a)
	}
	for _, a := range c.closed {
		s.attemptStored(a)
	}
	s.wakeWaiting(c.events)
	s.acknowledge(c.stored)
	if c.seq == s.folded+1 {
		s.advance(c.seq, s.cfg.Node)
	} else {
		s.ahead = append(s.ahead, c)
	}
}

// advance notes that a message is folded, and lets go what waited for that.
func (s *Scheduler) advance(seq uint64, lane string) {
	s.state.Advance(seq, lane)
	s.folded = seq
	s.stats.LastSeq.Store(seq)
	s.reads.folded(seq)
	s.compareAt(seq)
	for len(s.unsent) > 0 && s.unsent[0].claimSeq <= seq {
		s.claimStored(s.unsent[0])
		s.unsent = s.unsent[1:]
	}
}
