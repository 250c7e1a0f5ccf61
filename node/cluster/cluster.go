package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

const (
	// raftDir is the folder below Config.Dir, and logFile the file in it.
	raftDir = "raft"
	logFile = "raft.db"
	// snapshotsKept on disk: the newest, and one in case it is damaged.
	snapshotsKept = 2
	// lockTimeout is the wait for another process to give up the store.
	lockTimeout = 500 * time.Millisecond
	// connectionsMax kept open to each other member.
	connectionsMax = 3
	// transportTimeout bounds one message between members.
	transportTimeout = 10 * time.Second
)

// Cluster is this node's part in the group.
type Cluster struct {
	cfg       Config
	raft      *raft.Raft
	fsm       *fsm
	transport raft.Transport
	store     *raftboltdb.BoltStore
	office    *office

	stop       sync.Once
	done       chan struct{}
	background sync.WaitGroup
}

// Start takes part in the cluster and returns when this node is up, whether or
// not a leader is known: see WaitLeader. The caller stops it.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	transport, err := openTransport(cfg)
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, fsm: new(fsm), transport: transport, office: newOffice(), done: make(chan struct{})}
	if err := c.open(); err != nil {
		return nil, errors.Join(err, closeTransport(transport), c.closeStore())
	}
	c.background.Go(c.watchOffice)
	c.background.Go(func() { c.Lead(context.WithoutCancel(ctx), c.correctAddress) })
	c.standAlone()
	return c, nil
}

// open opens the stores and starts Raft on them.
func (c *Cluster) open() (err error) {
	dir := filepath.Join(c.cfg.Dir, raftDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("raft store %s is not writable: %w; mend it or choose another directory with --data", dir, err)
	}
	if c.store, err = openStore(dir); err != nil {
		return err
	}
	logger := raftLogger(c.cfg.Logger)
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, snapshotsKept, logger)
	if err != nil {
		return fmt.Errorf("raft store %s: %w", dir, err)
	}
	cfg := raft.DefaultConfig()
	cfg.LocalID = raft.ServerID(c.cfg.Name)
	cfg.HeartbeatTimeout = c.cfg.HeartbeatTimeout
	cfg.ElectionTimeout = c.cfg.HeartbeatTimeout
	cfg.LeaderLeaseTimeout = c.cfg.HeartbeatTimeout / 2
	cfg.Logger = logger
	if c.cfg.Bootstrap {
		if err := bootstrap(cfg, c.store, snapshots, c.transport); err != nil {
			return fmt.Errorf("form a new cluster in %s: %w", dir, err)
		}
	}
	return c.startRaft(cfg, snapshots)
}

// startRaft starts Raft on what the stores hold. Raft reads each entry of its log
// first, before it has any goroutine, and panics at one that it cannot decode.
func (c *Cluster) startRaft(cfg *raft.Config, snapshots raft.SnapshotStore) (err error) {
	path := filepath.Join(c.cfg.Dir, raftDir, logFile)
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("raft store %s is damaged (%v): restore it from a backup", path, fault)
		}
	}()
	if c.raft, err = raft.NewRaft(cfg, c.fsm, &oldestKept{BoltStore: c.store}, c.store, snapshots, c.transport); err != nil {
		return fmt.Errorf("raft store %s cannot be used (%w): restore it from a backup", path, err)
	}
	return nil
}

func openStore(dir string) (*raftboltdb.BoltStore, error) {
	path := filepath.Join(dir, logFile)
	options := *bbolt.DefaultOptions
	options.Timeout = lockTimeout
	if err := readable(path, &options); err != nil {
		return nil, err
	}
	store, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &options})
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return nil, fmt.Errorf("raft store %s is used by another process: stop it or choose another directory with --data", path)
	case err != nil:
		return nil, fmt.Errorf("raft store %s: %w", path, err)
	}
	return store, nil
}

// readable reads a store that exists from end to end. Its file is mapped into
// memory, and a page that is not there would end the process wherever it is
// touched first.
func readable(path string, options *bbolt.Options) (err error) {
	if _, err := os.Stat(path); err != nil {
		return nil //nolint:nilerr // there is none yet, or opening it says why not
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("raft store %s is damaged (%v): restore it from a backup", path, fault)
		}
	}()
	db, err := bbolt.Open(path, 0o600, options)
	if err != nil {
		return nil //nolint:nilerr // opening it for good says it
	}
	defer db.Close() //nolint:errcheck // it was only read
	return db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(_, value []byte) error {
				bytes.Count(value, []byte{0}) // reads each page of it
				return nil
			})
		})
	})
}

func openTransport(cfg Config) (raft.Transport, error) {
	if cfg.Transport != nil {
		return cfg.Transport, nil
	}
	if cfg.DontListen {
		addr, transport := raft.NewInmemTransport(raft.ServerAddress(cfg.Name))
		transport.Connect(addr, transport) // it elects itself by a message
		return transport, nil
	}
	addr, err := loopback(cfg.Addr)
	if err != nil {
		return nil, err
	}
	transport, err := raft.NewTCPTransportWithLogger(addr, nil, connectionsMax, transportTimeout, raftLogger(cfg.Logger))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("raft address %s is taken: stop the other program or choose another with --raft-addr", addr)
	case err != nil:
		return nil, fmt.Errorf("raft address %s cannot be listened on: %w; choose another with --raft-addr", addr, err)
	}
	return transport, nil
}

func closeTransport(transport raft.Transport) error {
	if closer, ok := transport.(raft.WithClose); ok {
		return closer.Close()
	}
	return nil
}

// bootstrap writes the first entry of an empty log: a group of this node alone.
func bootstrap(cfg *raft.Config, store *raftboltdb.BoltStore, snapshots raft.SnapshotStore, transport raft.Transport) error {
	last, err := store.LastIndex()
	if err != nil {
		return err
	}
	kept, err := snapshots.List()
	if err != nil {
		return err
	}
	if last > 0 || len(kept) > 0 {
		return nil // there is a cluster already
	}
	if err := forgetHalfBootstrap(store); err != nil {
		return err
	}
	return raft.BootstrapCluster(cfg, store, store, snapshots, transport, raft.Configuration{
		Servers: []raft.Server{{ID: cfg.LocalID, Address: transport.LocalAddr()}},
	})
}

// forgetHalfBootstrap mends the store of a process that died while it formed a
// cluster. Raft writes the term before the first entry, and afterwards takes a
// term alone for a cluster that exists. Without a vote nobody was told of it.
func forgetHalfBootstrap(store *raftboltdb.BoltStore) error {
	vote, err := store.GetUint64([]byte("LastVoteTerm"))
	if err != nil && !errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return err
	}
	if vote > 0 {
		return nil
	}
	return store.SetUint64([]byte("CurrentTerm"), 0)
}

// Addr is where the other members reach this node, with the port that was
// really taken; with DontListen it is the node's name.
func (c *Cluster) Addr() string { return string(c.transport.LocalAddr()) }

// Stop ends the duties, hands leadership over if there are others, closes the
// store and returns when all is down. It does not wait for duties to return,
// Lead does. It may be called again.
func (c *Cluster) Stop() {
	c.stop.Do(func() {
		close(c.done)
		c.office.close()
		if c.IsLeader() && len(c.servers()) > 1 {
			c.report("hand leadership over", c.raft.LeadershipTransfer().Error())
		}
		c.report("stop raft", c.raft.Shutdown().Error())
		c.background.Wait()
		c.report("close the store", c.closeStore())
	})
}

func (c *Cluster) closeStore() error {
	if c.store == nil {
		return nil
	}
	return c.store.Close()
}

func (c *Cluster) report(step string, err error) {
	if err != nil {
		c.cfg.Logger.Warn("raft did not stop cleanly", "node", c.cfg.Name, "step", step, "error", err)
	}
}
