package service

import (
	"context"

	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

func (s *Service) clusterStatus(ctx context.Context, r *request) (any, *api.Error) {
	if _, refused := decode[struct {
		Strong bool `json:"strong"`
	}](r.body); refused != nil {
		return nil, refused
	}
	if _, refused := s.read(ctx, r, false, func(*projection.State) {}); refused != nil {
		return nil, refused
	}
	st := s.cfg.Scheduler.Status(ctx)
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
