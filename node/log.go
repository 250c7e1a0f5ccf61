package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/belfryhq/belfry/eventlog"
	eventstream "github.com/belfryhq/belfry/eventlog/jetstream"
	"github.com/belfryhq/belfry/node/cluster"
)

// openStream finds the event stream, or makes it if there never was one. A
// stream that existed and is gone is never made anew.
func (n *Node) openStream(ctx context.Context) (cluster.Stream, error) {
	// Asked of who leads, as our own state may lag: the first id that was offered
	// is the stream's, and only until it was created may it be made.
	stream, err := n.raft.IntendStream(ctx, ulid.Make().String())
	if err != nil {
		return stream, err
	}
	cfg := n.streamConfig()
	if stream.Phase != cluster.PhaseCreated {
		if stream, err = n.createStream(ctx, cfg, stream); err != nil {
			return stream, err
		}
	}
	if stream.Phase == cluster.PhaseCreated {
		stream.LowWater = max(stream.LowWater, 1) // the genesis was there
	}
	begun := time.Now()
	return stream, n.patiently(ctx, "read the event stream", func() error {
		err := n.openLog(ctx, cfg, stream)
		if missing := (gone{}); errors.As(err, &missing) && n.cfg.Cluster != nil && time.Since(begun) < gonePatience {
			return eventstream.ErrNoStream // a server that has just begun to lead may not know it yet
		}
		return err
	})
}

// gone is a stream that existed and that NATS does not know.
type gone struct{ error }

func (g gone) Unwrap() error { return g.error }

// openLog opens the event stream, once, if it is all that Raft remembers.
func (n *Node) openLog(ctx context.Context, cfg eventstream.Config, stream cluster.Stream) (err error) {
	if n.log == nil {
		n.log, err = eventstream.Open(ctx, n.nc, cfg)
	}
	if errors.Is(err, eventstream.ErrNoStream) {
		return gone{fmt.Errorf("%w: stream %s existed up to sequence %d and is gone: restore %s from a backup", eventlog.ErrDamaged, stream.ID, stream.LowWater, n.store())}
	}
	if err != nil {
		return err
	}
	if err := n.whole(ctx, stream.LowWater); err != nil {
		return fmt.Errorf("%w (they are in %s)", err, n.store())
	}
	return n.replicated(ctx, cfg)
}

// whole says whether the log is, up to what Raft remembers and from its first
// message on: this version never shortens it, and a server that lost the first
// file of it begins with the second without a word.
func (n *Node) whole(ctx context.Context, remembered uint64) error {
	if err := n.log.Integrity(ctx, remembered); err != nil {
		return err
	}
	info, err := n.log.Info(ctx)
	if err == nil && info.FirstSeq > 1 {
		return begunLate(info.FirstSeq)
	}
	return err
}

// scrub reads the whole log once: a message that a disk has spoiled is found
// out only by reading it. Its error is ErrDamaged. In a cluster the others work
// meanwhile: it works a fifth of the time, on a connection of its own, so that
// nothing waits behind what it is sent.
func (n *Node) scrub(ctx context.Context) error {
	err := n.readAll(ctx)
	switch {
	case errors.Is(err, eventlog.ErrDamaged):
		return err
	case err != nil && ctx.Err() == nil:
		n.cfg.Logger.Warn("the event stream was not read to its end: damage in it is found when it is read", "error", err)
	}
	return nil
}

func (n *Node) readAll(ctx context.Context) error {
	log, pace := n.log, func() error { return nil }
	if n.cfg.Cluster != nil {
		nc, err := n.nats.NodeConn("scrub")
		if err != nil {
			return err
		}
		defer nc.Close()
		if err := n.patiently(ctx, "read the whole event stream", func() error {
			log, err = eventstream.Open(ctx, nc, n.streamConfig())
			return err
		}); err != nil {
			return err
		}
		pace = restful(ctx)
	}
	_, err := log.Scrub(ctx, 1, pace)
	return err
}

const (
	// scrubWork is how long is scrubbed at a time, scrubRest for how long not.
	scrubWork = 2 * time.Millisecond
	scrubRest = 4 * scrubWork
)

// restful has whoever calls it between two pieces of work rest now and then, until
// ctx ends.
func restful(ctx context.Context) func() error {
	begun := time.Now()
	return func() error {
		if time.Since(begun) < scrubWork {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(scrubRest):
		}
		begun = time.Now()
		return nil
	}
}
