package service

import (
	"context"
	"reflect"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/node/record"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/projection"
)

// users says how users are found and shown.
func users() definition[projection.User] {
	return definition[projection.User]{
		entity:  eventlog.EntityUser,
		find:    (*projection.State).UserByRef,
		all:     (*projection.State).Users,
		meta:    func(u *projection.User) *projection.Meta { return &u.Meta },
		fromLog: projection.UserFromLog,
		record: func(u *projection.User, seq uint64, _ record.Names) any {
			r := record.User(u)
			r.Seq = seq
			return r
		},
		created: func(c command.Command, first eventlog.Payload, _ projection.Hints) bool {
			create, asked := c.(command.CreateUser)
			was, created := first.(*eventlog.UserCreated)
			return asked && created && create.New.Name == was.Name &&
				(len(create.New.Fields) == 0 && len(was.Fields) == 0 || reflect.DeepEqual(create.New.Fields, was.Fields))
		},
	}
}

func (s *Service) userCreate(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decodeOpen[api.UserInput](r.body)
	if refused != nil {
		return nil, refused
	}
	c, refused := command.NewCreateUser(r.by(), in)
	if refused != nil {
		return nil, refused
	}
	return doDefinition(ctx, s, r, users(), c)
}

func (s *Service) userUpdate(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decodeOpen[api.UserInput](r.body)
	if refused != nil {
		return nil, refused
	}
	c, refused := command.NewUpdateUser(r.by(), in)
	if refused != nil {
		return nil, refused
	}
	return doDefinition(ctx, s, r, users(), c)
}

func (s *Service) userDelete(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.Delete](r.body)
	if refused != nil {
		return nil, refused
	}
	return doDefinition(ctx, s, r, users(), command.DeleteUser{By: r.by(), ID: in.ID, IfRevision: in.IfRevision})
}

func (s *Service) userGet(ctx context.Context, r *request) (any, *api.Error) {
	return getDefinition(ctx, s, r, users())
}

func (s *Service) userList(ctx context.Context, r *request) (any, *api.Error) {
	return listDefinition(ctx, s, r, users())
}

// strongly comes before all reads of a request that asks for strong ones: they
// are linearizable after it, whatever the stream's leader thinks that it leads.
func (s *Service) strongly(ctx context.Context, asked bool) *api.Error {
	if !asked {
		return nil
	}
	return s.cfg.Scheduler.Mark(ctx)
}

// read is the scheduler's Read for a caller who must exist.
func (s *Service) read(ctx context.Context, r *request, view scheduler.View) (scheduler.Horizon, *api.Error) {
	known := false
	h, refused := s.cfg.Scheduler.Read(ctx, func(st *projection.State) {
		if known = st.UserByRef(r.user, true) != nil; known {
			view(st)
		}
	})
	if refused == nil && !known {
		refused = api.Errorf(api.UnknownUser, "", "there is no user %q: create it first, or ask as another", r.user)
	}
	return h, refused
}
