package service

import (
	"context"
	"reflect"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/node/record"
	"github.com/belfryhq/belfry/projection"
)

// automations says how automations are found and shown.
func automations() definition[projection.Automation] {
	return definition[projection.Automation]{
		entity:  eventlog.EntityAutomation,
		find:    (*projection.State).AutomationByRef,
		all:     (*projection.State).Automations,
		meta:    func(a *projection.Automation) *projection.Meta { return &a.Meta },
		fromLog: projection.AutomationFromLog,
		record: func(a *projection.Automation, seq uint64, names record.Names) any {
			r := record.Automation(a, names)
			r.Seq = seq
			return r
		},
		created: func(c command.Command, first eventlog.Payload, hints projection.Hints) bool {
			create, asked := c.(command.CreateAutomation)
			was, created := first.(*eventlog.AutomationCreated)
			return asked && created && reflect.DeepEqual(create.Resolved(hints), *was)
		},
	}
}

func (s *Service) automationCreate(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.AutomationInput](r.body)
	if refused != nil {
		return nil, refused
	}
	c, refused := command.NewCreateAutomation(r.by(), in, s.cfg.Scheduler.DrawID(eventlog.PrefixAutomation, ""))
	if refused != nil {
		return nil, refused
	}
	return doDefinition(ctx, s, r, automations(), c)
}

func (s *Service) automationUpdate(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.AutomationInput](r.body)
	if refused != nil {
		return nil, refused
	}
	c, refused := command.NewUpdateAutomation(r.by(), in)
	if refused != nil {
		return nil, refused
	}
	return doDefinition(ctx, s, r, automations(), c)
}

func (s *Service) automationGet(ctx context.Context, r *request) (any, *api.Error) {
	return getDefinition(ctx, s, r, automations())
}

func (s *Service) automationList(ctx context.Context, r *request) (any, *api.Error) {
	return listDefinition(ctx, s, r, automations())
}

func (s *Service) automationDelete(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.Delete](r.body)
	if refused != nil {
		return nil, refused
	}
	return doDefinition(ctx, s, r, automations(), command.DeleteAutomation{By: r.by(), ID: in.ID, IfRevision: in.IfRevision})
}

func (s *Service) automationRun(ctx context.Context, r *request) (any, *api.Error) {
	return s.call(ctx, r, eventlog.EntityAutomation)
}
