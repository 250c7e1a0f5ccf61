package scheduler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/command"
)

// Refusals of a move.
var (
	// ErrNotOwned: none of the partitions belongs to who should give them.
	ErrNotOwned = errors.New("the partitions are not there to be given")
	// ErrLaneMoved: the lane of the node that was to be taken from has gone
	// on. It is not gone, or another coordinator was faster: look again.
	ErrLaneMoved = errors.New("the node's lane has gone on")
	// ErrMovePending: a move of this process's own is not stored yet. Whoever
	// takes by what is not in the log may take from who does not own: try again.
	ErrMovePending = errors.New("a move of this node is not stored yet")
	// ErrUnknownNode: no node of this name has ever opened a lane.
	ErrUnknownNode = errors.New("no such node has opened a lane")
)

// GiveAway moves partitions of this node to another, in good order: what was
// decided before stands in the log before the move, and nothing is decided
// after it. It returns when the move is stored. Partitions that are not ours
// are passed over.
func (s *Scheduler) GiveAway(ctx context.Context, to string, partitions []int) error {
	m := &handOver{to: to, partitions: partitions, done: make(chan struct{})}
	if refused := s.hand(ctx, m); refused != nil {
		select {
		case <-s.stopped:
			return ErrStopped
		default:
			return refused
		}
	}
	select {
	case <-m.done:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return ErrStopped
	}
	if m.err != nil {
		return m.err
	}
	return m.horizon.Wait(ctx, s.stopped)
}

// handOver is a GiveAway on its way through the loop.
type handOver struct {
	to         string
	partitions []int
	err        error
	horizon    Horizon
	done       chan struct{}
}

func (m *handOver) handle(s *Scheduler) {
	defer close(m.done)
	before := s.owners()
	ours := slices.DeleteFunc(slices.Clone(m.partitions), func(p int) bool { return !s.owns(p) })
	_, known := s.state.Cluster().Nodes[m.to]
	switch {
	case !known:
		m.err = fmt.Errorf("%w: %q", ErrUnknownNode, m.to)
	case len(ours) == 0 || m.to == s.cfg.Node:
		m.err = ErrNotOwned
	default:
		e := command.Move(s.generated(), s.cfg.Node, m.to, s.state.Cluster().Moves[s.cfg.Node], ours)
		if refused := s.gather([]eventlog.Event{e}); refused != nil {
			m.err = refused
			return
		}
		s.changeHands(before)
		m.horizon = Horizon{s.open}
	}
}

// TakeFrom gives a node's partitions to others, in that node's own lane, when
// it is taken for gone. From then on the node cannot append without having
// folded it, whether it was gone or slow. The lane must end where this process
// has folded it to, else ErrLaneMoved. It returns when the move is folded here.
func (s *Scheduler) TakeFrom(ctx context.Context, gone string, to map[string][]int) error {
	if gone == s.cfg.Node {
		return errors.New("a node takes nothing from itself: it gives away")
	}
	if err := s.catchUp(ctx); err != nil {
		return err
	}
	events, end, err := s.taking(gone, to)
	if err != nil {
		return err
	}
	id, body, err := s.lone(events, func(*eventlog.Event) uint64 { return end.move })
	if err != nil {
		return err
	}
	seq, err := s.store(ctx, gone, eventlog.Expect{LaneSeq: end.lane}, id, body)
	switch {
	case errors.Is(err, errOccupied):
		return fmt.Errorf("%w (%w)", ErrLaneMoved, err)
	case err != nil:
		return err
	}
	select {
	case <-s.reads.reach(seq):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return ErrStopped
	}
}

// laneEnd is where a lane ended, and its last move, when a taking was made.
type laneEnd struct{ lane, move uint64 }

// taking makes the events that give a node's partitions to others.
func (s *Scheduler) taking(gone string, to map[string][]int) ([]eventlog.Event, laneEnd, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, c := range s.open {
		if c.moves() {
			return nil, laneEnd{}, ErrMovePending
		}
	}
	cluster := s.state.Cluster()
	before := cluster.Moves[gone]
	end := laneEnd{cluster.Lanes[gone], before.Seq}
	by := s.generated()
	var events []eventlog.Event
	for _, node := range slices.Sorted(maps.Keys(to)) {
		if _, known := cluster.Nodes[node]; !known {
			return nil, end, fmt.Errorf("%w: %q", ErrUnknownNode, node)
		}
		theirs := slices.DeleteFunc(slices.Clone(to[node]), func(p int) bool { return cluster.Owners[p].Node != gone })
		if len(theirs) > 0 && node != gone {
			events = append(events, command.Move(by, gone, node, before, theirs))
			before.Revision++
		}
	}
	if len(events) == 0 {
		return nil, end, ErrNotOwned
	}
	return events, end, nil
}

// generated is the author of what the cluster does by itself, under a request
// id that nobody can have used.
func (s *Scheduler) generated() command.By {
	by := command.BySystem(s.now())
	by.Cause = eventlog.GeneratedCause + s.ids.ULID(time.Now())
	return by
}
