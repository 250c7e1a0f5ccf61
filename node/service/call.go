package service

import (
	"context"
	"time"

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
	c, refused := command.NewCall(r.by(), in, of, s.cfg.Scheduler.DrawID(eventlog.PrefixRun, r.id))
	if refused != nil {
		return nil, refused
	}
	return s.start(ctx, r, c, in.Wait)
}

// triggerRun makes a run of a trigger besides its schedule.
func (s *Service) triggerRun(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.TriggerRun](r.body)
	if refused != nil {
		return nil, refused
	}
	return s.start(ctx, r, command.RunTrigger{By: r.by(), ID: in.ID, Run: s.drawRun(in.ID)}, in.Wait)
}

// drawRun draws the id of a run of a trigger.
func (s *Service) drawRun(trigger string) string {
	return s.cfg.Scheduler.DrawRun(eventlog.PartitionOf(eventlog.EntityTrigger, trigger))
}

// start carries out what makes a run, and answers with the run: at once, or,
// with wait, when it has ended or the wait is over.
func (s *Service) start(ctx context.Context, r *request, c command.Command, wait string) (any, *api.Error) {
	patience, refused := parseWait(wait)
	if refused != nil {
		return nil, refused
	}
	if patience > 0 {
		if refused := s.beginWait(); refused != nil {
			return nil, refused
		}
		defer s.endWait()
	}
	run, refused := s.started(ctx, r, c)
	if refused != nil {
		return nil, refused
	}
	if patience > 0 {
		s.waitRun(ctx, run, patience)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), deadline)
		defer cancel()
	}
	return s.showRunOf(ctx, r, run, false)
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
// the id of the run.
func (s *Service) started(ctx context.Context, r *request, c command.Command) (string, *api.Error) {
	answer, refused := s.cfg.Scheduler.Do(ctx, r.once(), nil, c)
	if refused != nil {
		return "", refused
	}
	if len(answer.Repeated) == 0 {
		if refused := answer.Outcomes[0].Err; refused != nil {
			return "", refused
		}
		return c.Target(), nil
	}
	past, refused := s.recall(ctx, r, answer)
	if refused != nil {
		return "", refused
	}
	if len(past) == 0 { // only the hash of the id was the same
		again := *r
		again.id = ""
		return s.started(ctx, &again, c)
	}
	switch d := past[len(past)-1].event.Data.(type) {
	case *eventlog.RunCreated:
		return d.Run, nil
	case *eventlog.TriggerFired:
		return d.Run, nil
	}
	return "", sameRequest(past[len(past)-1], eventlog.EntityRun)
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
