package scheduler

import (
	"context"
	"sync"
	"time"

	"github.com/belfryhq/belfry/eventlog"
)

// barrier makes reads current: it asks the stream's leader for the last
// sequence, once for all reads of a moment, and waits until that is folded. It
// is safe for concurrent use.
type barrier struct {
	mu     sync.Mutex
	seq    uint64    // everything up to here is folded
	folds  []folding // who waits for more
	asking bool
	// confirmed is when the last question was asked whose answer is folded.
	confirmed time.Time
	next      *question // of those who came after the last question was asked
}

// folding is a wait for a sequence.
type folding struct {
	seq  uint64
	done chan struct{}
}

// question is one Info, shared by who came before it was asked.
type question struct {
	done chan struct{} // closed when seq or err is set
	seq  uint64
	err  error
}

// folded notes that everything up to seq is in the state.
func (b *barrier) folded(seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq = max(b.seq, seq)
	waiting := b.folds[:0]
	for _, f := range b.folds {
		if f.seq <= seq {
			close(f.done)
		} else {
			waiting = append(waiting, f)
		}
	}
	b.folds = waiting
}

// reach is closed when everything up to seq is folded.
func (b *barrier) reach(seq uint64) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	done := make(chan struct{})
	if seq <= b.seq {
		close(done)
	} else {
		b.folds = append(b.folds, folding{seq, done})
	}
	return done
}

// ask joins the next question, and has it asked if none is under way.
func (b *barrier) ask(info func() (eventlog.Info, error)) *question {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = &question{done: make(chan struct{})}
	}
	q := b.next
	if !b.asking {
		b.asking = true
		go b.answer(info)
	}
	return q
}

// answer asks until nobody has a question.
func (b *barrier) answer(info func() (eventlog.Info, error)) {
	for {
		b.mu.Lock()
		q := b.next
		b.next = nil
		if q == nil {
			b.asking = false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		i, err := info()
		q.seq, q.err = i.LastSeq, err
		close(q.done)
	}
}

// catchUp returns when everything is folded that was stored before the call. A
// node alone has folded or decided all there is.
func (s *Scheduler) catchUp(ctx context.Context) error {
	if s.cfg.Alone {
		return nil
	}
	asked := time.Now() // or later, together with others
	q := s.reads.ask(s.askInfo)
	select {
	case <-q.done:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return ErrStopped
	}
	if q.err != nil {
		return q.err
	}
	return s.foldedTo(ctx, q.seq, asked)
}

// foldedTo returns when everything up to seq is folded, which was all there was
// when asked.
func (s *Scheduler) foldedTo(ctx context.Context, seq uint64, asked time.Time) error {
	select {
	case <-s.reads.reach(seq):
		s.reads.confirm(asked)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return ErrStopped
	}
}

// confirmedFor is for how long a node that decides by what it folded goes without
// hearing that this is all there is.
const confirmedFor = 2 * time.Second

// confirm has a node that has not heard of late what there is catch up first: cut
// off, it would go on to accept what rests on the past of other partitions.
func (s *Scheduler) confirm(ctx context.Context) error {
	if s.cfg.Alone || s.reads.confirmedSince(time.Now().Add(-confirmedFor)) {
		return nil
	}
	return s.catchUp(ctx)
}

func (b *barrier) confirm(asked time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if asked.After(b.confirmed) {
		b.confirmed = asked
	}
}

func (b *barrier) confirmedSince(t time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.confirmed.Before(t)
}

// askInfo asks for the stream's state on behalf of several readers, none of
// whom may end it.
func (s *Scheduler) askInfo() (eventlog.Info, error) {
	ctx, cancel := s.within(infoMax)
	defer cancel()
	return s.cfg.Log.Info(ctx)
}
