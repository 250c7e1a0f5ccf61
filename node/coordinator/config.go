package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/belfryhq/belfry/node/cluster"
)

// Bus carries signs of life: a NATS connection of the node's identity.
type Bus interface {
	Publish(subject string, body []byte) error
	// Subscribe calls handle for each message, in order, from one goroutine. What
	// this bus publishes is among them.
	Subscribe(subject string, handle func(subject string, body []byte)) (stop func(), err error)
}

// Agreement is what the members agree on: cluster.Cluster.
type Agreement interface {
	State() cluster.State
	PutPlan(ctx context.Context, plan cluster.Plan) error
}

// Mover moves partitions, in the event log: scheduler.Scheduler, with the errors
// of that package.
type Mover interface {
	Owners() [cluster.Partitions]string
	GiveAway(ctx context.Context, to string, partitions []int) error
	TakeFrom(ctx context.Context, gone string, to map[string][]int) error
}

// Config says what a Coordinator works with.
type Config struct {
	// Node is the name of this node, and Process that of this process.
	Node, Process string
	// Bus carries signs of life.
	Bus Bus
	// Prefix of their subject. Defaults to belfry.
	Prefix string
	// Agreement holds members and plan.
	Agreement Agreement
	// Mover moves partitions.
	Mover Mover
	// Beat is the interval of signs of life, and of looking at the plan. Defaults
	// to 250 ms.
	Beat time.Duration
	// Silence is how long a node must not have been heard to be taken for gone.
	// Defaults to six beats, 1.5 s: five may be lost.
	Silence time.Duration
	// GapMax is for how long our own beats may not come back before what we did
	// not hear means nothing. Defaults to half of Silence: others' beats, too, are
	// that late at most then.
	GapMax time.Duration
	// Portion is how many partitions are given away at a time, a beat apart, when
	// the plan wants it. Defaults to 8: a node that joins three has its share in
	// half a second, and never much is between two owners.
	Portion int
	// ClockOff is how far a clock may be from the median of three or more, before
	// its node gives its partitions away. Defaults to 250 ms. Within half of it a
	// clock that was off is well again.
	ClockOff time.Duration
	// MovePatience bounds one move or change of plan; what did not succeed until
	// then is looked at anew. Defaults to ten silences.
	MovePatience time.Duration
	// Ready says what keeps this node from deciding; nil if nothing does. What it
	// says moves partitions, so it should not waver. Defaults to nothing.
	Ready func() error
	// Gone says that a node's process has certainly ended, so that its silence
	// need not be waited for. It is asked, within a beat, of who missed one.
	// Defaults to knowing nothing.
	Gone func(ctx context.Context, node string) bool
	// Hold is told when this node must take nothing that is due, as its clock is
	// off or has jumped and is measured anew, and when it may again: true, then
	// false, from one goroutine. It should return soon. Defaults to nothing.
	Hold func(held bool)
	// Clock tells the time of day. Defaults to time.Now; tests make it jump.
	Clock func() time.Time
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

// WithDefaults fills what is absent.
func (c Config) WithDefaults() Config {
	if c.Prefix == "" {
		c.Prefix = "belfry"
	}
	if c.Beat == 0 {
		c.Beat = 250 * time.Millisecond
	}
	if c.Silence == 0 {
		c.Silence = 6 * c.Beat
	}
	if c.GapMax == 0 {
		c.GapMax = c.Silence / 2
	}
	if c.Portion == 0 {
		c.Portion = 8
	}
	if c.ClockOff == 0 {
		c.ClockOff = 250 * time.Millisecond
	}
	if c.MovePatience == 0 {
		c.MovePatience = 10 * c.Silence
	}
	if c.Ready == nil {
		c.Ready = func() error { return nil }
	}
	if c.Gone == nil {
		c.Gone = func(context.Context, string) bool { return false }
	}
	if c.Hold == nil {
		c.Hold = func(bool) {}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Validate says what is missing, or cannot work together.
func (c Config) Validate() error {
	switch {
	case c.Node == "" || c.Process == "":
		return errors.New("coordinator: node and process need names")
	case c.Bus == nil || c.Agreement == nil || c.Mover == nil:
		return errors.New("coordinator: a bus, an agreement and a mover are needed")
	case c.Beat < 0 || c.Portion < 0 || c.ClockOff < 0:
		return errors.New("coordinator: beat, portion and clock offset must be positive")
	case c.GapMax < 2*c.Beat || c.Silence < c.GapMax+2*c.Beat:
		return fmt.Errorf("coordinator: beat %s, gap %s, silence %s: a gap needs two beats, a silence two more", c.Beat, c.GapMax, c.Silence)
	}
	return nil
}

const (
	// missedPercent is how much of a beat goes by before it is missed.
	missedPercent = 120
	// spareSilences is for how many silences a node is left alone after its lane
	// has shown that it lives.
	spareSilences = 1
	// strangerSilences is how long a node that is no member any more may take to
	// give away what it owns, if it is still heard: it may not know.
	strangerSilences = 4
)
