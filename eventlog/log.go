package eventlog

import (
	"context"
	"errors"
	"fmt"
)

// Message is a stored commit.
type Message struct {
	Seq  uint64 // of the stream, from 1
	Lane string // the node in whose lane it stands
	ID   string // the commit's
	Body []byte
}

// Info describes a stream.
type Info struct {
	FirstSeq uint64 // 1 until history is cut; LastSeq+1 when there is none
	LastSeq  uint64
	Messages uint64
	Deleted  uint64 // holes
	Bytes    uint64
	Replicas int
	Heard    int    // of the replicas, those that the leader hears, itself included
	Leader   string // the server that leads, "" for a server alone
}

// Majority says whether the leader that told this hears more than half of the
// replicas. One that does not may tell of the past.
func (i Info) Majority() bool { return 2*i.Heard > i.Replicas }

// Expect is the condition of an append.
type Expect struct {
	// Empty: nothing at all was ever stored. Only for a genesis.
	Empty bool
	// LaneSeq is the sequence of the lane's last message, 0 for none. It is
	// one that this process folded or appended itself.
	LaneSeq uint64
}

// Outcomes of an append that is not acknowledged, and of reads.
var (
	// ErrOccupied: refused; another message holds the place. What the first
	// message after the expected one is, Next tells: it may be the first copy
	// of the very commit.
	ErrOccupied = errors.New("the lane has gone on: another message holds this place")
	// ErrUnknown: it may have been stored, or may yet be. Send the same again.
	ErrUnknown = errors.New("the outcome of the append is unknown")
	// ErrNotFound: no such message.
	ErrNotFound = errors.New("no such message")
	// ErrDamaged: the stream is gone, shorter than remembered, or has holes.
	ErrDamaged = errors.New("the event stream is damaged")
)

// Log is the event stream. Its implementations are eventlog/jetstream and, for
// simulation, eventlog/memlog; one conformance suite holds for both. All
// methods are safe for concurrent use.
type Log interface {
	// Append makes one try to store a commit in a lane. It returns the
	// sequence, or an error that is ErrOccupied or ErrUnknown; every other
	// failure counts as ErrUnknown, also an expectation ahead of the lane: no
	// message holds that place. The id is the commit's alone: an implementation
	// may take a second commit with the same id, soon after, for a copy.
	Append(ctx context.Context, lane string, expect Expect, id string, body []byte) (uint64, error)
	// Get reads one message, ErrNotFound if there is none at seq. The body
	// must not be written to.
	Get(ctx context.Context, seq uint64) (Message, error)
	// Next reads the first message of a lane at or after seq, or ErrNotFound.
	Next(ctx context.Context, lane string, seq uint64) (Message, error)
	// Info asks for the stream's state, current at its leader.
	Info(ctx context.Context) (Info, error)
	// Follow delivers every message from seq on, in order and without gaps,
	// also those stored later, until ctx ends or deliver returns an error;
	// it returns ctx's cause, or that very error. deliver runs in the caller's
	// goroutine. A hole in the stream is ErrDamaged; a start that was cut with
	// the front of the history is ErrNotFound.
	Follow(ctx context.Context, seq uint64, deliver func(Message) error) error
}

// Check says whether a stream of which remembered was once the last sequence
// is whole. The rule: without deletions, messages and sequences are equal in
// number (a flipped bit makes a server drop messages without a word).
func (i Info) Check(remembered uint64) error {
	switch {
	case i.LastSeq < remembered:
		return damaged("it ends at sequence %d, but %d was acknowledged: restore its files or a backup", i.LastSeq, remembered)
	case i.Deleted > 0 || i.Messages != i.LastSeq+1-i.FirstSeq:
		return damaged("it has holes: %d messages stand for sequences %d to %d: restore its files or a backup", i.Messages, i.FirstSeq, i.LastSeq)
	}
	return nil
}

// damaged makes an error that is ErrDamaged and says what is wrong.
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}
