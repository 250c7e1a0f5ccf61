package exec

import (
	"container/list"
	"context"
	"time"

	"github.com/belfryhq/belfry/exec/wire"
)

// held is one attempt, from its receipt until its report is stored.
type held struct {
	key      wire.Attempt
	run      *wire.Run
	code     string
	owner    *owner // nil is unknown
	state    wire.HeldState
	received time.Time
	began    time.Time               // in its slot; zero while queued
	stop     context.CancelCauseFunc // while running
	report   []byte                  // once ended
	sent     time.Time               // the report, last
	place    *list.Element           // in hold.unstored, once ended

	scheduled map[string]struct{} // names of items that its code asked for
}

// active says whether the attempt has or wants a slot.
func (h *held) active() bool { return h.state != wire.HeldEnded }

// hold is all that an executor holds.
type hold struct {
	all      map[wire.Attempt]*held
	queue    []*held   // in order of receipt; may hold some that ended meanwhile
	queued   int       // of queue, those that still are
	running  int       //
	unstored list.List // of *held that ended, the longest not sent first
}

func newHold() *hold { return &hold{all: map[wire.Attempt]*held{}} }

func (s *hold) add(h *held) {
	h.state = wire.HeldQueued
	s.all[h.key] = h
	s.queue = append(s.queue, h)
	s.queued++
	h.owner.add(1)
}

// head is the queued attempt that has waited for longest, or nil.
func (s *hold) head() *held {
	for len(s.queue) > 0 && s.queue[0].state != wire.HeldQueued {
		s.queue[0] = nil
		s.queue = s.queue[1:]
	}
	if len(s.queue) == 0 {
		return nil
	}
	return s.queue[0]
}

// begin makes the head running and returns it, or nil.
func (s *hold) begin(now time.Time) *held {
	h := s.head()
	if h == nil {
		return nil
	}
	s.queue[0] = nil
	s.queue = s.queue[1:]
	s.queued--
	s.running++
	h.state, h.began = wire.HeldRunning, now
	return h
}

// end makes an active attempt ended. Its report is taken as sent now.
func (s *hold) end(h *held, report []byte, now time.Time) {
	s.leave(h)
	h.state, h.report, h.sent = wire.HeldEnded, report, now
	h.run, h.code, h.stop, h.scheduled = &wire.Run{Partition: h.run.Partition}, "", nil, nil
	h.place = s.unstored.PushBack(h)
}

// leave counts an active attempt out.
func (s *hold) leave(h *held) {
	switch h.state {
	case wire.HeldQueued:
		s.queued--
	case wire.HeldRunning:
		s.running--
	case wire.HeldEnded:
		return
	}
	h.owner.add(-1)
}

// forget drops an attempt, whatever its state.
func (s *hold) forget(h *held) {
	s.leave(h)
	if h.place != nil {
		s.unstored.Remove(h.place)
	}
	h.state = wire.HeldEnded
	delete(s.all, h.key)
}

// resent moves an ended attempt behind all others.
func (s *hold) resent(h *held, now time.Time) {
	h.sent = now
	s.unstored.MoveToBack(h.place)
}

// list is what an announcement says is held.
func (s *hold) list() []wire.Held {
	out := make([]wire.Held, 0, len(s.all))
	for key, h := range s.all {
		out = append(out, wire.Held{Run: key.Run, Attempt: key.Attempt, Partition: h.run.Partition, State: h.state})
	}
	return out
}
