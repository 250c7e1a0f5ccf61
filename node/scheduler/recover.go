package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// recover builds the state: the last snapshot, then the log's tail. A stream
// that is shorter than remembered, has holes or another name is refused.
func (s *Scheduler) recover(ctx context.Context) error {
	begun := time.Now()
	s.state = s.loadSnapshot()
	from := s.state.Seq()
	info, err := s.wholeInfo(ctx, max(s.cfg.LowWater, s.state.Highest()))
	if err != nil {
		return err
	}
	if info.LastSeq == 0 {
		if err := s.genesis(ctx); err != nil {
			return err
		}
		info.LastSeq = 1
	}
	if err := s.fold(ctx, s.state, info.LastSeq); err != nil {
		return err
	}
	if found := s.state.Cluster().Stream; found != s.cfg.Stream {
		return fmt.Errorf("%w: %w: it is stream %s, not %s, which this node knows: put the right files back", eventlog.ErrDamaged, ErrForeign, found, s.cfg.Stream)
	}
	s.log.Info("log folded", "from", from, "seq", s.state.Seq(), "took", time.Since(begun).Round(time.Millisecond))
	return nil
}

// wholeInfo is the stream's state, once it is whole up to what is remembered.
// Several replicas get their time to look so.
func (s *Scheduler) wholeInfo(ctx context.Context, remembered uint64) (eventlog.Info, error) {
	var doubt eventlog.Doubt
	for {
		info, err := s.info(ctx)
		if err != nil {
			return info, err
		}
		err = doubt.Judge(info.Check(remembered), info.Replicas, time.Now())
		if !errors.Is(err, eventlog.ErrDoubtful) {
			return info, err
		}
		s.log.Warn("the event stream is looked at again", "error", err)
		select {
		case <-ctx.Done():
			return info, err
		case <-time.After(s.cfg.Housekeeping):
		}
	}
}

// info is the stream's state. Where nodes have just come or gone, nobody may lead
// the stream for a moment, or hear most of its replicas: it is asked for again. A
// node alone asks once, and damage does not get better.
func (s *Scheduler) info(ctx context.Context) (eventlog.Info, error) {
	for said := false; ; said = true {
		info, err := s.cfg.Log.Info(ctx)
		switch {
		case err == nil:
			return info, nil
		case s.cfg.Alone, ctx.Err() != nil, errors.Is(err, eventlog.ErrDamaged):
			return info, fmt.Errorf("ask for the event stream's state: %w", err)
		case !said:
			s.log.Warn("the event stream does not answer; asking again", "error", err)
		}
		select {
		case <-ctx.Done():
			return info, fmt.Errorf("ask for the event stream's state: %w", err)
		case <-time.After(followAgainAfter):
		}
	}
}

// genesis writes the stream's first message, if nobody else has.
func (s *Scheduler) genesis(ctx context.Context) error {
	id, body, err := s.lone(command.Genesis(s.generated(), s.cfg.Node, s.cfg.Stream), func(*eventlog.Event) uint64 { return 0 })
	if err != nil {
		return err
	}
	for {
		_, err := s.cfg.Log.Append(ctx, s.cfg.Node, eventlog.Expect{Empty: true}, id, body)
		if err == nil || errors.Is(err, eventlog.ErrOccupied) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("write the first message of the event stream: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// lone makes a commit outside the loop.
func (s *Scheduler) lone(events []eventlog.Event, prev func(*eventlog.Event) uint64) (id string, body []byte, err error) {
	c := newCommit(0, s.ids.ULID(time.Now()))
	for n := range events {
		e := &events[n]
		e.Source, e.ID = "/belfry/"+s.cfg.Node, eventID(c.id, n)
		encoded, err := eventlog.Encode(e)
		if err != nil {
			return "", nil, err
		}
		c.add(e, encoded, link{seq: prev(e)})
	}
	return c.id, c.body(), nil
}

// errFolded ends a Follow that has what it wanted.
var errFolded = errors.New("folded")

// fold evolves a state by the stored commits up to and with to.
func (s *Scheduler) fold(ctx context.Context, state *projection.State, to uint64) error {
	next := state.Seq() + 1
	if next > to {
		return nil
	}
	err := s.cfg.Log.Follow(ctx, next, func(m eventlog.Message) error {
		if _, err := s.foldOne(state, m); err != nil {
			return err
		}
		if m.Seq >= to {
			return errFolded
		}
		return nil
	})
	if errors.Is(err, errFolded) {
		return nil
	}
	return err
}

// openLane writes this process's opening. From then on no earlier process of
// this node can append, and nothing was decided before it is folded. Only here
// may the place to write be learned from the server: by folding what is there.
func (s *Scheduler) openLane(ctx context.Context) error {
	for {
		lane := s.state.Cluster().Lanes[s.cfg.Node]
		opening := command.Opening(s.generated(), s.cfg.Node, s.state.Cluster().Nodes[s.cfg.Node], eventlog.NodeOpened{
			Process: s.cfg.Process, Stream: s.cfg.Stream, Version: s.cfg.Version,
		})
		id, body, err := s.lone([]eventlog.Event{opening}, s.state.SeqOf)
		if err != nil {
			return err
		}
		seq, err := s.store(ctx, s.cfg.Node, eventlog.Expect{LaneSeq: lane}, id, body)
		if errors.Is(err, errOccupied) {
			info, err := s.info(ctx)
			if err != nil {
				return err
			}
			if err := s.fold(ctx, s.state, info.LastSeq); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("open the lane: %w", err)
		}
		if err := s.fold(ctx, s.state, seq); err != nil {
			return err
		}
		s.laneSeq, s.folded = seq, seq
		s.stats.LastSeq.Store(seq)
		s.reads.folded(seq)
		return nil
	}
}

// watch looks, once a second, whether the stream is whole and ours.
func (s *Scheduler) watch(ctx context.Context) {
	tick := time.NewTicker(s.cfg.Housekeeping)
	defer tick.Stop()
	silent := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := time.Now()
		info, err := s.cfg.Log.Info(ctx)
		switch {
		case err == nil:
			silent = false
			s.stats.heard.Store(asked.UnixMilli())
			s.post(watched{info, asked})
		case errors.Is(err, eventlog.ErrDamaged):
			s.Fail(err)
			return
		case ctx.Err() == nil && !silent:
			silent = true
			s.log.Warn("the event stream does not answer", "error", err)
		}
	}
}

// watched compares what the server says with what we stored. The server was
// asked before this message came to its turn, so it may know less, never more
// than the one commit that is on its way.
type watched struct {
	eventlog.Info
	asked time.Time
}

func (m watched) handle(s *Scheduler) {
	holes := s.holes.Judge(m.Check(0), m.Replicas, m.asked)
	ours := s.folded
	if s.sending != nil {
		ours++
	}
	switch {
	case errors.Is(holes, eventlog.ErrDoubtful):
		s.log.Warn("the event stream is looked at again", "error", holes)
	case holes != nil:
		s.Fail(holes)
	case !s.cfg.Alone:
		// A stream's leader that was just cut off may tell of the past, and
		// others write as well.
	case m.LastSeq < s.watchedSeq:
		s.Fail(m.Check(s.watchedSeq))
	case m.LastSeq > ours:
		s.Fail(fmt.Errorf("%w: the stream ends at %d, this process's last message is %d", ErrFenced, m.LastSeq, s.folded))
	}
	if m.LastSeq <= s.folded {
		s.reads.confirm(m.asked)
	}
	s.watchedSeq = m.LastSeq
	s.stats.Messages.Store(m.Messages)
	s.stats.Bytes.Store(m.Bytes)
	s.stats.Replicas.Store(int64(m.Replicas))
}

// LastSeq is the sequence of the last commit that is known to be stored.
func (s *Scheduler) LastSeq() uint64 { return s.stats.LastSeq.Load() }
