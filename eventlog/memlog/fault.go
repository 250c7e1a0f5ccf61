package memlog

import "time"

// Kind is what goes wrong with an append.
type Kind int

// The kinds.
const (
	// None: it is stored and acknowledged.
	None Kind = iota
	// Lost: it is not stored; after Delay the outcome is unknown.
	Lost
	// AckLost: it is stored; after Delay the outcome is unknown.
	AckLost
	// Late: the outcome is unknown at once; it is stored after Delay, if its
	// expectation is met then.
	Late
	// Delayed: it is stored after Delay, if its expectation is met then, and
	// acknowledged to who still waits. One that does not finds it Late.
	Delayed
)

// Fault is what happens to one append.
type Fault struct {
	Kind  Kind
	Delay time.Duration
}

// Faults are asked what goes wrong; nil means nothing. They are called without
// a lock held, concurrently if the log is used so.
type Faults struct {
	// BeforeAppend says what happens to an append.
	BeforeAppend func(lane, id string) Fault
	// BeforeRead fails a Get, Next or Info with the error that it returns.
	BeforeRead func() error
	// Past makes Get, Next and Info those of a leader that was cut off and does
	// not know it: nothing behind the sequence that it returns is there. 0 is the
	// present. It is asked after BeforeRead.
	Past func() uint64
	// BeforeDeliver says for how long Follow holds back a message: a node that
	// lags. Order and density stay.
	BeforeDeliver func(seq uint64) time.Duration
}
