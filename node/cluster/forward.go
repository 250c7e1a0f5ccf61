package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// forwardRetry is the pause before a command is tried again, while nobody leads.
const forwardRetry = 50 * time.Millisecond

// faults are the errors of commands by the names that they have between nodes.
func faults() map[string]error {
	return map[string]error{
		"not_leader": ErrNotLeader, "busy": ErrBusy, "unknown": ErrUnknownOutcome, "refused": ErrRefused, "stopped": ErrStopped,
	}
}

// command does a command here if this node leads, and has the leader do it
// otherwise, again and again until ctx ends. Commands may be repeated, so an
// answer that was lost is asked for again, and what a leader did not see agreed
// on before it lost the lead.
func (c *Cluster) command(ctx context.Context, what command) (result, error) {
	unknown := false
	for {
		r, err := c.local(ctx, what)
		if c.port == nil || len(c.servers()) == 0 && c.Leader() == "" {
			return r, err
		}
		if errors.Is(err, ErrNotLeader) {
			if r, err = c.forward(ctx, what); err == nil || errors.Is(err, ErrRefused) {
				return r, err
			}
		} else if !errors.Is(err, ErrUnknownOutcome) {
			return r, err
		}
		unknown = unknown || errors.Is(err, ErrUnknownOutcome)
		select {
		case <-time.After(forwardRetry):
			if ctx.Err() == nil {
				continue
			}
			err = fmt.Errorf("%w: %w", c.notLeader(), context.Cause(ctx))
		case <-c.expelled:
			err = c.expulsion
		case <-c.done:
			err = ErrStopped
		case <-ctx.Done():
			err = fmt.Errorf("%w: %w", c.notLeader(), context.Cause(ctx))
		}
		if unknown {
			err = fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
		}
		return result{}, err
	}
}

// local does a command on the leader.
func (c *Cluster) local(ctx context.Context, what command) (result, error) {
	select {
	case <-c.done:
		return result{}, ErrStopped
	default:
	}
	if ctx.Err() != nil {
		return result{}, context.Cause(ctx)
	}
	data, err := encode(what)
	if err != nil {
		return result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CommandTimeout)
	defer cancel()
	outcome := make(chan result, 1)
	err = await(ctx, func() error {
		future := c.raft.Apply(data, c.cfg.CommandTimeout)
		if err := future.Error(); err != nil {
			return err
		}
		outcome <- future.Response().(result)
		return nil
	})
	if errors.Is(err, ErrNotLeader) {
		return result{}, c.notLeader()
	}
	if err != nil {
		return result{}, err
	}
	r := <-outcome
	return r, r.err
}

func (c *Cluster) notLeader() error {
	addr, id := c.raft.LeaderWithID()
	if string(id) == c.cfg.Name {
		addr, id = "", "" // it was, a moment ago
	}
	return &NotLeaderError{Leader: string(id), Raft: string(addr)}
}

// forward has the leader do a command.
func (c *Cluster) forward(ctx context.Context, what command) (result, error) {
	addr, id := c.raft.LeaderWithID()
	if addr == "" || string(id) == c.cfg.Name {
		return result{}, ErrNotLeader
	}
	data, err := encode(what)
	if err != nil {
		return result{}, err
	}
	a, err := c.ask(ctx, string(addr), question{Ask: askApply, Command: json.RawMessage(data)})
	switch {
	case errors.Is(err, ErrMixed):
		return result{}, fmt.Errorf("%w: %w", ErrRefused, err)
	case errors.Is(err, errNotSent):
		return result{}, err
	case err != nil:
		return result{}, fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	case a.Refused != "":
		return result{}, fmt.Errorf("%w: %s", ErrRefused, a.Refused)
	case !a.OK:
		if fault, ok := faults()[a.Fault]; ok {
			return result{}, fault
		}
		return result{}, fmt.Errorf("%w: node %s answered %q", ErrUnknownOutcome, id, a.Fault)
	}
	return result{stream: a.Stream, secret: a.Secret}, nil
}

// applyFor does a member's command and puts what came of it into the answer.
func (c *Cluster) applyFor(ctx context.Context, q question, a *answer) {
	what, err := decode(q.Command)
	if err != nil {
		a.Refused = words(err, ErrRefused)
		return
	}
	state := c.fsm.State()
	known := state.Members[q.Self.Name]
	if q.Cluster != "" && q.Cluster != a.Cluster || known.Instance != "" && known.Instance != q.Self.Instance || !c.isServer(q.Self.Name) {
		a.Refused = fmt.Sprintf("node %s is not a member of this cluster and gives it no commands: let it join", q.Self.Name)
		return
	}
	r, err := c.local(ctx, what)
	if err == nil {
		a.OK, a.Stream, a.Secret = true, r.stream, r.secret
		return
	}
	if errors.Is(err, ErrRefused) {
		a.Refused = words(err, ErrRefused)
		return
	}
	a.Fault = "unknown"
	for name, kind := range faults() {
		if errors.Is(err, kind) {
			a.Fault = name
		}
	}
}
