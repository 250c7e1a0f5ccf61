package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/eventlog"
)

// clusterPause is between two looks at a cluster that is not there yet.
const clusterPause = 100 * time.Millisecond

// The server's codes for what a cluster that forms, or has lost its leader, can
// not do yet. All of its 503s mean the same.
const (
	noPeers   = 10005
	notLeader = 10009
)

// Scale lets more servers hold the stream, 1, 3 or 5 in all, and returns when
// each of them has all of it, or ctx ends. What was begun goes on then; the same
// call waits for it again. It does not shrink: a replica that is given up could
// be the only good one. Appends go on meanwhile.
func (l *Log) Scale(ctx context.Context, replicas int) error {
	cfg := l.cfg
	cfg.Replicas = replicas
	if err := cfg.Validate(); err != nil {
		return err
	}
	for {
		held, err := l.tryScale(ctx, replicas)
		if err == nil && held {
			return nil
		}
		if err != nil && !forming(err) {
			return fmt.Errorf("scale %s to %d replicas: %w", eventlog.Stream, replicas, err)
		}
		if !pause(ctx, clusterPause) {
			return fmt.Errorf("scale %s to %d replicas: not all have it yet: %w", eventlog.Stream, replicas, errors.Join(context.Cause(ctx), err))
		}
	}
}

// tryScale says whether all replicas hold the stream, and asks for them where
// there are too few.
func (l *Log) tryScale(ctx context.Context, replicas int) (held bool, err error) {
	info, err := l.info(ctx)
	if err != nil {
		return false, err
	}
	switch have := info.Config.Replicas; {
	case have == replicas:
		_, current := info.Cluster.online()
		return current == replicas, nil
	case have > replicas:
		return false, fmt.Errorf("it has %d: only growth is served", have)
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.ReadTimeout)
	defer cancel()
	stream, err := l.js.Stream(ctx, eventlog.Stream)
	if err != nil {
		return false, err
	}
	cfg := stream.CachedInfo().Config
	cfg.Replicas = replicas
	_, err = l.js.UpdateStream(ctx, cfg)
	return false, err
}

// forming says whether err may end by itself when the servers of a cluster have
// met and elected.
func forming(err error) bool {
	refused := new(js.APIError)
	if errors.As(err, &refused) {
		return refused.Code == 503 || refused.ErrorCode == noPeers || refused.ErrorCode == notLeader
	}
	answer := new(apiError)
	if errors.As(err, &answer) {
		return answer.Code == 503
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, js.ErrNoStreamResponse)
}

// pause waits and says whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
