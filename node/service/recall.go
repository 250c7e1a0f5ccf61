package service

import (
	"context"
	"slices"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/node/scheduler"
)

// done is what an earlier request of the same id did: its events, each with
// the sequence of its commit.
type done struct {
	event eventlog.Event
	seq   uint64
}

// recall reads back from the log what a request did. Nothing is found when
// only the short hash of its id was the same.
func (s *Service) recall(ctx context.Context, r *request, answer scheduler.Answer) ([]done, *api.Error) {
	var all []done
	for _, seq := range answer.Repeated {
		seq = answer.Horizon.Seq(seq)
		m, err := s.cfg.Log.Get(ctx, seq)
		if err != nil {
			return nil, unreadable(err)
		}
		events, err := eventlog.Decode(m.Body)
		if err != nil {
			return nil, unreadable(err)
		}
		for _, e := range events {
			if e.Cause == r.id && e.Actor == r.user {
				all = append(all, done{e, seq})
			}
		}
	}
	return all, nil
}

func unreadable(err error) *api.Error {
	return api.Errorf(api.Unavailable, "", "the log cannot be read: %v; try again", err)
}

// lifeUntil reads an entity's events up to one of them.
func (s *Service) lifeUntil(ctx context.Context, d done) ([]eventlog.Event, []uint64, *api.Error) {
	events, seqs, err := eventlog.Life(ctx, s.cfg.Log, d.event.Subject, d.seq)
	if err != nil {
		return nil, nil, unreadable(err)
	}
	for n := range events {
		if events[n].ID == d.event.ID {
			return events[:n+1], seqs[:n+1], nil
		}
	}
	return events, seqs, nil
}

// sameRequest refuses a request id that was used for another kind of request.
func sameRequest(d done, entity eventlog.Entity) *api.Error {
	if d.event.Entity != entity {
		return api.Errorf(api.Conflict, api.HeaderRequestID, "this request id was used for another request (%s): use a new one", d.event.Type())
	}
	return nil
}

// do has a request's command decided, unless the request was carried out before,
// and notes whether anything is stored of it.
func (s *Service) do(ctx context.Context, r *request, view scheduler.View, c command.Command) (scheduler.Answer, *api.Error) {
	answer, refused := s.cfg.Scheduler.Do(ctx, r.once(), view, c)
	if refused == nil {
		r.note(answer)
	}
	return answer, refused
}

func (r *request) note(answer scheduler.Answer) {
	*r.stored = *r.stored || len(answer.Repeated) > 0 || slices.ContainsFunc(answer.Outcomes, func(o scheduler.Outcome) bool { return o.Events > 0 })
}
