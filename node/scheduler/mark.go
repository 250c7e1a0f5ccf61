package scheduler

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
)

// Mark makes the Reads that follow it linearizable without conditions: it returns
// when everything is folded that was stored before the call, and takes nobody's
// word for what that is. It waits for a commit of this node's own that was sent
// after the call: only a leader that a majority follows can acknowledge one, and
// whatever was acknowledged before stands before it. It costs an append, which
// all share that come while the last one is on its way. On a node alone, which
// has folded or decided all there is, it costs nothing.
//
// The refusal is unavailable, also when it is not known whether the marker was
// stored: a read has no outcome. It is safe for concurrent use.
func (s *Scheduler) Mark(ctx context.Context) *api.Error {
	if s.cfg.Alone {
		return nil
	}
	for {
		asked := time.Now()
		seq, err := s.mark(ctx)
		if displaced(err) {
			continue // another wrote into the lane: it is marked anew behind that
		}
		if err == nil {
			err = s.foldedTo(ctx, seq, asked)
		}
		if err != nil {
			return silent()
		}
		return nil
	}
}

// mark returns the sequence of a commit of this node's that was not sent before
// the call.
func (s *Scheduler) mark(ctx context.Context) (uint64, error) {
	m := &mark{done: make(chan struct{})}
	if refused := s.hand(ctx, m); refused != nil {
		return 0, refused
	}
	select {
	case <-m.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-s.stopped:
		return 0, ErrStopped
	}
	if m.refused != nil {
		return 0, m.refused
	}
	if err := (Horizon{[]*commit{m.commit}}).Wait(ctx, s.stopped); err != nil {
		return 0, err
	}
	return m.commit.seq, nil
}

// mark is a strong read on its way through the loop.
type mark struct {
	commit  *commit
	refused *api.Error
	done    chan struct{}
}

// handle finds a commit that is not sent: one with events of others, another
// read's marker, or a marker of its own.
func (m *mark) handle(s *Scheduler) {
	defer close(m.done)
	if last := s.whenStored(); last == nil || last == s.sending {
		e := command.Mark(s.generated(), s.cfg.Node, s.state.Cluster().Nodes[s.cfg.Node])
		if m.refused = s.gather([]eventlog.Event{e}); m.refused != nil {
			return
		}
	}
	m.commit = s.whenStored()
	m.commit.orders++
}
