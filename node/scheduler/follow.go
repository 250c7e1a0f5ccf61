package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
)

// follow delivers to the loop every message of the stream, of all lanes, from
// seq on.
func (s *Scheduler) follow(ctx context.Context, seq uint64) {
	for {
		err := s.cfg.Log.Follow(ctx, seq, func(m eventlog.Message) error {
			select {
			case s.stream <- followed{m}:
				seq = m.Seq + 1
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, eventlog.ErrDamaged):
			s.Fail(err)
			return
		}
		s.log.Warn("the event stream cannot be followed; trying again", "from", seq, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(followAgainAfter):
		}
	}
}

// followed is a message of the stream, in order and without gaps.
type followed struct{ eventlog.Message }

func (m followed) handle(s *Scheduler) {
	switch {
	case s.displaced:
		s.seen = max(s.seen, m.Seq) // refold reads it
	case m.Seq <= s.folded:
	case m.Lane != s.cfg.Node:
		s.foldFollowed(m.Message)
	case len(s.ahead) > 0 && s.ahead[0].seq == m.Seq:
		s.ahead = s.ahead[1:]
		s.advance(m.Seq, m.Lane)
	case s.sending != nil && s.sending.id == m.ID:
		stored{c: s.sending, seq: m.Seq}.handle(s) // the acknowledgement comes later, or never
	case len(s.open) > 0:
		// Somebody wrote into our lane, so what is open can never be stored.
		s.displace(m.Seq)
	default:
		s.foldFollowed(m.Message)
		s.laneSeq = m.Seq
	}
}

// foldFollowed folds a message that is not ours.
func (s *Scheduler) foldFollowed(m eventlog.Message) {
	before := s.owners()
	events, err := s.foldOne(s.state, m)
	if err == nil {
		err = s.fenced(s.state)
	}
	if err != nil {
		s.Fail(err)
		return
	}
	s.advance(m.Seq, m.Lane)
	s.wakeWaiting(events)
	s.rerouteBy(events)
	s.snap.events += len(events)
	s.changeHands(before)
}

// foldOne folds a message into a state in which nothing of it is yet, and hears
// what the auditor says.
func (s *Scheduler) foldOne(state *projection.State, m eventlog.Message) ([]eventlog.Event, error) {
	events, objection, err := state.Fold(m)
	if err != nil {
		return nil, fmt.Errorf("message %d: %w", m.Seq, err)
	}
	s.object(objection)
	return events, nil
}

// fenced is ErrFenced if a later process of this node has opened the lane.
func (s *Scheduler) fenced(state *projection.State) error {
	if opened := state.Cluster().Nodes[s.cfg.Node]; opened.Process != s.cfg.Process {
		return fmt.Errorf("%w (message %d)", ErrFenced, opened.Seq)
	}
	return nil
}

// occupied says that a commit can never be stored, since another message holds
// its place.
type occupied struct{ c *commit }

func (m occupied) handle(s *Scheduler) {
	if m.c == s.sending {
		s.sending = nil
		s.displace(0)
	}
}

// displace stops deciding until the log is folded again: what was decided and
// is not stored rests on what is no longer so.
func (s *Scheduler) displace(seen uint64) {
	s.displaced = true
	s.seen = max(s.seen, seen, s.folded)
}

// refold throws the state away with what was decided and cannot be stored, and
// folds the log again, beside the loop, which meanwhile takes nothing. It waits
// until the committer has let go of its commit.
func (s *Scheduler) refold(ctx context.Context) {
	if s.sending != nil || s.refolding {
		return
	}
	s.log.Warn("partitions were taken from this node while it decided: folding again", "commits", len(s.open))
	s.refolding = true
	s.snap.abandon()
	seen := s.seen
	s.loops.Go(func() {
		state := s.loadSnapshot()
		s.acked <- refolded{state, s.foldAll(ctx, state, seen)}
	})
}

// foldAll folds what the stream holds, and at least up to seen.
func (s *Scheduler) foldAll(ctx context.Context, state *projection.State, seen uint64) error {
	for {
		info, err := s.cfg.Log.Info(ctx)
		if err == nil {
			err = s.fold(ctx, state, max(info.LastSeq, seen))
		}
		switch {
		case err == nil:
			return s.fenced(state)
		case ctx.Err() != nil, errors.Is(err, eventlog.ErrDamaged):
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followAgainAfter):
		}
	}
}

// refolded is the state as the log has it.
type refolded struct {
	state *projection.State
	err   error
}

func (m refolded) handle(s *Scheduler) {
	s.refolding = false
	if m.err != nil {
		s.Fail(m.err) // or the loop ends anyway
		return
	}
	for _, c := range s.open {
		close(c.done)
		for _, a := range c.closed {
			close(a.over) // that end was never stored
		}
	}
	s.open, s.ahead, s.filling, s.unsent = nil, nil, nil, nil
	before, owners := s.attempts, s.owners()
	s.attempts, s.pools = map[string]*attempt{}, map[string]*pool{}
	s.state, s.displaced, s.seen = m.state, false, 0
	s.folded = s.state.Seq()
	s.laneSeq = s.state.Cluster().Lanes[s.cfg.Node]
	s.stats.LastSeq.Store(s.folded)
	for p := range eventlog.Partitions {
		s.takeUp(p)
	}
	clear(s.cancels)
	for _, a := range before {
		close(a.over) // who waits for its end asks anew
	}
	s.reads.folded(s.folded)
	s.depart(owners, s.owners())
	s.wakeAll()
	s.askAll()
}

// owners are who decides for each partition.
func (s *Scheduler) owners() [eventlog.Partitions]projection.Ownership {
	return s.state.Cluster().Owners
}

// changeHands follows what an event did to our partitions.
func (s *Scheduler) changeHands(before [eventlog.Partitions]projection.Ownership) {
	gained, lost, moved := false, false, false
	for p, now := range s.owners() {
		moved = moved || now != before[p]
		switch ours := now.Node == s.cfg.Node; {
		case now == before[p]:
		case ours:
			gained = true
			s.takeUp(p)
		case before[p].Node == s.cfg.Node:
			lost = true
		}
	}
	if lost {
		for run, a := range s.attempts {
			if !s.owns(a.partition) {
				s.letGo(run, a)
			}
		}
		s.unsent = slices.DeleteFunc(s.unsent, func(a *attempt) bool { return s.attempts[a.run] != a })
	}
	if gained || lost {
		s.askAll()
	}
	if moved {
		s.depart(before, s.owners())
	}
}

// letGo forgets an attempt that is another owner's now.
func (s *Scheduler) letGo(run string, a *attempt) {
	delete(s.attempts, run)
	delete(s.cancels, run)
	close(a.over)
}

// askAll asks every executor anew what it holds; until it has answered, it gets
// nothing: it must know our epochs first.
func (s *Scheduler) askAll() {
	s.epochs++
	for _, e := range s.execs {
		e.known = false
		s.ask(e)
	}
}

// owns says whether this node decides for a partition.
func (s *Scheduler) owns(partition int) bool {
	return s.state.Cluster().Owners[partition].Node == s.cfg.Node
}

// epochOf is the epoch by which a partition is decided.
func (s *Scheduler) epochOf(partition int) uint64 {
	return s.state.Cluster().Owners[partition].Epoch
}

// ownEpochs are the epochs of our partitions.
func (s *Scheduler) ownEpochs() map[int]uint64 {
	own := map[int]uint64{}
	for p, owner := range s.owners() {
		if owner.Node == s.cfg.Node {
			own[p] = owner.Epoch
		}
	}
	return own
}

// highestEpoch is the highest of our partitions' epochs; 0 if we have none.
func (s *Scheduler) highestEpoch() (highest uint64) {
	for _, owner := range s.owners() {
		if owner.Node == s.cfg.Node {
			highest = max(highest, owner.Epoch)
		}
	}
	return highest
}
