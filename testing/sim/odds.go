package sim

import (
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/belfryhq/belfry/eventlog/memlog"
)

// odds is one actor's chance. Each has its own, from the seed and its name, so
// that what one draws does not depend on who else drew before.
type odds struct {
	mood *mood
	mu   sync.Mutex
	rng  *rand.Rand
}

// mood is how bad things are, for all.
type mood struct {
	mu   sync.Mutex
	calm bool // nothing goes wrong any more
	bad  bool // much goes wrong for a while
}

func (m *mood) set(calm, bad bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calm, m.bad = calm, bad
}

func (m *mood) get() (calm, bad bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calm, m.bad
}

// oddsOf is the chance of an actor.
func (w *World) oddsOf(actor string) *odds {
	h := fnv.New64a()
	_, _ = h.Write([]byte(actor))                                              // a hash never refuses
	return &odds{mood: &w.mood, rng: rand.New(rand.NewPCG(w.seed, h.Sum64()))} //nolint:gosec // chance that must repeat
}

// below is a number from 0 to n-1.
func (o *odds) below(n int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.rng.IntN(n)
}

// chance is true once in about n times.
func (o *odds) chance(n int) bool { return o.below(n) == 0 }

// span is a duration between two.
func (o *odds) span(from, to time.Duration) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return from + time.Duration(o.rng.Int64N(int64(to-from)+1))
}

// pick is one of several.
func pick[T any](o *odds, of []T) T { return of[o.below(len(of))] }

// roll is whether something goes wrong that does once in n times, or once in
// few when things are bad.
func (o *odds) roll(n, few int) bool {
	switch calm, bad := o.mood.get(); {
	case calm:
		return false
	case bad:
		n = few
	}
	return o.chance(n)
}

// copies is how often a message arrives.
func (o *odds) copies() int {
	switch {
	case o.roll(300, 8):
		return 0
	case o.roll(300, 30):
		return 2
	}
	return 1
}

// transit is how long a message takes.
func (o *odds) transit() time.Duration {
	if o.roll(100, 5) {
		return o.span(0, 300*time.Millisecond)
	}
	return 100 * time.Microsecond
}

// lag is for how long a message of the log is late at a follower.
func (o *odds) lag() time.Duration {
	if o.roll(60, 6) {
		return o.span(0, 400*time.Millisecond)
	}
	return 0
}

// appendFault is what happens to an append.
func (o *odds) appendFault() memlog.Fault {
	switch {
	case o.roll(200, 8):
		return memlog.Fault{Kind: memlog.Lost, Delay: o.span(0, time.Second)}
	case o.roll(120, 8):
		return memlog.Fault{Kind: memlog.AckLost, Delay: o.span(0, time.Second)}
	case o.roll(120, 8):
		return memlog.Fault{Kind: memlog.Late, Delay: o.span(0, 5*time.Second)}
	case o.roll(50, 4):
		return memlog.Fault{Kind: memlog.Delayed, Delay: o.span(0, 2*time.Second)}
	}
	return memlog.Fault{Kind: memlog.Delayed, Delay: 500 * time.Microsecond}
}

var errLog = errors.New("the log does not answer")

func (o *odds) readFault() error {
	if o.roll(200, 10) {
		return errLog
	}
	return nil
}
