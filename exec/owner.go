package exec

import (
	"time"

	"github.com/belfryhq/belfry/exec/wire"
)

// owner is one owner of partitions, as far as this executor has heard of it.
type owner struct {
	name     string
	active   int // attempts queued or running here
	waiting  int
	priority int
	oldest   time.Time
	heard    time.Time
	full     time.Time // when a run of its full window ended and no other came yet
}

// add counts active attempts. A nil owner is an unknown one.
func (o *owner) add(n int) {
	if o != nil {
		o.active += n
	}
}

// freed notes that a run of the owner ends. It must be called before the run
// is counted out. If the owner was at its window and has more, its next run
// tells how long a loop takes.
func (o *owner) freed(window int, now time.Time) {
	if o != nil && o.waiting > 0 && o.active >= window && o.full.IsZero() {
		o.full = now
	}
}

// came notes a run of the owner, and gives the loop time if it tells one.
func (o *owner) came(now time.Time) (loop time.Duration, ok bool) {
	if o == nil {
		return 0, false
	}
	o.heard = now
	if o.full.IsZero() {
		return 0, false
	}
	loop, o.full = now.Sub(o.full), time.Time{}
	return loop, true
}

// meet returns the owner that a message names, which it renews. Nil means that
// the message is to be refused: it is of another stream while the owners of
// this one are alive.
func (s *session) meet(name, stream string, now time.Time) (*owner, reason) {
	if stream != s.fence.stream {
		s.expire(now)
		if len(s.owners) > 0 || stream == "" {
			return nil, refusedStream
		}
		s.follow(stream)
	}
	o := s.owners[name]
	if o == nil {
		o = &owner{name: name}
		s.owners[name] = o
	}
	o.heard = now
	return o, accepted
}

// expire forgets owners that have been silent for too long.
func (s *session) expire(now time.Time) {
	for name, o := range s.owners {
		if now.Sub(o.heard) >= s.cfg.OwnerSilence {
			delete(s.owners, name)
			s.log.Info("an owner is silent: it has no window any more", "owner", name, "silent", now.Sub(o.heard))
		}
	}
}

// retire forgets the owners whose last partition another one has asked for, alive
// or dead, so that the new owner has their slots at once.
func (s *session) retire(by string) {
	for name := range s.owners {
		if _, decides := s.fence.lowest(name); !decides && name != by {
			delete(s.owners, name)
			s.log.Info("an owner decides for nothing any more: it has no window", "owner", name, "instead", by)
		}
	}
}

// follow begins with a stream. What is held for another one can be stored
// nowhere any more: it is ended and forgotten.
func (s *session) follow(stream string) {
	if s.fence.stream != "" {
		s.log.Warn("another event stream: what was held for the last one is given up",
			"stream", stream, "last", s.fence.stream, "held", len(s.hold.all))
	}
	for _, h := range s.hold.all {
		if h.stop != nil {
			h.stop(errStream)
		}
		s.hold.forget(h)
	}
	s.fence, s.codes = newFence(stream), newCodes()
}

// assign counts anew which owner the active attempts belong to, after
// partitions have moved.
func (s *session) assign() {
	for _, o := range s.owners {
		o.active = 0
	}
	for _, h := range s.hold.all {
		if h.active() {
			h.owner = s.ownerOf(h.run.Partition)
			h.owner.add(1)
		}
	}
}

func (s *session) ownerOf(partition int) *owner {
	return s.owners[s.fence.partition(partition).owner]
}

// rewindow divides the windows anew. It announces them soon if owners should
// not wait for the next sign of life.
func (s *session) rewindow(now time.Time) {
	loads := make([]load, 0, len(s.owners))
	orphans := s.hold.queued + s.hold.running
	for _, o := range s.owners {
		loads = append(loads, load{o.name, o.active, o.waiting, o.priority, o.oldest})
		orphans -= o.active
	}
	stuck := time.Duration(0)
	if s.hold.running >= s.cfg.Slots {
		stuck = now.Sub(s.taken)
	}
	capacity := s.pace.capacity(s.cfg.Slots, stuck)
	if s.leaving {
		capacity = 0
	}
	windows, short := divide(capacity, orphans, s.pace.soon(s.cfg.Slots, stuck), loads)
	if differs(s.announced, windows) {
		s.announceBy(s.lastAnnounce.Add(announceGap))
	}
	s.windows, s.short, s.divided = windows, short, now
}

// demand takes what an owner says waits at it. An epoch below all those that
// the owner's name decides by is that of a process that was replaced. (An
// owner's highest epoch may go down, when it gives a partition away.) Who decides
// for nothing here was taken from, and does not know it, or has not asked yet: it
// could claim nothing.
func (s *session) demand(d *wire.Demand, now time.Time) reason {
	if lowest, ok := s.fence.lowest(d.Owner); d.Stream == s.fence.stream && (!ok || d.Epoch < lowest) {
		return refusedEpoch
	}
	o, r := s.meet(d.Owner, d.Stream, now)
	if o == nil {
		return r
	}
	o.waiting, o.priority, o.oldest = max(0, d.Waiting), d.Priority, d.Oldest
	if o.waiting == 0 {
		o.full = time.Time{}
	}
	s.rewindow(now)
	return accepted
}

// ask takes an owner's epochs. Accepted means that it is to be answered. An
// owner that decides for nothing is answered and needs no window; one whose
// every epoch is past is a process that was replaced.
func (s *session) ask(a *wire.Ask, now time.Time) reason {
	if a.Incarnation != "" && a.Incarnation != s.incarnation {
		return refusedIncarnation
	}
	if len(a.Epochs) == 0 {
		return accepted
	}
	current := a.Stream != s.fence.stream
	for n, epoch := range a.Epochs {
		current = current || epoch >= s.fence.partition(n).epoch
	}
	if !current {
		return refusedEpoch
	}
	if o, r := s.meet(a.Owner, a.Stream, now); o == nil {
		return r
	}
	for n, epoch := range a.Epochs {
		s.fence.own(n, epoch, a.Owner)
	}
	s.retire(a.Owner)
	s.assign()
	s.rewindow(now)
	return accepted
}
