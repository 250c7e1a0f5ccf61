package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/coordinator"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/node/service"
)

// stream is the incarnation of every simulated stream.
const stream = "01SIMULATION"

// node is a member of the simulated cluster, through all its processes.
type node struct {
	w    *World
	name string
	skew atomic.Int64 // of its clock, in nanoseconds

	mu       sync.Mutex
	procs    []*process // those that decide: a second one fences the first
	starting *process   // the newest one that does not yet
}

// process is one life of a node.
type process struct {
	node *node
	life *life
	*scheduler.Scheduler
	service *service.Service
	quiet   sync.Once                // stops the service
	begun   context.CancelFunc       // ends a start that is under way
	part    *coordinator.Coordinator // nil if the nemesis alone moves partitions
	duty    chan struct{}            // holds a token while it does the duty of a leader
}

// errCrash is what kill -9 is to a process.
var errCrash = errors.New("crash")

func (n *node) snapshot() string { return filepath.Join(n.w.dir, n.name+".snapshot") }

func (n *node) clock() time.Time { return time.Now().Add(time.Duration(n.skew.Load())) }

// process returns the newest process that decides, nil if there is none.
func (n *node) process() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.procs) == 0 {
		return nil
	}
	return n.procs[len(n.procs)-1]
}

// boot starts a process. It returns when that decides, or could not start.
func (n *node) boot() *process {
	w := n.w
	l := w.newLife(n.name)
	p := &process{node: n, life: l, duty: make(chan struct{}, 1)}
	log, bus := w.log(n, l), w.net.endpoint(l)
	var err error
	p.Scheduler, err = scheduler.New(scheduler.Config{
		Node: n.name, Process: l.name, Version: "sim", Log: log, Stream: stream,
		Bus: bus, SnapshotFile: n.snapshot(), SnapshotEvents: w.plan.snapshotEvents,
		SnapshotEvery: 60 * w.plan.scale, Housekeeping: w.plan.scale, AnnounceEvery: w.plan.scale,
		AuditEvery: 8, Clock: n.clock, Logger: w.logger(n.name),
	})
	if err == nil && w.council != nil {
		err = w.council.join(p, bus)
	}
	if err != nil {
		w.broken("%v", err)
		return nil
	}
	ctx, cancel := context.WithDeadline(context.Background(), w.end())
	defer cancel()
	p.begun = cancel
	n.mu.Lock()
	n.starting = p
	n.mu.Unlock()
	err = p.Start(ctx)
	if err == nil {
		err = p.serve(log)
	}
	if err == nil && p.part != nil {
		err = p.part.Start()
	}
	n.mu.Lock()
	if n.starting == p {
		n.starting = nil
	}
	if err == nil {
		n.procs = append(n.procs, p)
	}
	n.mu.Unlock()
	if err != nil {
		l.die()
		p.Stop()
		if !errors.Is(err, errCut) && !errors.Is(err, errLog) && !errors.Is(err, context.Canceled) {
			w.broken("node %s does not start: %v", n.name, err)
		}
		return nil
	}
	if l.severed() {
		p.crash() // it was killed in the moment in which it was there
	}
	go n.mourn(p)
	return p
}

// serve has the process answer clients, and other nodes.
func (p *process) serve(log eventlog.Log) error {
	w, name := p.node.w, p.node.name
	wire := w.net.endpoint(p.life)
	p.service = service.New(service.Config{
		Name: name, Node: wire, Listen: wire.Hear, Scheduler: p.Scheduler, Log: log, Logger: w.logger(name),
		Status: func(context.Context, *api.ClusterStatus) {},
	})
	return p.service.Start()
}

// Stop ends the process in good order.
func (p *process) Stop() {
	p.quiet.Do(func() {
		if p.service != nil {
			p.service.Stop()
		}
	})
	p.Scheduler.Stop()
}

// mourn waits for a process's end, and says whether it may have ended so.
func (n *node) mourn(p *process) {
	<-p.Done()
	n.forget(p)
	if err := p.Err(); err != nil && !errors.Is(err, errCrash) && !errors.Is(err, scheduler.ErrFenced) {
		n.w.broken("the process of node %s ended: %v", n.name, err)
	}
	p.life.die()
	if p.part != nil {
		p.part.Stop()
	}
	p.Stop()
}

func (n *node) forget(p *process) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.procs = slices.DeleteFunc(n.procs, func(q *process) bool { return q == p })
}

// crash ends what there is of a node as kill -9 does: at once, wherever it is.
func (n *node) crash() {
	n.mu.Lock()
	procs, starting := slices.Clone(n.procs), n.starting
	n.mu.Unlock()
	if starting != nil {
		starting.life.die()
		starting.begun()
	}
	for _, p := range procs {
		p.crash()
	}
}

func (p *process) crash() {
	p.life.die()
	p.Fail(errCrash)
	<-p.Done()
	p.node.forget(p)
}

// loseSnapshot has the next process begin from nothing.
func (n *node) loseSnapshot() { _ = os.Remove(n.snapshot()) }

// open has the node's own process be there, however long it takes.
func (n *node) open() {
	for n.process() == nil && !n.w.late() {
		if n.boot() == nil {
			time.Sleep(n.w.plan.scale)
		}
	}
}

// owned are the partitions that a process believes to be its node's.
func (p *process) owned() (mine []int) {
	for n, owner := range p.Owners() {
		if owner == p.node.name {
			mine = append(mine, n)
		}
	}
	return mine
}

// logger keeps what processes say, for who looks for the cause of a failure.
func (w *World) logger(name string) *slog.Logger {
	if w.talk == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w.talk, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", name)
}

// log is the stream as a process sees it.
func (w *World) log(n *node, l *life) eventlog.Log {
	var log eventlog.Log = lossyLog{w.store.With(l.faults()), l}
	if w.plant.log != nil {
		log = w.plant.log(n.name, log)
	}
	return log
}

// nextName is a name that was never given: the next of its kind.
func (w *World) nextName(of string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[of]++
	return fmt.Sprintf("%s-%d", of, w.names[of])
}
