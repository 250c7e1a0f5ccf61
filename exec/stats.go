package exec

import "github.com/belfryhq/belfry/exec/wire"

// Stats of an executor: of the incarnation that runs, else of the last one.
type Stats struct {
	Incarnation string
	Slots       int
	Queued      int
	Running     int
	Unstored    int // reports that are not acknowledged yet

	Received    uint64 // runs, accepted or not
	CodeMissing uint64
	Ended       map[wire.OutcomeKind]uint64
	Stored      uint64
	Repeated    uint64            // reports sent again
	Unpublished uint64            // messages that the connection did not take
	Refused     map[string]uint64 // messages, by reason
}

// counters are the part of Stats that only grows.
type counters struct {
	received, codeMissing, stored, repeated, unpublished uint64

	refused [reasons]uint64
	ended   map[wire.OutcomeKind]uint64
}

func (c *counters) count(kind wire.OutcomeKind) {
	if c.ended == nil {
		c.ended = map[wire.OutcomeKind]uint64{}
	}
	c.ended[kind]++
}

// Stats says what the executor is doing and has done.
func (e *Executor) Stats() Stats {
	e.statsMu.Lock()
	defer e.statsMu.Unlock()
	if e.session == nil {
		return e.last
	}
	return e.session.snapshot()
}

func (s *session) snapshot() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Stats{
		Incarnation: s.incarnation, Slots: s.cfg.Slots,
		Queued: s.hold.queued, Running: s.hold.running, Unstored: s.hold.unstored.Len(),
		Received: s.stats.received, CodeMissing: s.stats.codeMissing, Stored: s.stats.stored,
		Repeated: s.stats.repeated, Unpublished: s.stats.unpublished,
		Ended: map[wire.OutcomeKind]uint64{}, Refused: map[string]uint64{},
	}
	for kind, n := range s.stats.ended {
		out.Ended[kind] = n
	}
	for r, n := range s.stats.refused {
		if n > 0 {
			out.Refused[reason(r).String()] = n
		}
	}
	return out
}
