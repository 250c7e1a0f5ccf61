package scheduler

import (
	"context"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// cancelRequest is somebody's wish that a running attempt be stopped.
type cancelRequest struct {
	by     command.By
	reason string
}

// cancelOrder is a cancelRequest on its way through the loop.
type cancelOrder struct {
	cancelRequest
	run     string
	refused *api.Error
	over    <-chan struct{} // of the attempt that was told to stop; nil: it is done
	horizon Horizon
	done    chan struct{}
}

// CancelRun stops a run, and returns when it is over and stored.
// It returns illegal_transition if the run ended by itself before.
func (s *Scheduler) CancelRun(ctx context.Context, by command.By, run, reason string) *api.Error {
	if refused := s.NotOurs(eventlog.PartitionOf(eventlog.EntityRun, run)); refused != nil {
		return refused
	}
	if err := s.catchUp(ctx); err != nil {
		return notCurrent(false)
	}
	for {
		o := &cancelOrder{cancelRequest: cancelRequest{by, reason}, run: run, done: make(chan struct{})}
		if refused := s.hand(ctx, o); refused != nil {
			return refused
		}
		select {
		case <-o.done:
		case <-ctx.Done():
			return unknown()
		case <-s.stopped:
			return unknown()
		}
		if refused := fateOf(o.horizon.Wait(ctx, s.stopped)); refused != nil {
			return refused
		}
		if o.refused != nil || o.over == nil {
			return o.refused
		}
		select {
		case <-o.over: // look how it ended; if a retry waits, cancel that
		case <-ctx.Done():
			return api.Errorf(api.Timeout, "", "the run was told to stop and has not ended yet: see run.get")
		case <-s.stopped:
			return unknown()
		}
	}
}

func (o *cancelOrder) handle(s *Scheduler) {
	defer close(o.done)
	o.horizon = Horizon{s.open}
	if p := eventlog.PartitionOf(eventlog.EntityRun, o.run); !s.owns(p) {
		o.refused = s.notOurs(p)
		return
	}
	i := s.state.Run(o.run)
	if i == nil {
		o.refused = api.Errorf(api.NotFound, "", "there is no run %q: see run.list", o.run)
		return
	}
	a := s.attempts[o.run]
	if i.Status != projection.Processing || a == nil {
		_, o.refused = s.decide(command.CancelItem{By: o.by, ID: i.ID, Reason: o.reason})
		o.horizon = Horizon{s.open}
		return
	}
	if s.state.UserByRef(o.by.User, true) == nil {
		o.refused = api.Errorf(api.UnknownUser, "", "there is no user %q", o.by.User)
		return
	}
	s.cancels[a.run] = &o.cancelRequest
	o.over = a.over
	if !a.sent.IsZero() {
		s.sendCancel(a)
	}
}

func (s *Scheduler) sendCancel(a *attempt) {
	body, err := json.Marshal(wire.Cancel{
		Stream: s.cfg.Stream, Incarnation: a.incarnation, Partition: a.partition,
		Epoch: s.epochOf(a.partition), Run: a.run, Attempt: a.n,
	})
	if err == nil {
		err = s.cfg.Bus.Publish(s.cfg.Prefix.ExecSubject(a.executor, wire.VerbCancel), body)
	}
	if err != nil {
		s.log.Warn("a cancel could not be sent", "run", a.run, "executor", a.executor, "error", err)
	}
}
