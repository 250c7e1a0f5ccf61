package node

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/cluster"
)

const (
	// membersMin is how many nodes a removal must leave: the streams want so many,
	// but for those that are on a NATS which others run.
	membersMin = replicas
	// transferTimeout bounds the wait for who leads after a transfer. Node/service
	// waits a second longer for the answer of another node.
	transferTimeout = 3 * time.Second
)

// members is service.Members.
type members struct {
	node *Node
	// one at a time removes, so that two do not count on each other to stay.
	one sync.Mutex
}

// Remove has it agreed on that a node is to leave. The rest is a duty of whoever
// leads: see removals.
func (m *members) Remove(ctx context.Context, name string) (answer api.Removal, refused *api.Error) {
	if refused := m.current(ctx); refused != nil {
		return answer, refused
	}
	m.one.Lock()
	defer m.one.Unlock()
	state := m.node.raft.State()
	if refused := m.known(state, name, "name"); refused != nil {
		return answer, refused
	}
	if !state.Leaving[name] {
		if refused := m.enough(state, name); refused != nil {
			return answer, refused
		}
		if err := m.node.raft.Remove(ctx, name); err != nil {
			return answer, m.refusal(err)
		}
		m.node.cfg.Logger.Info("a node is to be removed", "node", name)
	}
	step, owned := m.node.removalStep(name)
	return api.Removal{Name: name, Role: api.RoleLeaving, Step: step, Partitions: owned}, nil
}

// Transfer has another node lead Raft.
func (m *members) Transfer(ctx context.Context, to string) (answer api.Transferred, refused *api.Error) {
	if refused := m.current(ctx); refused != nil {
		return answer, refused
	}
	own, able := m.node.cfg.name(), m.node.able()
	if to != "" {
		if refused := m.known(m.node.raft.State(), to, "to"); refused != nil {
			return answer, refused
		}
		switch {
		case to == own:
			return api.Transferred{Leader: own}, nil
		case !slices.Contains(able, to):
			return answer, api.Errorf(api.IllegalTransition, "to", "node %s is leaving or gives no sign of life, and cannot lead: name another, or none", to)
		}
		able = []string{to}
	}
	err := m.node.raftTo(ctx, able...)
	switch {
	case len(able) == 0:
		return answer, api.Errorf(api.IllegalTransition, "to", "%v: start another one first", err)
	case err != nil:
		return answer, m.refusal(err)
	}
	return m.transferred(ctx, own)
}

// transferred waits until another node leads than did before.
func (m *members) transferred(ctx context.Context, before string) (answer api.Transferred, refused *api.Error) {
	ctx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	for {
		if leader := m.node.raft.Leader(); leader != "" && leader != before {
			return api.Transferred{Leader: leader}, nil
		}
		select {
		case <-ctx.Done():
			return answer, api.Errorf(api.Timeout, "", "node %s leads no more, and who does is not known yet: see belfry cluster status", before)
		case <-time.After(pollEvery):
		}
	}
}

// current has a leader's state be so, and sends others to the leader.
func (m *members) current(ctx context.Context) *api.Error {
	if !m.node.raft.IsLeader() {
		return m.refusal(&cluster.NotLeaderError{Leader: m.node.raft.Leader()})
	}
	if err := m.node.raft.WaitLeader(ctx); err != nil {
		return m.refusal(err)
	}
	return nil
}

// known refuses a name that is no member's.
func (m *members) known(state cluster.State, name, field string) *api.Error {
	if name == "" {
		return api.Errorf(api.Invalid, field, "say which node: see belfry cluster status")
	}
	if _, removed := state.Removed[name]; removed {
		return api.Errorf(api.IllegalTransition, field, "node %s was removed from this cluster: nothing is left to do", name)
	}
	if _, member := state.Members[name]; !member {
		return api.Errorf(api.NotFound, field, "there is no node %q in this cluster: see belfry cluster status", name)
	}
	return nil
}

// enough refuses a removal after which too few nodes would be left, or too few
// that live.
func (m *members) enough(state cluster.State, without string) *api.Error {
	left, alive, least := 0, 0, membersMin
	if m.node.cfg.external() != nil {
		least = 1
	}
	for name := range state.Members {
		if name == without || state.Leaving[name] {
			continue
		}
		if left++; m.node.alive(name) {
			alive++
		}
	}
	switch {
	case left < least:
		return api.Errorf(api.IllegalTransition, "name", "without %s the cluster would have %d nodes, and needs %d to lose one and go on: let another one join first, see belfry cluster join", without, left, least)
	case alive < least:
		return api.Errorf(api.IllegalTransition, "name", "without %s only %d nodes would be alive, and the streams need %d: start those that are not first", without, alive, least)
	}
	return nil
}

// refusal is Raft's error as a caller is told it. Who does not lead names who
// does; while nobody does, this node looks again.
func (m *members) refusal(err error) *api.Error {
	var elsewhere *cluster.NotLeaderError
	var refused *api.Error
	switch {
	case errors.Is(err, cluster.ErrRefused):
		return api.Errorf(api.IllegalTransition, "", "%s", strings.TrimPrefix(err.Error(), cluster.ErrRefused.Error()+": "))
	case errors.Is(err, cluster.ErrUnknownOutcome):
		return api.Errorf(api.Timeout, "", "whether it was agreed on is unknown: repeat the request, or see belfry cluster status")
	default:
		refused = api.Errorf(api.Unavailable, "", "the cluster cannot agree on it right now: try again; nothing was stored")
	}
	refused.Owner = m.node.cfg.name()
	if errors.As(err, &elsewhere) && elsewhere.Leader != "" {
		refused.Owner = elsewhere.Leader
	}
	return refused
}
