package service

import (
	"context"

	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/projection"
)

// Members changes who the nodes of the cluster are, on the one that leads it. A
// refusal whose Owner is set asks that node instead.
type Members interface {
	Remove(ctx context.Context, name string) (api.Removal, *api.Error)
	Transfer(ctx context.Context, to string) (api.Transferred, *api.Error)
}

func (s *Service) clusterRemove(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.ClusterRemove](r.body)
	if refused == nil {
		refused = s.manages(ctx, r)
	}
	if refused != nil {
		return nil, refused
	}
	return answered(s.cfg.Members.Remove(ctx, in.Name))
}

func (s *Service) clusterTransfer(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.ClusterTransfer](r.body)
	if refused == nil {
		refused = s.manages(ctx, r)
	}
	if refused != nil {
		return nil, refused
	}
	return answered(s.cfg.Members.Transfer(ctx, in.To))
}

// answered is an answer of one type as that of a verb.
func answered[A any](answer A, refused *api.Error) (any, *api.Error) {
	if refused != nil {
		return nil, refused
	}
	return answer, nil
}

// manages refuses whoever may not change the cluster, and what is none.
func (s *Service) manages(ctx context.Context, r *request) *api.Error {
	super := false
	_, refused := s.read(ctx, r, func(st *projection.State) {
		super = st.UserByRef(r.user, true).Superuser()
	})
	switch {
	case refused != nil:
		return refused
	case !super:
		return api.Errorf(api.Forbidden, "", "only a superuser may change the cluster: ask as one")
	case s.cfg.Members == nil:
		return api.Errorf(api.IllegalTransition, "", "this node is alone and no cluster: start \"belfry node\" three times to have one")
	}
	return nil
}

// present is how the scheduler is, or a refusal if it cannot say.
func (s *Service) present(ctx context.Context) (scheduler.Status, *api.Error) {
	st := s.cfg.Scheduler.Status(ctx)
	if st.Items == nil {
		return st, api.Errorf(api.Unavailable, "", "the node is stopping, or has too much to do to say how it is: try again")
	}
	return st, nil
}

func (s *Service) clusterStatus(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[struct {
		Strong bool `json:"strong"`
	}](r.body)
	if refused == nil {
		refused = s.strongly(ctx, in.Strong)
	}
	if refused != nil {
		return nil, refused
	}
	if _, refused := s.read(ctx, r, func(*projection.State) {}); refused != nil {
		return nil, refused
	}
	st, refused := s.present(ctx)
	if refused != nil {
		return nil, refused
	}
	answer := api.ClusterStatus{
		Nodes: []api.NodeStatus{}, Executors: st.Executors, Items: st.Items,
		Limits: api.ListLimits(wire.ResultBytesMax, wire.OutputBytesMax),
	}
	if answer.Executors == nil {
		answer.Executors = []api.ExecStatus{}
	}
	info, err := s.cfg.Log.Info(ctx)
	if err != nil {
		return nil, unreadable(err)
	}
	answer.Stream = api.StreamStatus{
		Messages: info.Messages, Bytes: info.Bytes, LastSeq: info.LastSeq,
		Replicas: info.Replicas, Leader: info.Leader,
	}
	s.cfg.Status(ctx, &answer)
	for n := range answer.Nodes {
		answer.Nodes[n].Partitions = st.Partitions[answer.Nodes[n].Name]
	}
	return answer, nil
}
