package python

import (
	"container/list"
	"sync"
	"time"
)

// pool keeps warm workers between their runs, by key. The one unused for
// longest goes when there are too many, or when its time is over.
type pool struct {
	max int
	ttl time.Duration

	mu     sync.Mutex
	closed bool
	byKey  map[wants][]*list.Element
	lru    list.List   // of *worker, the most recently used first
	timer  *time.Timer // set while any worker is idle
}

func newPool(max int, ttl time.Duration) *pool {
	return &pool{max: max, ttl: ttl, byKey: map[wants][]*list.Element{}}
}

// take gives a warm worker for what a job wants, or nil.
func (p *pool) take(w wants) *worker {
	if w.alone {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := p.byKey[w]
	if len(idle) == 0 {
		return nil
	}
	return p.remove(idle[len(idle)-1])
}

// put takes a worker back that may serve another run.
func (p *pool) put(w *worker) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		w.proc.stop()
		return
	}
	w.since = time.Now()
	p.byKey[w.wants] = append(p.byKey[w.wants], p.lru.PushFront(w))
	var surplus *worker
	if p.lru.Len() > p.max {
		surplus = p.remove(p.lru.Back())
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(p.ttl, p.expire)
	}
	p.mu.Unlock()
	if surplus != nil {
		surplus.proc.stop()
	}
}

// expire stops the workers whose time is over, and wakes again for the next.
func (p *pool) expire() {
	p.mu.Lock()
	var over []*worker
	for back := p.lru.Back(); back != nil; back = p.lru.Back() {
		left := p.ttl - time.Since(back.Value.(*worker).since)
		if left > 0 {
			p.timer.Reset(left)
			break
		}
		over = append(over, p.remove(back))
	}
	if p.lru.Len() == 0 {
		p.timer = nil
	}
	p.mu.Unlock()
	for _, w := range over {
		w.proc.stop()
	}
}

// close keeps no workers from now on.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// wait stops all idle workers, after close.
func (p *pool) wait() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.lru.Len() > 0 {
		p.remove(p.lru.Back()).proc.stop()
	}
}

// remove needs mu.
func (p *pool) remove(e *list.Element) *worker {
	w := p.lru.Remove(e).(*worker)
	idle := p.byKey[w.wants]
	for i := range idle {
		if idle[i] == e {
			idle = append(idle[:i], idle[i+1:]...)
			break
		}
	}
	if len(idle) == 0 {
		delete(p.byKey, w.wants)
	} else {
		p.byKey[w.wants] = idle
	}
	return w
}
