package sim

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
)

// life is how a process fares: it lives, is paused, is cut off from everything
// else, or is dead. A paused one's input and output stand still until it wakes,
// then everything goes out that was to go; a cut one's is lost. Goroutines
// cannot be stopped, so a paused process goes on thinking: what it decides
// piles up, and meets the world when it wakes.
type life struct {
	name string
	odds *odds

	mu     sync.Mutex
	paused chan struct{} // closed at the end of the pause; nil: it is awake
	held   []func()      // what goes out then
	cut    bool
	dead   bool
}

func (w *World) newLife(of string) *life {
	name := w.nextName(of)
	return &life{name: name, odds: w.oddsOf(name)}
}

var errCut = errors.New("the process is cut off")

// severed says that nothing comes or goes.
func (l *life) severed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut || l.dead
}

// ended says that the process is dead.
func (l *life) ended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// troubled says that others would take the process for gone.
func (l *life) troubled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut || l.dead || l.paused != nil
}

// hold keeps something until the process wakes; false if it is awake.
func (l *life) hold(out func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused == nil {
		return false
	}
	l.held = append(l.held, out)
	return true
}

// awake waits until the process is; false if quit is closed before.
func (l *life) awake(quit <-chan struct{}) bool {
	l.mu.Lock()
	paused := l.paused
	l.mu.Unlock()
	if paused == nil {
		return true
	}
	select {
	case <-paused:
		return true
	case <-quit:
		return false
	}
}

func (l *life) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused == nil && !l.dead {
		l.paused = make(chan struct{})
	}
}

func (l *life) resume() {
	l.mu.Lock()
	held := l.held
	l.held = nil
	if l.paused != nil {
		close(l.paused)
		l.paused = nil
	}
	l.mu.Unlock()
	for _, out := range held {
		out()
	}
}

func (l *life) sever(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
}

// die ends it: what it had on its way out may still arrive.
func (l *life) die() {
	l.mu.Lock()
	l.dead = true
	l.held = nil
	l.mu.Unlock()
	l.resume()
}

// cutDelay is how long a cut process waits for an answer that does not come.
const cutDelay = 2 * time.Second

// faults are what this process meets at the log.
func (l *life) faults() memlog.Faults {
	return memlog.Faults{
		BeforeAppend: func(string, string) memlog.Fault {
			l.awake(nil)
			if l.severed() {
				return memlog.Fault{Kind: memlog.Lost, Delay: cutDelay}
			}
			return l.odds.appendFault()
		},
		BeforeRead: func() error {
			l.awake(nil)
			if l.severed() {
				return errCut
			}
			return l.odds.readFault()
		},
		BeforeDeliver: func(uint64) time.Duration {
			l.awake(nil)
			return l.odds.lag()
		},
	}
}

// lossyLog is a log as a process sees it: while it is cut off, nothing comes.
type lossyLog struct {
	*memlog.Log
	life *life
}

var _ eventlog.Log = lossyLog{}

// Follow implements eventlog.Log.
func (l lossyLog) Follow(ctx context.Context, seq uint64, deliver func(eventlog.Message) error) error {
	return l.Log.Follow(ctx, seq, func(m eventlog.Message) error {
		for l.life.severed() {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(cutDelay):
			}
		}
		return deliver(m)
	})
}
