package exec

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/oklog/ulid/v2"

	"github.com/belfryhq/belfry/exec/wire"
)

// Causes for which a run's context ends.
var (
	errCanceled = errors.New("canceled by its owner")
	errStopping = errors.New("the executor stopped before the run ended")
	errStream   = errors.New("the event stream is another one")
)

// Executor executes runs. Its connection needs to publish announce, result,
// schedule and logs subjects of its name, and to subscribe run and exec subjects of its
// name, and nothing else; see exec/wire.
type Executor struct {
	cfg     Config
	bus     Bus
	runtime Runtime

	mu sync.Mutex // one Start or Stop at a time; they alone change what follows

	statsMu sync.Mutex // of session and last, so that Stats need not wait for a Stop
	session *session   // nil while stopped
	last    Stats      // of the session before
}

// New makes an executor. The connection and the runtime stay the caller's to
// close, after Stop.
func New(cfg Config, nc *nats.Conn, runtime Runtime) (*Executor, error) {
	return NewOn(cfg, natsBus{nc}, runtime)
}

// NewOn is New on any Bus.
func NewOn(cfg Config, bus Bus, runtime Runtime) (*Executor, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Executor{cfg: cfg, bus: bus, runtime: runtime}, nil
}

// Start begins to listen, as a new incarnation, and returns once the server
// knows of it. It does nothing while the executor runs. ctx bounds the start
// alone.
func (e *Executor) Start(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session != nil {
		return nil
	}
	s := newSession(e.cfg, e.bus, e.runtime)
	if err := s.start(ctx); err != nil {
		return err
	}
	e.statsMu.Lock()
	defer e.statsMu.Unlock()
	e.session = s
	return nil
}

// Stop ends the incarnation: it takes no more runs, hands back what is queued,
// gives what runs Config.Grace to end and then ends it, and waits a moment for
// its last reports to be stored. If ctx ends, it waits for nothing any more.
// It does nothing if the executor does not run.
func (e *Executor) Stop(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session == nil {
		return nil
	}
	err := e.session.shutdown(ctx)
	e.statsMu.Lock()
	defer e.statsMu.Unlock()
	e.last = e.session.snapshot()
	e.session = nil
	return err
}

// session is one incarnation: everything between a Start and a Stop.
type session struct {
	cfg         Config
	bus         Bus
	runtime     Runtime
	log         *slog.Logger
	incarnation string
	inbox       chan *nats.Msg
	unlisten    []func()
	online      chan nats.Status // a status each time the connection is back
	checks      chan struct{}    // a place for each check that may be under way
	ctx         context.Context  //nolint:containedctx // the session is a lifetime: runs and goroutines end with it
	cancel      context.CancelCauseFunc
	wg          sync.WaitGroup
	wake        chan struct{} // beat should look at its times anew
	moved       chan struct{} // while leaving: an attempt ended or was forgotten

	mu       sync.Mutex
	ready    *sync.Cond // something is queued, or the session is closed
	closed   bool       // slots take no more runs and end
	leaving  bool       // no run is accepted any more
	fence    *fence
	hold     *hold
	codes    *codes
	owners   map[string]*owner
	pace     pace
	stats    counters
	standing standing
	taken    time.Time                           // when a slot last took a run
	asked    map[uint64]chan wire.ScheduleAnswer // items that runs wait for, by number
	asks     uint64                              // numbers them

	connection   int // how often it was lost
	windows      map[string]int
	announced    map[string]int // windows of the last announcement
	short        bool           // a window was cut for what is held beyond others
	divided      time.Time      // when windows were last looked at
	lastAnnounce time.Time
	nextAnnounce time.Time
	alarm        time.Time // when beat wakes by itself
}

func newSession(cfg Config, bus Bus, runtime Runtime) *session {
	s := &session{
		cfg: cfg, bus: bus, runtime: runtime,
		incarnation: ulid.MustNew(ulid.Now(), rand.Reader).String(),
		inbox:       make(chan *nats.Msg, inboxMax),
		checks:      make(chan struct{}, checksMax),
		wake:        make(chan struct{}, 1),
		moved:       make(chan struct{}, 1),
		fence:       newFence(""), hold: newHold(), codes: newCodes(), owners: map[string]*owner{},
		standing: newStanding(), asked: map[uint64]chan wire.ScheduleAnswer{},
	}
	s.log = cfg.Logger.With("executor", cfg.Name, "incarnation", s.incarnation)
	s.ready = sync.NewCond(&s.mu)
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

func (s *session) start(ctx context.Context) error {
	s.online = s.bus.StatusChanged(nats.CONNECTED)
	for _, subject := range []string{
		s.cfg.Prefix.RunSubject(s.cfg.Pool, s.cfg.Name),
		s.cfg.Prefix.ExecSubject(s.cfg.Name, ">"),
	} {
		// One channel for all keeps the order in which messages arrive.
		stop, err := s.bus.Listen(subject, s.inbox)
		if err != nil {
			s.close()
			return fmt.Errorf("exec: cannot subscribe %s: %w", subject, err)
		}
		s.unlisten = append(s.unlisten, stop)
	}
	if err := s.flush(ctx); err != nil {
		s.close()
		return fmt.Errorf("exec: NATS does not answer: see that it is up: %w", err)
	}
	now := time.Now()
	s.nextAnnounce = now
	s.wg.Go(s.receive)
	s.wg.Go(s.beat)
	for range s.cfg.Slots {
		s.wg.Go(s.slot)
	}
	s.log.Info("executor started", "pool", s.cfg.Pool, "slots", s.cfg.Slots)
	return nil
}

// close ends all goroutines and subscriptions, and waits for them.
func (s *session) close() {
	s.disconnect()
	s.wg.Wait()
}

// disconnect tells all goroutines to end, and listens no more.
func (s *session) disconnect() {
	for _, stop := range s.unlisten {
		stop()
	}
	s.bus.RemoveStatusListener(s.online)
	s.cancel(errStopping)
	s.mu.Lock()
	s.closed = true
	s.ready.Broadcast()
	s.mu.Unlock()
}

// flush waits until the server has seen all that was sent.
func (s *session) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushMax)
	defer cancel()
	return s.bus.FlushWithContext(ctx)
}
