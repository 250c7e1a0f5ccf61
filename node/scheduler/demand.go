package scheduler

import (
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/exec/wire"
)

// demandGap is the least time between two Demands beside those of housekeeping:
// it bounds what the changes of a moment cost.
const demandGap = 10 * time.Millisecond

// demand tells executors what waits, and that we are here.
func (s *Scheduler) demand() {
	epoch := s.highestEpoch()
	if epoch == 0 {
		return // nothing is ours
	}
	s.tellBy = time.Time{}
	for _, p := range s.pools {
		p.told, p.toldAt = s.waiting(p) > 0, time.Now()
	}
	for _, e := range s.execs {
		s.demandOf(e, epoch)
	}
}

// demandNow tells the executors of a pool when something begins to wait there, or
// nothing does any more, so that no other owner waits for the next housekeeping
// beside a free slot. A node alone has all slots anyway.
func (s *Scheduler) demandNow() {
	if s.cfg.Alone {
		return
	}
	s.tellBy = time.Time{}
	for _, p := range s.pools {
		waits := s.waiting(p) > 0
		if waits == p.told {
			continue
		}
		if by := p.toldAt.Add(demandGap); time.Now().Before(by) {
			s.tellBy = by
			continue
		}
		epoch := s.highestEpoch()
		if epoch == 0 {
			return
		}
		p.told, p.toldAt = waits, time.Now()
		for _, e := range s.execs {
			if e.pool == p.name {
				s.demandOf(e, epoch)
			}
		}
	}
}

// waiting is how much of a pool could be claimed now.
func (s *Scheduler) waiting(p *pool) int {
	if s.held.Load() || s.objection.Load() != nil {
		return 0 // others may have the slots
	}
	return len(p.ready)
}

func (s *Scheduler) demandOf(e *executor, epoch uint64) {
	d := wire.Demand{Owner: s.cfg.Node, Stream: s.cfg.Stream, Epoch: epoch}
	if p := s.pools[e.pool]; p != nil && s.waiting(p) > 0 {
		d.Waiting, d.Priority, d.Oldest = s.waiting(p), int(p.ready[0].priority), p.ready[0].due.Std()
	}
	body, err := json.Marshal(d)
	if err == nil {
		err = s.cfg.Bus.Publish(s.cfg.Prefix.ExecSubject(e.name, wire.VerbDemand), body)
	}
	if err != nil {
		s.log.Warn("demand could not be sent", "executor", e.name, "error", err)
	}
}
