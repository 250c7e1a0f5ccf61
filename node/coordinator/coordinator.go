package coordinator

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/belfryhq/belfry/node/cluster"
)

// ErrRemoved is why a node's part has ended: it is no member any more. It owns
// nothing, or nobody was there to give it to, and should stop deciding.
var ErrRemoved = errors.New("this node was removed from the cluster: to join again it needs another name and an empty data directory")

// Coordinator is one node's part in who owns what.
type Coordinator struct {
	cfg  Config
	born time.Time

	mu      sync.Mutex // guards what follows
	ears    ears
	clocks  clocks
	leaving bool
	owners  cluster.Plan // at the last look, for moved
	moved   []Move

	held bool // by lookAtClocks: what Hold was told last

	spared    map[string]time.Time // by Duty: until when nothing is taken from a node
	strangers map[string]time.Time // by Duty: since when a node that owns is no member

	beating chan struct{} // holds a token while a sign of life is made and sent
	giving  chan struct{} // holds a token while something is given away
	removed chan struct{} // closed when ErrRemoved holds

	stop  context.CancelFunc
	unsub func()
	loops sync.WaitGroup
	once  sync.Once
}

// New makes a Coordinator that does nothing yet.
func New(cfg Config) (*Coordinator, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Coordinator{
		cfg: cfg, born: time.Now(),
		ears:   ears{silence: cfg.Silence, gapMax: cfg.GapMax, nodes: map[string]sign{}, ended: map[string]bool{}},
		clocks: clocks{off: cfg.ClockOff, apart: cfg.Beat / 2, stale: cfg.Silence, samples: map[string]*samples{}},
		spared: map[string]time.Time{}, strangers: map[string]time.Time{},
		beating: make(chan struct{}, 1), giving: make(chan struct{}, 1), removed: make(chan struct{}),
	}, nil
}

// Start begins to give signs of life, to hear those of others, and to follow the
// plan. Call it when the Mover decides: from then on the node may be given
// partitions. It returns when the first sign is out.
func (c *Coordinator) Start() error {
	unsub, err := c.cfg.Bus.Subscribe(c.cfg.aliveSubject(), c.hear)
	if err != nil {
		return err
	}
	c.unsub = unsub
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.beatNow()
	c.loops.Go(func() {
		c.each(ctx, func() {
			c.lookAtClocks()
			c.lookAtOwners()
			c.beatNow()
		})
	})
	c.loops.Go(func() { c.followPlan(ctx) })
	return nil
}

// each does something at each beat, until ctx ends.
func (c *Coordinator) each(ctx context.Context, do func()) {
	tick := time.NewTicker(c.cfg.Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// Stop ends signs of life and giving, and returns when both have ended. It gives
// nothing away: Leave does, before. It may be called twice, and without Start.
func (c *Coordinator) Stop() {
	c.once.Do(func() {
		if c.stop != nil {
			c.stop()
			c.unsub()
		}
	})
	c.loops.Wait()
}

// Done is closed when the node should stop deciding: see Err.
func (c *Coordinator) Done() <-chan struct{} { return c.removed }

// Err is ErrRemoved once Done is closed, else nil.
func (c *Coordinator) Err() error {
	select {
	case <-c.removed:
		return ErrRemoved
	default:
		return nil
	}
}

// candidates are the members that may be given partitions, sorted. One that is to
// be removed may not.
func (c *Coordinator) candidates(state cluster.State) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for name := range state.Members {
		if !state.Leaving[name] && c.ears.takes(name, now) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
