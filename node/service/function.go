package service

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/node/record"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/projection"
)

func (s *Service) functionCreate(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.FunctionInput](r.body)
	if refused != nil {
		return nil, refused
	}
	c, refused := command.NewCreateFunction(r.by(), in, s.cfg.Scheduler.DrawID(eventlog.PrefixFunction, ""))
	if refused != nil {
		return nil, refused
	}
	if refused := s.cfg.Scheduler.NotOurs(c.Partition()); refused != nil {
		return nil, refused // the owner has the code checked
	}
	return s.withCode(ctx, r, c, c.New.Name, c.New.Pool, in.Code)
}

func (s *Service) functionUpdate(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.FunctionInput](r.body)
	if refused != nil {
		return nil, refused
	}
	c, refused := command.NewUpdateFunction(r.by(), in)
	if refused != nil {
		return nil, refused
	}
	if refused := s.cfg.Scheduler.NotOurs(c.Partition()); refused != nil {
		return nil, refused // the owner has the code checked
	}
	// The check runs on the pool that the function will have.
	name, pool, code := in.ID, "", in.Code
	if _, refused := s.cfg.Scheduler.Read(ctx, func(st *projection.State) {
		f := st.FunctionByRef(in.ID, true)
		if f == nil {
			return
		}
		name, pool = f.Name, f.Pool
		if code != nil && *code == f.Code {
			code = nil
		}
	}); refused != nil {
		return nil, refused
	}
	if in.Pool != nil {
		pool = *in.Pool
	}
	if pool == "" {
		code = nil // there is no such function; the decision says so
	}
	return s.withCode(ctx, r, c, name, pool, code)
}

// withCode checks code, if any, on its pool, then decides. A request that was
// carried out before is not checked again.
func (s *Service) withCode(ctx context.Context, r *request, c command.Command, name, pool string, code *string) (any, *api.Error) {
	var before scheduler.Answer
	h, refused := s.cfg.Scheduler.Read(ctx, func(st *projection.State) {
		if r.once() {
			before.Repeated = slices.Clone(st.Partition(c.Partition()).Request(r.id))
		}
	})
	if refused != nil {
		return nil, refused
	}
	before.Horizon = h
	past, refused := s.recall(ctx, r, before)
	if refused != nil {
		return nil, refused
	}
	if code != nil && len(past) == 0 {
		if refused := s.checkCode(ctx, name, pool, *code); refused != nil {
			return nil, refused
		}
	}
	return doDefinition(ctx, s, r, functions(), c)
}

// checkCode asks Python on the function's pool: an executor of it that is there.
func (s *Service) checkCode(ctx context.Context, name, pool, code string) *api.Error {
	st, refused := s.present(ctx)
	if refused != nil {
		return refused
	}
	executors := st.In(pool)
	if len(executors) == 0 {
		return api.Errorf(api.Unavailable, "pool", "no executor of pool %q is alive to check the code: start one, or choose another pool", pool)
	}
	body, err := json.Marshal(wire.Check{Name: name, Code: code})
	if err != nil {
		return api.Errorf(api.Invalid, "code", "the code cannot be sent: %v", err)
	}
	var executor string
	var reply *nats.Msg
	for _, executor = range executors {
		question := nats.NewMsg(s.cfg.Prefix.ExecSubject(executor, wire.VerbCheck))
		question.Data = body
		reply, err = s.cfg.Node.RequestMsgWithContext(ctx, question)
		if !errors.Is(err, nats.ErrNoResponders) { // else it has just ended
			break
		}
	}
	if err != nil {
		return api.Errorf(api.Unavailable, "code", "executor %s did not check the code in time: try again", executor)
	}
	var checked wire.Checked
	switch err := json.Unmarshal(reply.Data, &checked); {
	case err != nil:
		return api.Errorf(api.Unavailable, "code", "executor %s gave no verdict on the code: try again", executor)
	case checked.Unavailable != "":
		return api.Errorf(api.Unavailable, "code", "executor %s could not check the code: %s; try again", executor, checked.Unavailable)
	case checked.Error == nil:
		return nil
	case checked.Error.Line == 0:
		return api.Errorf(api.InvalidCode, "code", "%s", checked.Error.Message)
	}
	return api.Errorf(api.InvalidCode, "code", "%s (line %d, column %d)", checked.Error.Message, checked.Error.Line, checked.Error.Column)
}

// functions says how functions are found and shown.
func functions() definition[projection.Function] {
	return definition[projection.Function]{
		entity:  eventlog.EntityFunction,
		find:    (*projection.State).FunctionByRef,
		all:     (*projection.State).Functions,
		meta:    func(f *projection.Function) *projection.Meta { return &f.Meta },
		fromLog: projection.FunctionFromLog,
		record: func(f *projection.Function, seq uint64, _ record.Names) any {
			r := record.Function(f)
			r.Seq = seq
			return r
		},
		created: func(c command.Command, first eventlog.Payload, _ projection.Hints) bool {
			create, asked := c.(command.CreateFunction)
			was, created := first.(*eventlog.FunctionCreated)
			return asked && created && reflect.DeepEqual(create.New, was.Whole())
		},
	}
}

func (s *Service) functionGet(ctx context.Context, r *request) (any, *api.Error) {
	return getDefinition(ctx, s, r, functions())
}

func (s *Service) functionList(ctx context.Context, r *request) (any, *api.Error) {
	return listDefinition(ctx, s, r, functions())
}

func (s *Service) functionDelete(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.Delete](r.body)
	if refused != nil {
		return nil, refused
	}
	return doDefinition(ctx, s, r, functions(), command.DeleteFunction{By: r.by(), ID: in.ID, IfRevision: in.IfRevision})
}

// functionVersions reads all versions of a function's code from the log.
func (s *Service) functionVersions(ctx context.Context, r *request) (any, *api.Error) {
	f, seq, refused := findDefinition(ctx, s, r, functions())
	if refused != nil {
		return nil, refused
	}
	events, _, err := eventlog.Life(ctx, s.cfg.Log, f.ID, seq)
	if err != nil {
		return nil, unreadable(err)
	}
	answer := api.FunctionVersions{Versions: []api.FunctionVersion{}}
	add := func(e *eventlog.Event, version int, code string) {
		answer.Versions = append(answer.Versions, api.FunctionVersion{
			Version: version, Code: code, ModifiedDate: e.Time, ModifiedBy: e.Actor,
		})
	}
	for n := range events {
		switch d := events[n].Data.(type) {
		case *eventlog.FunctionCreated:
			add(&events[n], d.Version, d.Code)
		case *eventlog.FunctionUpdated:
			if d.Code != nil {
				add(&events[n], d.Version, *d.Code)
			}
		}
	}
	return answer, nil
}
