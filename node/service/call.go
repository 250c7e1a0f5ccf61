package service

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

func (s *Service) functionRun(ctx context.Context, r *request) (any, *api.Error) {
	return s.call(ctx, r, eventlog.EntityFunction)
}

// call runs a function or an automation now.
func (s *Service) call(ctx context.Context, r *request, of eventlog.Entity) (any, *api.Error) {
	in, refused := decode[api.Call](r.body)
	if refused != nil {
		return nil, refused
	}
	return s.start(ctx, r, in.Wait, func(r *request) (command.Command, *api.Error) {
		by, id := s.draw(eventlog.PrefixRun, r)
		return command.NewCall(by, in, of, id)
	})
}

// triggerRun makes a run of a trigger besides its schedule.
func (s *Service) triggerRun(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.TriggerRun](r.body)
	if refused != nil {
		return nil, refused
	}
	return s.start(ctx, r, in.Wait, func(r *request) (command.Command, *api.Error) {
		return command.RunTrigger{By: r.by(), ID: in.ID, Run: s.drawRun(in.ID)}, nil
	})
}

// drawRun draws the id of a run of a trigger.
func (s *Service) drawRun(trigger string) string {
	return s.cfg.Scheduler.DrawRun(eventlog.PartitionOf(eventlog.EntityTrigger, trigger))
}

// start carries out what makes a run, and answers with the run: at once, or,
// with wait, when it has ended or the wait is over. Who is asked waits, wherever
// the run is decided: every node learns of every end.
func (s *Service) start(ctx context.Context, r *request, wait string, made func(*request) (command.Command, *api.Error)) (any, *api.Error) {
	patience, refused := parseWait(wait)
	if refused != nil {
		return nil, refused
	}
	begin := func(s *Service, ctx context.Context, r *request) (any, *api.Error) {
		c, refused := made(r)
		if refused != nil {
			return nil, refused
		}
		return s.started(ctx, r, c)
	}
	if patience == 0 || r.hop {
		run, refused := begin(s, ctx, r)
		if refused != nil {
			return nil, refused
		}
		return s.showRunOf(ctx, r, run.(string))
	}
	if refused := s.beginWait(); refused != nil {
		return nil, refused
	}
	defer s.endWait()
	run, refused := s.begun(ctx, r, begin)
	if refused != nil {
		return nil, refused
	}
	s.waitRun(ctx, run, patience)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadline)
	defer cancel()
	return s.showRunOf(ctx, r, run)
}

// begun has a run begun here or elsewhere, and returns its id when this node
// knows of it.
func (s *Service) begun(ctx context.Context, r *request, begin verb) (string, *api.Error) {
	answer, refused := s.route(ctx, r, begin)
	if refused != nil {
		return "", refused
	}
	raw, elsewhere := answer.(jsontext.Value)
	if !elsewhere {
		return answer.(string), nil
	}
	*r.stored = true
	var run api.Run
	if err := json.Unmarshal(raw, &run); err != nil {
		return "", unwritable(err)
	}
	_, refused = s.cfg.Scheduler.Read(ctx, func(*projection.State) {})
	return run.ID, r.final(refused)
}

// beginWait and endWait are around what waits for an end.
func (s *Service) beginWait() *api.Error {
	select {
	case s.waits <- struct{}{}:
		return nil
	default:
		return api.Errorf(api.Unavailable, "wait", "%d requests wait already: leave wait out, or try again; nothing was stored", waitsMax)
	}
}

func (s *Service) endWait() { <-s.waits }

// started carries out the command, unless the request did so before, and tells
// the id of the run, a string.
func (s *Service) started(ctx context.Context, r *request, c command.Command) (any, *api.Error) {
	answer, refused := s.do(ctx, r, nil, c)
	if refused != nil {
		return nil, refused
	}
	if len(answer.Repeated) == 0 {
		if refused := answer.Outcomes[0].Err; refused != nil {
			return nil, refused
		}
		return c.Target(), nil
	}
	past, refused := s.recall(ctx, r, answer)
	if refused != nil {
		return nil, refused
	}
	if len(past) == 0 {
		return s.started(ctx, r.anew(), c)
	}
	switch d := past[len(past)-1].event.Data.(type) {
	case *eventlog.RunCreated:
		return d.Run, nil
	case *eventlog.TriggerFired:
		return d.Run, nil
	}
	return nil, sameRequest(past[len(past)-1], eventlog.EntityRun)
}

// waitRun returns when the run has ended, patience is, or the service stops.
func (s *Service) waitRun(ctx context.Context, run string, patience time.Duration) {
	waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	go func() {
		select {
		case <-s.quit:
			cancel()
		case <-waiting.Done():
		}
	}()
	s.cfg.Scheduler.WaitRun(waiting, run)
}

func parseWait(wait string) (time.Duration, *api.Error) {
	if wait == "" {
		return 0, nil
	}
	d, err := eventlog.ParseDuration(wait)
	if err != nil || d < 0 || time.Duration(d) > api.WaitMax {
		return 0, api.Errorf(api.Invalid, "wait", "%q is not a wait: use a duration up to %v, such as 30s", wait, api.WaitMax)
	}
	return time.Duration(d), nil
}

// lastStatus is the status of a trigger's newest run.
func lastStatus(st *projection.State, t *projection.Trigger) projection.Status {
	if i := st.Item(t.LastRun); i != nil {
		return i.Status
	}
	return projection.Queued
}
