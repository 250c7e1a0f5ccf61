package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/eventlog"
	eventstream "github.com/belfryhq/belfry/eventlog/jetstream"
	"github.com/belfryhq/belfry/node/broker"
)

const (
	// askPatience bounds one question who leads the event stream: while that
	// changes, nobody may have heard it.
	askPatience = time.Second
	// looksMax is how many looks in a row, againAfter apart, may find nothing new:
	// 30 s. Servers try three times, 5 s each, to catch up with a restored stream.
	looksMax = 120
)

// errStalled: the servers get no further with a restored stream. It is restored
// anew then.
var errStalled = errors.New("the nats servers get no further with the restored stream")

// spread waits until as many servers as are to hold what was saved say that they
// do, each of its own copy. Before that the lead is not handed on: who still
// catches up with a leader that changes may never get to the end.
func (f *former) spread(ctx context.Context, n *Node) error {
	for _, saved := range f.progress.Saved {
		var want struct {
			LastSeq uint64 `json:"last_seq"`
		}
		if err := json.Unmarshal(saved.State, &want); err != nil {
			return err
		}
		furthest, looks := uint64(0), 0
		for {
			copies, err := n.broker.Copies(ctx, saved.Stream)
			if err != nil {
				return err
			}
			whole, sum := held(copies, want.LastSeq)
			if whole >= n.replicas() {
				break
			}
			if looks++; sum > furthest {
				furthest, looks = sum, 0
			}
			if looks > looksMax {
				return fmt.Errorf("%w: %d of %d copies of %s are complete", errStalled, whole, n.replicas(), saved.Stream)
			}
			if err := pause(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// held is how many of the copies reach a sequence, and how far they all are.
func held(copies map[string]broker.Copy, seq uint64) (whole int, sum uint64) {
	for _, c := range copies {
		if sum += c.LastSeq; c.LastSeq == seq {
			whole++
		}
	}
	return whole, sum
}

// compare reads each copy of the event stream, which its server leads for that,
// and compares it with what was saved. That the servers say they are complete is
// not enough: this one goes down next, and whoever leads then counts.
func (f *former) compare(ctx context.Context, n *Node) error {
	log, err := eventstream.Open(ctx, n.nc, n.streamConfig())
	if err != nil {
		return err
	}
	same := map[string]bool{} // by server
	var wrong string          // with the copy that is led
	for looks := 0; len(same) < n.replicas(); looks++ {
		before := len(same)
		var err error
		if wrong, err = f.compareNext(ctx, n, log, same); err != nil {
			n.cfg.Logger.Debug("no copy could be compared just now", "error", err)
		}
		if len(same) > before {
			looks = 0
			continue
		}
		switch {
		case looks < looksMax/2:
		case wrong != "":
			return fmt.Errorf("%w: %s; run the command again, which restores it anew", eventlog.ErrDamaged, wrong)
		default:
			return fmt.Errorf("%w: %d of %d copies were compared: %w", errStalled, len(same), n.replicas(), err)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// compareNext compares the copy that is led, adds its server to those that have
// the same, or says what is wrong with it; it has another one led if that one was
// compared before.
func (f *former) compareNext(ctx context.Context, n *Node, log eventlog.Log, same map[string]bool) (wrong string, err error) {
	on, err := n.leads(ctx)
	if err != nil {
		return "", err
	}
	if same[on.Leader] {
		for _, replica := range on.Replicas {
			if !same[replica.Name] && replica.Current && !replica.Offline {
				return "", eventstream.HandOn(ctx, n.nc, n.prefix().Stream(), replica.Name)
			}
		}
		return "", nil
	}
	found, err := digestOf(ctx, log, 0)
	if errors.Is(err, eventlog.ErrDamaged) {
		return fmt.Sprintf("the copy on %s: %v", on.Leader, err), nil
	}
	if err != nil {
		return "", err
	}
	if info, err := log.Info(ctx); err != nil || info.Leader != on.Leader {
		return "", err // another one may have answered
	}
	if wrong := f.progress.Events.differs(found); wrong != "" {
		return fmt.Sprintf("the copy on %s is not as it was: %s", on.Leader, wrong), nil
	}
	n.cfg.Logger.Info("a copy of the event stream is as it was", "on", on.Leader)
	same[on.Leader] = true
	return "", nil
}

// leads asks where the event stream is, and who leads it.
func (n *Node) leads(ctx context.Context) (*jetstream.ClusterInfo, error) {
	js, err := jetstream.New(n.nc)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	stream, err := js.Stream(ctx, n.prefix().Stream())
	if err != nil {
		return nil, err
	}
	on := stream.CachedInfo().Cluster
	if on == nil || on.Leader == "" {
		return nil, eventstream.ErrNoLeader
	}
	return on, nil
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(againAfter):
		return nil
	}
}
