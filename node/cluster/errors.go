package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// What a command can come to besides success.
var (
	// ErrNotLeader: nothing was done; ask the leader.
	ErrNotLeader = errors.New("this node does not lead the cluster")
	// ErrBusy: nothing was done; try again.
	ErrBusy = errors.New("the cluster takes no commands right now")
	// ErrUnknownOutcome: it was done, will be done, or never will. All commands
	// may be repeated.
	ErrUnknownOutcome = errors.New("the outcome of the command is unknown")
	// ErrRefused: the command was agreed on and changed nothing, for the reason
	// that the error gives. Repeating it is of no use.
	ErrRefused = errors.New("refused by the cluster's state")
	// ErrStopped: nothing was done, and nothing will be: Stop was called.
	ErrStopped = errors.New("the cluster is stopped on this node")
)

// NotLeaderError is an ErrNotLeader that says who leads, so that the caller can
// ask there.
type NotLeaderError struct {
	// Leader is the name of the node that leads, and Raft its address; both are
	// "" while there is none.
	Leader, Raft string
}

// Error says who leads.
func (e *NotLeaderError) Error() string {
	if e.Leader == "" {
		return ErrNotLeader.Error() + ", and nobody does right now"
	}
	return fmt.Sprintf("%v: %s does, at %s", ErrNotLeader, e.Leader, e.Raft)
}

// Unwrap makes it an ErrNotLeader.
func (e *NotLeaderError) Unwrap() error { return ErrNotLeader }

// classify turns Raft's errors into ours.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return ErrNotLeader
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return ErrBusy
	}
	return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
}

// await runs wait on a goroutine and returns its error, or ErrUnknownOutcome
// when ctx ends first. The goroutine then ends with what it waits for, at the
// latest with Raft.
func await(ctx context.Context, wait func() error) error {
	done := make(chan error, 1)
	go func() { done <- wait() }()
	select {
	case err := <-done:
		return classify(err)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, context.Cause(ctx))
	}
}
