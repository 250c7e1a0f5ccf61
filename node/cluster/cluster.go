package cluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
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
)

// Cluster is this node's part in the group.
type Cluster struct {
	cfg        Config
	port       *port // nil where this node does not listen on TCP
	raft       *raft.Raft
	raftConfig *raft.Config
	fsm        *fsm
	transport  raft.Transport
	store      *raftboltdb.BoltStore
	snapshots  raft.SnapshotStore
	office     *office
	reach      *reach
	// own is what a node alone greets itself with, so that nobody else's Raft is
	// taken for its own.
	own string

	// forming guards raft and transport against the founding, which starts Raft
	// anew. It happens before Start returns, so only what answers others needs it.
	forming sync.RWMutex
	founded bool                     // by this node, just now
	met     atomic.Pointer[[]string] // see answer.Met
	// membership is held by who changes the members on the leader.
	membership sync.Mutex
	changed    chan struct{} // holds one; see wake

	expelled  chan struct{} // closed when the cluster refuses this member
	expulsion error         // why; set before

	stop       sync.Once
	done       chan struct{}
	life       context.Context //nolint:containedctx // of what answers others; ends with done
	end        context.CancelFunc
	background sync.WaitGroup
}

// Start takes part in the cluster and returns when this node is up, whether or
// not a leader is known: see WaitLeader. With Config.Join or Expect, a node that
// belongs to no cluster first forms or joins one, which takes as long as the
// others do, or until ctx ends. The caller stops it.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c := &Cluster{
		cfg: cfg, fsm: new(fsm), office: newOffice(), reach: newReach(), own: rand.Text(),
		changed: make(chan struct{}, 1), expelled: make(chan struct{}), done: make(chan struct{}),
	}
	c.met.Store(&[]string{})
	c.life, c.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.abandon())
	}
	c.background.Go(c.watchOffice)
	c.background.Go(func() { c.Lead(c.life, c.keepMembers) })
	if c.port != nil {
		c.background.Go(c.announce)
		c.background.Go(c.watchLeader)
	}
	if c.founded {
		c.electSelf()
	}
	c.standAlone()
	return c, nil
}

// start opens the port and the stores and starts Raft, in a cluster.
func (c *Cluster) start(ctx context.Context) error {
	if err := c.listen(); err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	if c.port == nil {
		return nil
	}
	c.port.serve(c.takesRaft, c.meet)
	if len(c.cfg.Join) == 0 && c.cfg.Expect == 0 {
		return nil
	}
	return c.form(ctx)
}

// abandon takes down what a start that failed has begun.
func (c *Cluster) abandon() (err error) {
	c.end()
	if c.raft != nil {
		err = c.raft.Shutdown().Error()
	} else if c.transport != nil {
		err = closeTransport(c.transport)
	}
	if c.port != nil {
		c.port.close()
	}
	return errors.Join(err, c.closeStore())
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
	if c.snapshots, err = raft.NewFileSnapshotStoreWithLogger(dir, snapshotsKept, logger); err != nil {
		return fmt.Errorf("raft store %s: %w", dir, err)
	}
	cfg := raft.DefaultConfig()
	cfg.LocalID = raft.ServerID(c.cfg.Name)
	cfg.HeartbeatTimeout = c.cfg.HeartbeatTimeout
	cfg.ElectionTimeout = c.cfg.HeartbeatTimeout
	cfg.LeaderLeaseTimeout = c.cfg.HeartbeatTimeout / 2
	cfg.Logger = logger
	cfg.ShutdownOnRemove = false // what is removed answers, so that it learns it
	if c.cfg.Bootstrap {
		if err := c.bootstrap(cfg); err != nil {
			return fmt.Errorf("form a new cluster in %s: %w", dir, err)
		}
	}
	c.raftConfig = cfg
	return c.startRaft()
}

// startRaft starts Raft on what the stores hold. Raft reads each entry of its log
// first, before it has any goroutine, and panics at one that it cannot decode.
func (c *Cluster) startRaft() (err error) {
	path := filepath.Join(c.cfg.Dir, raftDir, logFile)
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("raft store %s is damaged (%v): restore it from a backup", path, fault)
		}
	}()
	transport := c.openTransport()
	started, err := raft.NewRaft(c.raftConfig, c.fsm, &oldestKept{BoltStore: c.store}, c.store, c.snapshots, transport)
	if err != nil {
		return fmt.Errorf("raft store %s cannot be used (%w): restore it from a backup", path, err)
	}
	c.raft = started
	started.RegisterObserver(raft.NewObserver(nil, false, c.reach.observe))
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

// bootstrap writes the first entry of an empty log: a group of this node alone.
func (c *Cluster) bootstrap(cfg *raft.Config) error {
	last, err := c.store.LastIndex()
	if err != nil {
		return err
	}
	kept, err := c.snapshots.List()
	if err != nil {
		return err
	}
	if last > 0 || len(kept) > 0 {
		return nil // there is a cluster already
	}
	if err := forgetHalfBootstrap(c.store); err != nil {
		return err
	}
	return raft.BootstrapCluster(cfg, c.store, c.store, c.snapshots, c.transport, raft.Configuration{
		Servers: []raft.Server{{ID: cfg.LocalID, Address: raft.ServerAddress(c.Addr())}},
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
func (c *Cluster) Addr() string {
	if c.port != nil {
		return c.port.addr
	}
	return string(c.transport.LocalAddr())
}

// Stop ends the duties, hands leadership over if there are others, closes the
// store and returns when all is down. It does not wait for duties to return,
// Lead does. It may be called again.
func (c *Cluster) Stop() { c.shut(true) }

// shut stops, with or without handing leadership over.
func (c *Cluster) shut(handOver bool) {
	c.stop.Do(func() {
		close(c.done)
		c.end()
		c.office.close()
		if handOver && c.IsLeader() && len(c.servers()) > 1 {
			c.report("hand leadership over", c.raft.LeadershipTransfer().Error())
		}
		if c.port != nil {
			c.port.close()
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
