package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/exec/wire"
)

// Bus carries the wire of executors. A NATS connection of the node's identity
// does; simulation has its own.
type Bus interface {
	Publish(subject string, body []byte) error
	Request(ctx context.Context, subject string, body []byte) ([]byte, error)
	// Subscribe calls handle for each message, in order, from one goroutine.
	Subscribe(subject string, handle func(subject string, body []byte)) (stop func(), err error)
}

// Config says what a Scheduler works with.
type Config struct {
	// Node is the name of this node and of its lane.
	Node string
	// Process names this process; a new one for each start.
	Process string
	// Version of the program, for the log.
	Version string
	// Log is the event stream.
	Log eventlog.Log
	// Alone says that no other node writes to the stream: it need not be
	// followed, and a message that is not ours is damage.
	Alone bool
	// Stream is the incarnation that the stream must have; its genesis is
	// written under this name if the stream is empty and LowWater is 0.
	Stream string
	// LowWater is a sequence that the stream is known to have reached.
	LowWater uint64
	// Bus carries the wire of executors.
	Bus Bus
	// Prefix of the subjects on it. Defaults to wire.DefaultPrefix.
	Prefix wire.Prefix
	// SnapshotFile is where snapshots are kept; none are if it is "".
	SnapshotFile string
	// SnapshotEvents is after how many events a new snapshot is made.
	// Defaults to 50,000: what folds again in well under a second.
	SnapshotEvents int
	// SnapshotEvery is the longest time between snapshots when anything
	// happened. Defaults to 5 minutes.
	SnapshotEvery time.Duration
	// AuditEvery is after how many messages nodes compare what they made of a
	// partition, another one each time. Defaults to 4,096: the encoding of 1/64
	// of the state then costs less than a hundredth of folding them.
	AuditEvery uint64
	// Housekeeping is the interval of what time brings about without an event:
	// lost executors, the clock's jumps, demand, a look at the stream. Defaults
	// to 1 s.
	Housekeeping time.Duration
	// AnnounceEvery is the interval of executors' signs of life; after five
	// that are missed one is lost. Defaults to wire.AnnounceEvery.
	AnnounceEvery time.Duration
	// Clock tells the time of day by which things are due. Defaults to
	// time.Now; tests make it jump.
	Clock func() time.Time
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

// WithDefaults fills what is absent.
func (c Config) WithDefaults() Config {
	if c.SnapshotEvents == 0 {
		c.SnapshotEvents = 50_000
	}
	if c.SnapshotEvery == 0 {
		c.SnapshotEvery = 5 * time.Minute
	}
	if c.AuditEvery == 0 {
		c.AuditEvery = 4096
	}
	if c.Housekeeping == 0 {
		c.Housekeeping = time.Second
	}
	if c.AnnounceEvery == 0 {
		c.AnnounceEvery = wire.AnnounceEvery
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// lostAfter is the silence after which an executor is taken for gone.
func (c Config) lostAfter() time.Duration {
	return wire.LostAfter / wire.AnnounceEvery * c.AnnounceEvery
}

// Validate says what is missing.
func (c Config) Validate() error {
	switch {
	case c.Node == "", c.Process == "", c.Stream == "":
		return errors.New("scheduler: node, process and stream need names")
	case c.Log == nil, c.Bus == nil:
		return errors.New("scheduler: a log and a bus are needed")
	}
	return nil
}

// Limits of the loops, each with its reason.
const (
	// inboxLength is how many commands may wait for the loop: some
	// milliseconds of work. Whoever finds it full waits outside.
	inboxLength = 4096
	// ackedLength is how many messages the committer and a refold can have on
	// their way to the loop, so that neither outlives it.
	ackedLength = 4
	// streamLength is how many followed messages may wait for the loop: some,
	// since what it does with one takes about as long as reading one.
	streamLength = 64
	// turnMax is how many messages one turn of the loop takes before it looks
	// at timers and seals: it bounds what one turn delays.
	turnMax = 512
	// openBytesMax is how much decided and not yet stored work may pile up
	// while the log is slow; then the loop takes no more.
	openBytesMax = 8 * eventlog.CommitBytesMax
	// holdMax bounds how long a commit waits for more to gather: about an
	// fsync, which is what it saves.
	holdMax = time.Millisecond
	// appendBackoffMax bounds the wait between tries of one append: it comes on
	// top of the election of a leader.
	appendBackoffMax = 250 * time.Millisecond
	// stopAppendMax is how long the end waits for a commit that is on its way.
	stopAppendMax = 2 * time.Second
	// infoMax bounds a question for the stream's last sequence.
	infoMax = 2 * time.Second
	// followAgainAfter is the pause before reading of the stream that was cut
	// short is begun again.
	followAgainAfter = 100 * time.Millisecond
	// resendAfter is how many signs of life of its executor an attempt may be
	// missing from before it is sent again.
	resendAfter = 2
)

// Ends of a scheduler.
var (
	// ErrFenced: another process of this node has opened the lane.
	ErrFenced = errors.New("another process has opened this node's lane: this one ends")
	// ErrForeign: the stream was made by another cluster than this node's.
	ErrForeign = errors.New("it is another Belfry's")
	// ErrStopped: the scheduler ends or has ended.
	ErrStopped = errors.New("the node is stopping")
	// errDisplaced: partitions were taken from this node while a commit was
	// open, which so was never stored.
	errDisplaced = errors.New("the commit was not stored: partitions were taken from this node")
	// errDisplacedPartly: the same, but the first of several commits were stored.
	errDisplacedPartly = errors.New("some of the commits were not stored: partitions were taken from this node")
)
