package scheduler

import (
	"context"
	"slices"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
)

// commit is decided work on its way into the log.
type commit struct {
	n      uint64 // of this process, from 1
	id     string // Nats-Msg-Id
	size   int    // bytes, at most
	orders int    // requests of callers in it

	events  []eventlog.Event
	encoded []eventlog.Encoded
	prev    []link
	first   map[entity]link // prev of its first event here

	runs   []*attempt // to be sent once stored
	closed []*attempt // ended by an event of this commit
	stored []storedReport
	seq    uint64        // set before done is closed; 0 then: it was displaced
	done   chan struct{} // closed when stored, or known never to be
}

// link is an event's prev: a sequence, or that of a commit not stored when the
// event was decided. Commits are stored in order, so it is known at the seal.
type link struct {
	seq   uint64
	after *commit
}

func (l link) resolve() uint64 {
	if l.after != nil {
		return l.after.seq
	}
	return l.seq
}

func newCommit(n uint64, id string) *commit {
	return &commit{n: n, id: id, first: map[entity]link{}, done: make(chan struct{})}
}

// entity is what events chain by: a user and a node may have one name.
type entity struct {
	kind eventlog.Entity
	id   string
}

// moves says whether partitions change hands in it.
func (c *commit) moves() bool {
	return slices.ContainsFunc(c.events, func(e eventlog.Event) bool { return e.Entity == eventlog.EntityPartitions })
}

// add takes an event whose entity was at seq before it.
func (c *commit) add(e *eventlog.Event, encoded eventlog.Encoded, before link) {
	of := entity{e.Entity, e.Subject}
	first, again := c.first[of]
	if !again {
		first = before
		c.first[of] = first
	}
	c.events = append(c.events, *e)
	c.encoded = append(c.encoded, encoded)
	c.prev = append(c.prev, first)
	c.size += encoded.Size()
}

// body is the commit as it is stored.
func (c *commit) body() []byte {
	prev := make([]uint64, len(c.prev))
	for i, l := range c.prev {
		prev[i] = l.resolve()
	}
	return eventlog.AppendCommit(make([]byte, 0, c.size+2), c.encoded, prev)
}

// Horizon is the commits that were open when an answer was made: the answer
// may leave when they are stored.
type Horizon struct{ open []*commit }

// Wait returns when everything is stored, or why it will not be known in time.
// It is errDisplaced if nothing of it is stored and never will be.
func (h Horizon) Wait(ctx context.Context, stopped <-chan struct{}) error {
	if len(h.open) == 0 {
		return nil
	}
	last := h.open[len(h.open)-1]
	select {
	case <-last.done:
		return h.fate()
	default:
	}
	select {
	case <-last.done:
		return h.fate()
	case <-ctx.Done():
		return ctx.Err()
	case <-stopped:
	}
	select {
	case <-last.done: // it was stored in the last moment
		return h.fate()
	default:
		return ErrStopped
	}
}

// fate is what became of commits that are done: they are stored in order, so
// those that were displaced are the last ones.
func (h Horizon) fate() error {
	switch {
	case h.open[len(h.open)-1].seq != 0:
		return nil
	case h.open[0].seq == 0:
		return errDisplaced
	}
	return errDisplacedPartly
}

// Seq puts a sequence in the place of a pending one. Call it after Wait.
func (h Horizon) Seq(seq uint64) uint64 {
	n, pending := projection.IsPending(seq)
	if !pending {
		return seq
	}
	for _, c := range h.open {
		if c.n == n {
			return c.seq
		}
	}
	return 0
}
