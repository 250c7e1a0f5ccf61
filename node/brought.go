package node

import (
	"context"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/belfryhq/belfry/node/cluster"
)

// What a member does while another one brings the event stream: see Init.

// waitOffer lets who brings the stream offer the secret of executors first, so
// that those which it had are admitted by all.
func (n *Node) waitOffer(ctx context.Context) error {
	// The leader's answer: our own state may not know yet who brings one.
	stream, err := n.raft.IntendStream(ctx, ulid.Make().String())
	if err != nil || stream.From == "" || stream.From == n.cfg.name() || stream.Phase == cluster.PhaseCreated {
		return err
	}
	n.sayBrought(stream)
	return n.until(ctx, func(state cluster.State) bool { return state.Secrets[secretExecutors] != "" })
}

// waitBrought returns the stream when all of it is there.
func (n *Node) waitBrought(ctx context.Context, stream cluster.Stream) (cluster.Stream, error) {
	if stream.From == n.cfg.name() {
		return stream, fmt.Errorf("node %s brings the event stream of a node alone and has not finished: run \"belfry cluster init\" again", stream.From)
	}
	n.sayBrought(stream)
	err := n.until(ctx, func(state cluster.State) bool {
		stream = state.Stream
		return stream.Phase == cluster.PhaseCreated
	})
	return stream, err
}

func (n *Node) sayBrought(stream cluster.Stream) {
	n.cfg.Logger.Info("waiting for the node that brings the event stream by belfry cluster init", "node", stream.From)
}

// until waits for what this node knows to be agreed on to be so.
func (n *Node) until(ctx context.Context, so func(cluster.State) bool) error {
	for !so(n.raft.State()) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollEvery):
		}
	}
	return nil
}
