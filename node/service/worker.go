package service

import "time"

// workerIdle is for how long a worker waits for its next request.
const workerIdle = 10 * time.Second

// workers work, at most requestsMax at a time.
type workers struct {
	calls chan func()   // to a worker that is idle
	slots chan struct{} // one for each worker
}

func newWorkers() workers {
	return workers{calls: make(chan func()), slots: make(chan struct{}, requestsMax)}
}

// take hands a call over to a worker. While all are busy, it waits.
func (w workers) take(s *Service, call func()) {
	select {
	case w.calls <- call: // a worker is idle
		return
	default:
	}
	select {
	case w.calls <- call:
	case w.slots <- struct{}{}:
		s.busy.Go(func() { w.work(s, call) })
	case <-s.quit:
	}
}

// work answers calls until there are none for a while. Workers are kept, since
// a goroutine that is new grows its stack anew, which costs as much as reading
// the request.
func (w workers) work(s *Service, call func()) {
	defer func() { <-w.slots }()
	idle := time.NewTimer(workerIdle)
	defer idle.Stop()
	for {
		call()
		idle.Reset(workerIdle)
		select {
		case call = <-w.calls:
		case <-idle.C:
			return
		case <-s.quit:
			return
		}
	}
}
