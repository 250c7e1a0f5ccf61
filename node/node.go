package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	eventstream "github.com/belfryhq/belfry/eventlog/jetstream"
	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/python"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/broker"
	"github.com/belfryhq/belfry/node/cluster"
	"github.com/belfryhq/belfry/node/coordinator"
	"github.com/belfryhq/belfry/node/external"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/node/service"
	"github.com/belfryhq/belfry/node/web"
)

// Node is everything in one process.
type Node struct {
	cfg     Config
	process string // names this start of the node

	dir       *directory
	raft      *cluster.Cluster
	nats      meeting
	external  *external.NATS // nats, if others run it; nil if it is our own server
	broker    *broker.Broker // nats, if it is our own server; nil if others run it
	nc        *nats.Conn     // of the node's identity
	log       *eventstream.Log
	scheduler *scheduler.Scheduler
	web       *web.Server
	// brings is the id of the stream that Init moves into a cluster; else "".
	brings string
	// coordinator is nil in a node alone.
	coordinator *coordinator.Coordinator
	leavers     removals

	started atomic.Bool // all of start is done
	undo    []func()    // what Stop does, in reverse
	stopped bool

	ended chan struct{} // closed by end
	once  sync.Once     // it is
	cause error         // of it
}

const (
	// leaderTimeout bounds the wait for Raft's election.
	leaderTimeout = 10 * time.Second
	// executorTimeout bounds the wait for the node's own executor.
	executorTimeout = 15 * time.Second
	// gonePatience is how long the servers of a cluster may say that they know no
	// stream before it is believed: longer than they take to elect who leads.
	gonePatience = 15 * time.Second
	// scrubPatience is how long a start waits for all messages to be read: some
	// 300,000, in a cluster a fifth of that. Those of a longer log are read while it
	// serves.
	scrubPatience = time.Second
)

// New makes a node that does nothing yet.
func New(cfg Config) (*Node, error) {
	cfg = cfg.WithDefaults()
	return &Node{
		cfg: cfg, process: ulid.Make().String(), ended: make(chan struct{}),
		leavers: removals{steps: map[string]api.RemovalStep{}, asked: map[string]time.Time{}},
	}, cfg.Validate()
}

// Start brings the node up and returns when it serves. After an error, Stop
// takes down what had been started.
func (n *Node) Start(ctx context.Context) error {
	err := n.start(ctx)
	if gone := n.expulsion(); err != nil && gone != nil {
		n.noteRemoval()
		return gone
	}
	return err
}

func (n *Node) start(ctx context.Context) error {
	// 1. The data directory is ours alone, and a standalone node's.
	dir, err := openDirectory(n.cfg.DataDir, n.identity())
	if err != nil {
		return err
	}
	n.dir = dir
	n.later(func() { _ = dir.close() }) // the lock goes with the process

	// 2. Without Python nothing could run: find it before anything else.
	var runtime exec.Runtime
	if !n.cfg.NoExec {
		if runtime, err = n.startPython(); err != nil {
			return err
		}
	}

	// A NATS of others is looked at before the members agree on anything.
	if err := n.lookAtNATS(ctx); err != nil {
		return err
	}

	// 3. Raft knows whether there was ever a stream, and which.
	if err := n.startRaft(ctx); err != nil {
		return err
	}
	ctx = n.whileMember(ctx)

	// 4. NATS, and in it the log.
	if err := n.startNATS(ctx); err != nil {
		return err
	}
	stream, err := n.openStream(ctx)
	if err != nil {
		return err
	}
	scrubbed := make(chan error, 1)
	n.beside(func(ctx context.Context) { scrubbed <- n.scrub(ctx) })

	// 5. The scheduler folds the log, opens the lane and decides.
	if err := n.startScheduler(ctx, stream); err != nil {
		return err
	}

	if err := n.newCoordinator(); err != nil {
		return err
	}

	// 6. Our own executor, over the same wire as any other.
	if err := n.startExecutor(ctx, runtime); err != nil {
		return err
	}

	// 7. A stream with holes is not served.
	if err := n.awaitScrub(scrubbed); err != nil {
		return err
	}

	// 8. Callers: the API, then HTTP.
	if err := n.startService(ctx); err != nil {
		return err
	}
	if err := n.startWeb(); err != nil {
		return err
	}

	// 9. The others may know where we are, and give us our share. Whoever sees us
	// ready may stop another: our copy of the log must be worth as much as its.
	if err := n.waitCurrent(ctx); err != nil {
		return err
	}
	if err := n.raft.PutMember(ctx, n.self()); err != nil {
		return err
	}
	n.beside(n.raiseLowWater)
	if err := n.startCoordinator(); err != nil {
		return err
	}
	n.started.Store(true)
	n.beside(n.watch)
	return nil
}

// ready is nil when the node can be counted on; else what is the matter.
func (n *Node) ready() error {
	if !n.started.Load() {
		return errors.New("the node is starting")
	}
	if err := n.storing(); err != nil {
		return err
	}
	return n.scheduler.Ready()
}

// awaitScrub returns when all messages have been read, or, when there are very
// many, lets that go on while the node serves.
func (n *Node) awaitScrub(scrubbed <-chan error) error {
	select {
	case err := <-scrubbed:
		return err
	case <-time.After(scrubPatience):
	}
	n.beside(func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case err := <-scrubbed:
			if err != nil {
				n.scheduler.Fail(err)
			}
		}
	})
	return nil
}

// later puts an action before all that Stop does so far.
func (n *Node) later(undo func()) { n.undo = append(n.undo, undo) }

// beside runs work until Stop, which waits for it.
func (n *Node) beside(work func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		work(ctx)
	}()
	n.later(func() {
		cancel()
		<-ended
	})
}

// startPython finds the interpreter; a worker starts with the first run.
func (n *Node) startPython() (exec.Runtime, error) {
	runtime, err := python.New(python.Config{
		Python: n.cfg.Python, Sandbox: python.Level(n.cfg.Sandbox), Env: n.cfg.FunctionEnv, Dir: n.dir.join("python"), Logger: n.cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	n.cfg.Logger.Info("functions run in a sandbox", "level", string(runtime.Level()), "python", runtime.Version())
	n.later(func() {
		if err := runtime.Close(); err != nil {
			n.cfg.Logger.Warn("Python did not end cleanly", "error", err)
		}
	})
	return runtime, nil
}

func (n *Node) startRaft(ctx context.Context) error {
	cfg := cluster.Config{
		Name: n.cfg.name(), Addr: n.cfg.RaftAddr, DontListen: n.cfg.DontListen, Dir: n.dir.path, Bootstrap: true,
		HeartbeatTimeout: n.cfg.Idle, Logger: n.cfg.Logger,
	}
	if n.cfg.Cluster != nil {
		n.meet(&cfg)
		if err := n.dir.remembersRaft(); err != nil {
			return err
		}
	}
	var err error
	if n.raft, err = cluster.Start(ctx, cfg); err != nil {
		return err
	}
	n.later(n.raft.Stop)
	waiting, cancel := context.WithTimeout(ctx, leaderTimeout)
	if n.cfg.Cluster != nil { // for the others, however long they take
		waiting, cancel = context.WithCancel(ctx)
	}
	defer cancel()
	if err := n.raft.WaitLeader(waiting); err != nil {
		return fmt.Errorf("raft found no leader: %w", err)
	}
	if n.cfg.Cluster == nil {
		return nil
	}
	return n.dir.noteMember()
}

func (n *Node) startScheduler(ctx context.Context, stream cluster.Stream) error {
	var err error
	n.scheduler, err = scheduler.New(scheduler.Config{
		Node: n.cfg.name(), Process: n.process, Version: n.cfg.Version,
		Prefix: wire.Prefix(n.cfg.Prefix), Log: n.log, Alone: n.cfg.Cluster == nil, Stream: stream.ID, LowWater: stream.LowWater, Bus: bus{n.nc},
		SnapshotFile: n.dir.join(snapshotFile), Housekeeping: n.cfg.Idle, AnnounceEvery: n.cfg.Idle, Logger: n.cfg.Logger,
	})
	if err != nil {
		return err
	}
	n.later(n.scheduler.Stop) // what a start that fails has begun is ended, too
	if err := n.scheduler.Start(ctx); err != nil {
		return n.foreign(err)
	}
	return n.raft.StreamCreated(ctx, stream.ID)
}

// startExecutor starts the node's own executor, if it has one, and returns when
// executors are known: without them there is nobody to give runs to, or to check
// code. In a cluster they are there already, and announce themselves; a node alone
// is what those of its own look for.
func (n *Node) startExecutor(ctx context.Context, runtime exec.Runtime) error {
	if !n.cfg.NoExec {
		if err := n.startOwnExecutor(ctx, runtime); err != nil {
			return err
		}
	}
	if n.cfg.Cluster == nil {
		return nil
	}
	return n.scheduler.WaitHeard(ctx)
}

func (n *Node) startOwnExecutor(ctx context.Context, runtime exec.Runtime) error {
	nc, err := n.nats.ExecutorConn(n.cfg.name())
	if err != nil {
		return err
	}
	executor, err := exec.New(exec.Config{
		Prefix: wire.Prefix(n.cfg.Prefix), Name: n.cfg.name(), Slots: n.cfg.Slots, AnnounceEvery: n.cfg.Idle, OwnerSilence: ownerIdles * n.cfg.Idle, Logger: n.cfg.Logger,
	}, nc, runtime)
	if err != nil {
		return err
	}
	if err := executor.Start(ctx); err != nil {
		return err
	}
	n.later(func() {
		stopping, cancel := context.WithTimeout(context.Background(), executorTimeout)
		defer cancel()
		if err := executor.Stop(stopping); err != nil {
			n.cfg.Logger.Warn("the executor did not stop cleanly", "error", err)
		}
	})
	waiting, cancel := context.WithTimeout(ctx, executorTimeout)
	defer cancel()
	if err := n.scheduler.WaitExecutor(waiting, n.cfg.name()); err != nil {
		return fmt.Errorf("the node's own executor did not join: %w", err)
	}
	return nil
}

func (n *Node) startService(ctx context.Context) error {
	js, err := jetstream.New(n.nc)
	if err != nil {
		return err
	}
	output, err := openOutput(ctx, js, n.outputConfig())
	if err != nil {
		return err
	}
	n.later(output.wakers.close)
	callers, err := n.nats.ServiceConn("api")
	if err != nil {
		return err
	}
	name := "" // a node alone passes nothing on
	var others service.Members
	if n.cfg.Cluster != nil {
		name, others = n.cfg.name(), &members{node: n}
	}
	s := service.New(service.Config{
		Callers: callers, Node: n.nc, Prefix: wire.Prefix(n.cfg.Prefix), Name: name, Scheduler: n.scheduler, Log: n.log, Version: n.cfg.Version, Logger: n.cfg.Logger,
		Status: n.status, Members: others, Output: output, Listen: bus{n.nc}.Listen,
	})
	if err := s.Start(); err != nil {
		return err
	}
	n.later(s.Stop)
	if n.broker == nil {
		return nil // whichever node answers, at a NATS that all share
	}
	n.later(n.broker.StopServing)
	return n.broker.ServeLocally()
}

func (n *Node) startWeb() (err error) {
	if n.cfg.DontListen {
		return nil
	}
	n.web, err = web.Start(web.Config{
		Addr: n.cfg.HTTPAddr, Ready: n.ready, Short: n.short,
		Metrics: newMetrics(n.scheduler), Logger: n.cfg.Logger,
	})
	if err != nil {
		return err
	}
	n.later(n.web.Stop)
	return nil
}

// httpAddr is "" for a node that does not listen.
func (n *Node) httpAddr() string {
	if n.web == nil {
		return ""
	}
	return n.web.Addr()
}

// raiseLowWater lets Raft remember how far the stream came, so that a shortened
// one is known as such.
func (n *Node) raiseLowWater(ctx context.Context) {
	tick := time.NewTicker(lowWaterIdles * n.cfg.Idle)
	defer tick.Stop()
	raised := uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		seq := n.scheduler.LastSeq()
		if seq == raised || !n.raft.IsLeader() { // one is enough
			continue
		}
		switch err := n.raft.RaiseLowWater(ctx, n.raft.State().Stream.ID, seq); {
		case ctx.Err() != nil:
			return
		case err != nil:
			n.cfg.Logger.Warn("the stream's low-water mark could not be raised; trying again", "error", err)
			continue
		}
		raised = seq
	}
}

// Ready is what the line "ready …" says: where callers find the node.
func (n *Node) Ready() string {
	if n.cfg.DontListen {
		return fmt.Sprintf("data=%s", n.cfg.DataDir)
	}
	return fmt.Sprintf("nats=%s http=http://%s raft=%s data=%s", n.nats.ClientURL(), n.web.Addr(), n.raft.Addr(), n.cfg.DataDir)
}

// CallerConn connects a program that embeds the node to its API, within the
// process; client.New makes a client of it. It is closed by Stop, and fails
// before Start has returned and after Stop.
func (n *Node) CallerConn(name string) (*nats.Conn, error) { return n.nats.CallerConn(name) }

// ExecutorConn connects the executor of the node's Name, within the process: for
// a program that brings its own, with Config.NoExec. Otherwise as CallerConn.
func (n *Node) ExecutorConn() (*nats.Conn, error) { return n.nats.ExecutorConn(n.cfg.name()) }

// Stop takes down what was started, in reverse, and returns when all is down,
// or with ctx's error when that takes too long. It may be called twice.
func (n *Node) Stop(ctx context.Context) error {
	if n.stopped {
		return nil
	}
	n.stopped = true
	down := make(chan struct{})
	go func() {
		defer close(down)
		for i := len(n.undo) - 1; i >= 0; i-- {
			n.undo[i]()
		}
	}()
	select {
	case <-down:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the node did not stop in time: %w", ctx.Err())
	}
}
