package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
	eventstream "github.com/belfryhq/belfry/eventlog/jetstream"
	"github.com/belfryhq/belfry/exec/credential"
	"github.com/belfryhq/belfry/node/broker"
	"github.com/belfryhq/belfry/node/cluster"
	"github.com/belfryhq/belfry/node/scheduler"
)

// Init makes the data directory of a node alone, which is stopped, that of the
// member of a new cluster that cfg describes: DataDir is that directory. It
// returns when it has, and the member can be started on it; the other members
// start as usual and wait until then.
//
//	save ──▶ form, with the others ──▶ restore on all ──▶ compare all copies ──▶ rename
//	     saved                                                            compared
//
// It may be interrupted at any moment and is then called again, with the same
// cfg. What was there is renamed, never deleted, and only when all copies in the
// cluster are the same as it. Until "saved" the directory stays as it was, and
// errors change nothing. It is for one caller.
func Init(ctx context.Context, cfg Config) error {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	switch {
	case cfg.Cluster == nil || cfg.DontListen:
		return errors.New("a node alone becomes a member of a cluster: say which")
	case cfg.Cluster.External != nil:
		return errors.New("the event stream of a node alone is brought to nodes that run NATS themselves: leave the NATS of your own out")
	case cfg.Cluster.Expect == 0:
		return errors.New("the event stream of a node alone begins a new cluster, and joins none: give --bootstrap-expect")
	}
	f, err := openFormer(cfg)
	if err != nil {
		return err
	}
	log := cfg.Logger.With("dir", f.path)
	return errors.Join(f.init(ctx, cfg, log), f.close())
}

func (f *former) init(ctx context.Context, cfg Config, log *slog.Logger) error {
	if f.progress.Step == "" {
		if err := f.save(ctx, cfg, log); err != nil {
			return errors.Join(err, os.RemoveAll(f.join(initDir)))
		}
	}
	if err := f.move(ctx, cfg); err != nil {
		return err
	}
	if err := f.finish(); err != nil {
		return err
	}
	log.Info("the node alone has become a member; what it had is kept", "node", cfg.Cluster.Name, "as", "*"+keptMark+f.progress.Mark)
	return nil
}

// save writes the backup.
func (f *former) save(ctx context.Context, cfg Config, log *slog.Logger) error {
	log.Info("backing up the event stream")
	if err := f.fresh(cfg.Cluster.Name); err != nil {
		return err
	}
	stream, err := f.remembered(ctx, log)
	if err != nil {
		return err
	}
	f.progress.Stream, f.progress.LowWater = stream.ID, stream.LowWater
	b, err := broker.Start(ctx, broker.Config{Name: Name, Prefix: cfg.Prefix, DontListen: true, StoreDir: f.join("nats"), Logger: log})
	if err != nil {
		return err
	}
	defer b.Stop()
	nc, err := b.NodeConn("init")
	if err != nil {
		return err
	}
	begun := time.Now()
	events, err := eventstream.Open(ctx, nc, eventstream.Config{Prefix: eventlog.Prefix(cfg.Prefix), Logger: log})
	if errors.Is(err, eventstream.ErrNoStream) {
		return fmt.Errorf("%w: stream %s existed up to sequence %d and is gone: restore %s from a backup", eventlog.ErrDamaged, stream.ID, stream.LowWater, f.join("nats"))
	}
	if err != nil {
		return err
	}
	// The last snapshot may remember more than Raft, which is told now and then.
	remembered := max(stream.LowWater, scheduler.Remembered(f.join(snapshotFile), stream.ID))
	f.progress.Events, err = digestOf(ctx, events, remembered)
	if err == nil && f.progress.Events.FirstSeq > 1 {
		err = begunLate(f.progress.Events.FirstSeq)
	}
	if err != nil {
		return fmt.Errorf("%w (they are in %s)", err, f.join("nats"))
	}
	for k, name := range cfg.streams() {
		saved, err := f.saveStream(ctx, nc, name)
		if errors.Is(err, eventstream.ErrNoStream) && k > 0 {
			continue // nobody has printed anything yet
		}
		if err != nil {
			return err
		}
		f.progress.Saved = append(f.progress.Saved, saved)
	}
	if err := f.reach(stepSaved); err != nil {
		return err
	}
	log.Info("the event stream was backed up", "step", string(stepSaved), "seq", f.progress.Events.LastSeq,
		"bytes", f.progress.Saved[0].Bytes, "sha256", f.progress.Saved[0].SHA256, "took", time.Since(begun).Round(time.Millisecond))
	return nil
}

// remembered is what the Raft of the node alone knows of its stream.
func (f *former) remembered(ctx context.Context, log *slog.Logger) (cluster.Stream, error) {
	raft, err := cluster.Start(ctx, cluster.Config{Name: Name, DontListen: true, Dir: f.path, Logger: log})
	if err != nil {
		return cluster.Stream{}, err
	}
	defer raft.Stop()
	ctx, cancel := context.WithTimeout(ctx, leaderTimeout)
	defer cancel()
	if err := raft.WaitLeader(ctx); err != nil {
		return cluster.Stream{}, fmt.Errorf("raft found no leader: %w", err)
	}
	stream := raft.State().Stream
	if stream.Phase != cluster.PhaseCreated {
		return stream, fmt.Errorf("data directory %s holds no event stream, so there is nothing to bring into a cluster: start the nodes with \"belfry node\"", f.path)
	}
	return stream, nil
}

// saveStream writes the backup of one stream to disk.
func (f *former) saveStream(ctx context.Context, nc *nats.Conn, name string) (eventstream.Saved, error) {
	file, err := os.OpenFile(f.join(initDir, backupDir, name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return eventstream.Saved{}, err
	}
	saved, err := eventstream.Save(ctx, nc, name, file)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return saved, err
	}
	return saved, syncDir(f.join(initDir, backupDir))
}

// move has the cluster hold what was saved, and agree that it does.
func (f *former) move(ctx context.Context, cfg Config) (err error) {
	n, err := f.member(cfg)
	if err != nil {
		return err
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaderTimeout)
		defer cancel()
		err = errors.Join(err, n.Stop(stopping))
	}()
	if n.dir, err = openDirectory(n.cfg.DataDir, n.identity()); err != nil {
		return err
	}
	n.later(func() { _ = n.dir.close() }) // the lock goes with the process
	if err := f.giveKey(n); err != nil {
		return err
	}
	if err := n.startRaft(ctx); err != nil {
		return err
	}
	ctx = n.whileMember(ctx)
	if f.progress.Step == stepSaved {
		if err := n.startNATS(ctx); err != nil {
			return err
		}
		n.later(n.stepDown)
		if err := f.restore(ctx, n); err != nil {
			return err
		}
		if err := f.reach(stepCompared); err != nil {
			return err
		}
		n.cfg.Logger.Info("all copies of the event stream are as it was", "step", string(stepCompared), "seq", f.progress.Events.LastSeq)
	}
	if err := n.raft.StreamCreated(ctx, f.progress.Stream); err != nil {
		return err
	}
	return n.raft.RaiseLowWater(ctx, f.progress.Stream, f.progress.Events.LastSeq)
}

// member is the node that is to be, on a directory inside this one.
func (f *former) member(cfg Config) (*Node, error) {
	cfg.DataDir = f.join(initDir, memberDir)
	n, err := New(cfg)
	if err != nil {
		return nil, err
	}
	n.brings = f.progress.Stream
	return n, nil
}

// giveKey has the member offer the secret of executors that the node alone had.
func (f *former) giveKey(n *Node) error {
	// A node that never listened has none.
	if _, err := credential.Make(f.join(credential.File)); err != nil {
		return err
	}
	key, err := os.ReadFile(f.join(credential.File))
	if err != nil {
		return err
	}
	return n.dir.replace(credential.File, key)
}

// restore brings what was saved into the cluster, again until it is there.
func (f *former) restore(ctx context.Context, n *Node) error {
	for _, saved := range f.progress.Saved {
		if err := f.readBackup(saved, saved.Check); err != nil {
			return fmt.Errorf("%w: restore %s, or remove %s and begin anew, the other nodes, too", err, f.join(initDir, backupDir, saved.Stream), f.join(initDir))
		}
	}
	return n.patiently(ctx, "bring the event stream into the cluster", func() error {
		n.cfg.Logger.Info("restoring the event stream")
		begun := time.Now()
		for _, saved := range f.progress.Saved {
			if err := f.restoreStream(ctx, n, saved); err != nil {
				return err
			}
		}
		if err := f.spread(ctx, n); err != nil {
			return err
		}
		n.cfg.Logger.Info("the event stream was restored; comparing all copies", "took", time.Since(begun).Round(time.Millisecond))
		return f.compare(ctx, n)
	})
}

// readBackup lets read read what was saved of a stream.
func (f *former) readBackup(saved eventstream.Saved, read func(io.Reader) error) error {
	file, err := os.Open(f.join(initDir, backupDir, saved.Stream))
	if err != nil {
		return err
	}
	return errors.Join(read(file), file.Close())
}

// restoreStream makes one stream of its backup. What an earlier try has left is
// deleted: nobody can have written to it, as long as the members have agreed that
// it is this node that makes it, and have not agreed that it was made.
func (f *former) restoreStream(ctx context.Context, n *Node, saved eventstream.Saved) error {
	stream, err := n.raft.IntendStream(ctx, f.progress.Stream)
	if err != nil {
		return err
	}
	if stream.ID != f.progress.Stream || stream.From != n.cfg.name() || stream.Phase != cluster.PhaseCreating {
		return fmt.Errorf("%w: the cluster has stream %s, made by %q, and nothing may be restored over it: begin with new nodes, on empty data directories", eventlog.ErrDamaged, stream.ID, stream.From)
	}
	if err := eventstream.Remove(ctx, n.nc, saved.Stream); err != nil {
		return err
	}
	saved = saved.Marked("restored at " + time.Now().UTC().Format(time.RFC3339Nano))
	saved.Config.Replicas = n.replicas()
	if saved.Stream == outputStream(n.cfg.Prefix) {
		saved.Config.MaxBytes = outputBytes // as all members have it
	}
	return f.readBackup(saved, func(from io.Reader) error { return eventstream.Restore(ctx, n.nc, saved, from) })
}
