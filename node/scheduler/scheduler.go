package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
)

// Scheduler decides for the partitions that its node owns.
type Scheduler struct {
	cfg Config
	log *slog.Logger

	// mu guards state and open. The loop writes, readers share.
	mu    sync.RWMutex
	state *projection.State
	// open are the commits that are not yet stored, oldest first; the last
	// one may still gather. The slice is replaced, never changed, so that a
	// Horizon can keep it.
	open []*commit

	// What follows belongs to the loop.
	commits    uint64     // numbers commits
	filling    *commit    // takes new events; nil if the next event begins one
	sending    *commit    // with the committer; nil if it is idle
	answered   int        // orders in the last stored commit
	holdUntil  time.Time  // the next one may wait for more until then
	folded     uint64     // every message up to here is in the state
	ahead      []*commit  // stored beyond folded, in order
	laneSeq    uint64     // the last message of our lane that we folded or appended
	epochs     int        // counts changes of what we own
	displaced  bool       // open commits cannot be stored: fold again
	refolding  bool       // that is under way
	seen       uint64     // the highest message that came while displaced
	unsent     []*attempt // whose claims are stored and not yet folded up to
	pools      map[string]*pool
	execs      map[string]*executor
	attempts   map[string]*attempt // open ones, by run
	cancels    map[string]*cancelRequest
	waiters    map[string][]chan struct{} // for the end of runs
	watchers   map[string][]chan struct{} // for whatever happens to runs
	awaited    []executorAwaited
	listening  time.Time // since when we hear executors
	listened   time.Time // and since when without a break
	kept       time.Time // when we last kept house
	tellBy     time.Time // when a demand is to follow; zero: none is
	watchedSeq uint64    // the last sequence that the server told
	// holes is the doubt whether the stream has any.
	holes  eventlog.Doubt
	snap   snapshotter
	reads  barrier
	hashes map[uint64]*comparison

	schedules chan struct{} // a place for each question of a run's code under way

	inbox  chan message
	stream chan message // what is followed
	acked  chan message // of the committer
	sealed chan sealed
	stats  Stats
	ids    *idSource

	stop context.CancelCauseFunc // of the loops
	// within bounds what is asked of others, which ends with the loops, too.
	within  func(time.Duration) (context.Context, context.CancelFunc)
	stopped chan struct{} // closed when nothing is decided any more
	loops   sync.WaitGroup
	cause   atomic.Pointer[error]
	// objection is the first event that must not be: no claims follow it.
	objection atomic.Pointer[error]
	// held: nothing that is due is taken. It changes under mu only.
	held      atomic.Bool
	unsub     []func()
	departure atomic.Pointer[departure]
	stopping  atomic.Bool
	ended     chan struct{} // closed when the first Stop returns
}

// message is something for the loop to handle.
type message interface{ handle(*Scheduler) }

// New makes a scheduler that does nothing yet.
func New(cfg Config) (*Scheduler, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Scheduler{
		cfg: cfg, log: cfg.Logger,
		pools: map[string]*pool{}, execs: map[string]*executor{},
		attempts: map[string]*attempt{}, cancels: map[string]*cancelRequest{},
		waiters: map[string][]chan struct{}{}, watchers: map[string][]chan struct{}{}, hashes: map[uint64]*comparison{},
		inbox: make(chan message, inboxLength), stream: make(chan message, streamLength), acked: make(chan message, ackedLength), sealed: make(chan sealed, 1),
		schedules: make(chan struct{}, schedulesMax),
		stopped:   make(chan struct{}), ended: make(chan struct{}), ids: newIDSource(),
	}
	s.departure.Store(newDeparture())
	return s, nil
}

// Start folds the log, opens the lane and begins to decide. It returns when
// that is done; the stream that is not what it was is eventlog.ErrDamaged.
func (s *Scheduler) Start(ctx context.Context) error {
	if err := s.recover(ctx); err != nil {
		return err
	}
	if err := s.openLane(ctx); err != nil {
		return err
	}
	for p := range eventlog.Partitions {
		s.takeUp(p)
	}
	s.snap.last, s.listened = time.Now(), time.Now()
	s.stats.heard.Store(time.Now().UnixMilli()) // it answered when the lane was opened
	looping, stop := context.WithCancelCause(context.Background())
	s.stop = stop
	s.within = func(d time.Duration) (context.Context, context.CancelFunc) { return context.WithTimeout(looping, d) }
	// The committer outlives the loop's last turn, which stores what is open.
	committing, stopCommits := context.WithCancel(context.Background())
	s.loops.Go(func() {
		defer stopCommits()
		s.loop(looping)
	})
	s.loops.Go(func() { s.commitLoop(committing) })
	s.loops.Go(func() { s.watch(looping) })
	if !s.cfg.Alone {
		from := s.folded + 1
		s.loops.Go(func() { s.follow(looping, from) })
	}
	return s.listen()
}

// Stop ends deciding, waits for what is being stored, writes a snapshot, and
// returns when all loops have ended. It may be called twice.
func (s *Scheduler) Stop() {
	if s.stopping.Swap(true) {
		<-s.ended
		return
	}
	defer close(s.ended)
	for _, unsub := range s.unsub {
		unsub()
	}
	if s.stop != nil {
		s.stop(ErrStopped)
		s.loops.Wait()
		s.lastSnapshot()
	}
}

// Fail ends this process's deciding for good: it was fenced, or the log is not
// what it was.
func (s *Scheduler) Fail(err error) {
	s.cause.CompareAndSwap(nil, &err)
	s.stop(err)
}

// Done is closed when the scheduler has ended, by Stop or by itself.
func (s *Scheduler) Done() <-chan struct{} { return s.stopped }

// Err is why the scheduler ended by itself; nil otherwise.
func (s *Scheduler) Err() error {
	if err := s.cause.Load(); err != nil {
		return *err
	}
	return nil
}

// loop is the decider. Everything that changes the state happens in it.
func (s *Scheduler) loop(ctx context.Context) {
	defer close(s.stopped)
	timer := time.NewTimer(0)
	defer timer.Stop()
	tick := time.NewTicker(s.cfg.Housekeeping)
	defer tick.Stop()
	for {
		inbox, stream := s.inbox, s.stream
		if s.deaf() {
			inbox = nil // let what is open be stored first
		}
		if s.displaced {
			stream = nil // it is folded from its beginning anyway
		}
		var m message
		select {
		case <-ctx.Done():
			s.drain()
			return
		case m = <-s.acked:
		case m = <-stream:
		case m = <-inbox:
		case <-timer.C:
		case <-tick.C:
			m = housekeep{}
		}
		s.turn(ctx, m)
		s.arm(timer)
	}
}

// turn handles a message and those that wait behind it, then what is due.
func (s *Scheduler) turn(ctx context.Context, m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := 0; m != nil; n++ {
		m.handle(s)
		if m = nil; n < turnMax {
			m = s.nextMessage()
		}
	}
	if s.displaced {
		s.refold(ctx)
	}
	if !s.snap.draining && !s.displaced && !s.held.Load() {
		s.takeDue()
		s.claim()
	}
	s.demandNow()
	s.seal()
	s.snapshotStep()
}

// nextMessage is one that waits, nil if none does: what is in the log first.
func (s *Scheduler) nextMessage() (m message) {
	if s.displaced {
		return nil
	}
	select {
	case m = <-s.stream:
		return m
	default:
	}
	if s.deaf() {
		return nil
	}
	select {
	case m = <-s.inbox:
	default:
	}
	return m
}

// drain stores what is decided, for a moment, at the end.
func (s *Scheduler) drain() {
	if s.Err() != nil {
		return
	}
	timeout := time.NewTimer(stopAppendMax)
	defer timeout.Stop()
	for {
		s.mu.Lock()
		s.holdUntil = time.Time{} // nothing more gathers
		s.seal()
		left := len(s.open)
		lost := s.displaced
		s.mu.Unlock()
		if left == 0 || lost {
			return
		}
		select {
		case m := <-s.acked:
			s.mu.Lock()
			m.handle(s)
			s.mu.Unlock()
		case m := <-s.stream: // it may tell of our own commit
			s.mu.Lock()
			m.handle(s)
			s.mu.Unlock()
		case <-timeout.C:
			s.log.Warn("stopped with commits whose outcome is unknown", "commits", left)
			return
		}
	}
}

// arm sets the timer to the next due time.
func (s *Scheduler) arm(timer *time.Timer) {
	wait := time.Duration(-1)
	// While draining nothing is taken; while the log is far behind, its
	// acknowledgement wakes; while claims are held, HoldClaims does.
	if due, any := s.state.NextDue(); any && !s.deaf() && !s.held.Load() {
		wait = max(0, due.Std().Sub(s.cfg.Clock()))
	}
	if s.sending == nil && len(s.open) > 0 && !s.displaced { // it is held
		if held := max(0, time.Until(s.holdUntil)); wait < 0 || wait > held {
			wait = held
		}
	}
	if !s.tellBy.IsZero() && (wait < 0 || wait > time.Until(s.tellBy)) {
		wait = max(0, time.Until(s.tellBy))
	}
	if s.snap.sections != nil && (wait < 0 || wait > snapshotPace) {
		wait = snapshotPace
	}
	if wait < 0 {
		timer.Stop()
		return
	}
	timer.Reset(wait)
}

// deaf says that the loop takes no messages but acknowledgements.
func (s *Scheduler) deaf() bool {
	return s.snap.draining || s.displaced || s.openBytes() > openBytesMax
}

func (s *Scheduler) openBytes() (n int) {
	for _, c := range s.open {
		n += c.size
	}
	return n
}

// HoldClaims has nothing claimed any more, and no occurrence decided, when it
// returns, until it is called again with false; then what became due meanwhile is
// taken at once. It is for who finds that this node's clock is wrong: all else
// goes on. It is safe for concurrent use, and waits for a turn of the loop at most.
func (s *Scheduler) HoldClaims(held bool) {
	s.mu.Lock() // a turn that looked before has ended
	s.held.Store(held)
	s.mu.Unlock()
	select {
	case s.inbox <- awake{}:
	default: // full: there is a turn to come
	}
}

// awake has the loop look at what is due.
type awake struct{}

func (awake) handle(*Scheduler) {}

func (s *Scheduler) now() eventlog.Time { return eventlog.TimeOf(s.cfg.Clock()) }

// unheardMax is for how many housekeepings, a second each, the stream may not
// answer before a node among others says so: a change of leader costs less.
const unheardMax = 3

// Ready is nil when commands are taken and stored; else what is the matter.
func (s *Scheduler) Ready() error {
	if err := s.Sound(); err != nil {
		return err
	}
	if heard := time.UnixMilli(s.stats.heard.Load()); !s.cfg.Alone && time.Since(heard) > unheardMax*s.cfg.Housekeeping {
		return fmt.Errorf("no leader of the event stream that hears most of its servers has answered since %s", heard.UTC().Format(eventlog.TimeLayout))
	}
	if since := s.stats.unknownSince.Load(); since != 0 {
		return fmt.Errorf("the outcome of an append has been unknown since %s", time.UnixMilli(since).UTC().Format(eventlog.TimeLayout))
	}
	return nil
}

// Sound is Ready but for what passes by itself, such as a log that does not
// answer just now: what it says is a reason to own nothing.
func (s *Scheduler) Sound() error {
	if err := s.Err(); err != nil {
		return err
	}
	select {
	case <-s.stopped:
		return ErrStopped
	default:
	}
	if err := s.objection.Load(); err != nil {
		return fmt.Errorf("the log holds what must not be, so nothing is claimed any more: %w", *err)
	}
	return nil
}
