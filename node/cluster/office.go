package cluster

import (
	"context"
	"sync"
)

// office tells whether this node leads, and tells one term of office from the
// next, however shortly they follow each other.
type office struct {
	mu      sync.Mutex
	term    uint64 // counts the times that this node was elected
	held    bool
	closed  bool
	changed chan struct{} // closed, and made anew, at each change
}

func newOffice() *office { return &office{changed: make(chan struct{})} }

// set records what Raft announced. Two elections in a row are two terms.
func (o *office) set(held bool) {
	o.change(func() {
		o.held = held && !o.closed
		if o.held {
			o.term++
		}
	})
}

// close ends the office for good.
func (o *office) close() { o.change(func() { o.closed = true; o.held = false }) }

func (o *office) change(how func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	how()
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *office) look() (term uint64, held, closed bool, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.term, o.held, o.closed, o.changed
}

// awaitStart waits for a term of office. It returns false when ctx ended or the
// office was closed.
func (o *office) awaitStart(ctx context.Context) (term uint64, ok bool) {
	for {
		term, held, closed, changed := o.look()
		if closed || ctx.Err() != nil {
			return 0, false
		}
		if held {
			return term, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// awaitEnd waits until term is over or ctx ended.
func (o *office) awaitEnd(ctx context.Context, term uint64) {
	for {
		now, held, _, changed := o.look()
		if !held || now != term || ctx.Err() != nil {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}
