package projection

import (
	"fmt"

	"github.com/belfryhq/belfry/eventlog"
)

// Audit says what about an event must not be, given what was folded before it:
// that it stands in the lane of its partition's owner (L7), follows its
// entity's last event (L6), makes a legal transition (R1, R4), and that an
// attempt is claimed once and closed by its own end (C1, R2, R3). It returns
// nil for what may be. It costs some lookups; call it before Evolve, which
// folds the event whatever is said here. L7 it judges of what stands behind all
// that is known of owners, which a snapshot may have of a later sequence than a
// partition.
//
// The prev of an event that is not stored is not known yet: at is pending then.
func (s *State) Audit(e *eventlog.Event, at At) error {
	if fault := s.fault(e, at); fault != "" {
		return fmt.Errorf("%s of %s %s at sequence %d in lane %s: %s", e.Type(), e.Entity, e.Subject, at.Seq, at.Lane, fault)
	}
	return nil
}

func (s *State) fault(e *eventlog.Event, at At) string {
	if e.Partition < 0 {
		return s.clusterFault(e, at)
	}
	if e.Partition >= eventlog.Partitions || e.Partition != eventlog.PartitionOf(e.Entity, e.Subject) {
		return fmt.Sprintf("L7: it names partition %d", e.Partition)
	}
	// After a load the owners may be those of a later sequence.
	if owner := s.cluster.Owners[e.Partition].Node; owner != at.Lane && at.Seq > max(1, s.cluster.Seq) {
		return fmt.Sprintf("L7: partition %d belongs to %q", e.Partition, owner)
	}
	if fault := s.chainFault(e, at); fault != "" {
		return fault
	}
	switch e.Entity {
	case eventlog.EntityItem, eventlog.EntityRun:
		return s.parts[e.Partition].itemFault(e)
	case eventlog.EntityTrigger:
		return triggerFault(s.parts[e.Partition].triggers[e.Subject], e)
	default:
		return ""
	}
}

// clusterFault judges openings, markers and moves: a lane gives away only what is
// its node's.
func (s *State) clusterFault(e *eventlog.Event, at At) string {
	switch d := e.Data.(type) {
	case *eventlog.NodeOpened:
		if e.Subject != at.Lane {
			return "L7: it opens another node's lane"
		}
	case *eventlog.NodeMarked:
		if e.Subject != at.Lane {
			return "L7: it marks another node's lane"
		}
		if process := s.cluster.Nodes[e.Subject].Process; d.Process != process {
			return fmt.Sprintf("L7: process %s marks a lane that %q has opened", d.Process, process)
		}
	case *eventlog.PartitionsMoved:
		for _, p := range d.Partitions {
			if p < 0 || p >= eventlog.Partitions {
				return fmt.Sprintf("N1: there is no partition %d", p)
			}
			if owner := s.cluster.Owners[p].Node; owner != at.Lane && owner != "" {
				return fmt.Sprintf("N1: partition %d is given away, it belongs to %q", p, owner)
			}
		}
	}
	return s.chainFault(e, at)
}

func (s *State) chainFault(e *eventlog.Event, at At) string {
	if before, known := s.revisionOf(e); known && e.Revision != before+1 {
		return fmt.Sprintf("L6: it has revision %d after %d", e.Revision, before)
	}
	if _, pending := IsPending(at.Seq); pending {
		return ""
	}
	if before := s.SeqOf(e); before != at.Seq && e.Prev != before {
		return fmt.Sprintf("L6: it follows sequence %d and names %d", before, e.Prev)
	}
	return ""
}

// revisionOf is the revision of an event's entity before it. Not known is that
// of what was deleted: its id is never used again, but nothing else is kept.
func (s *State) revisionOf(e *eventlog.Event) (revision uint64, known bool) {
	switch e.Entity {
	case eventlog.EntityNode:
		return s.cluster.Nodes[e.Subject].Revision, true
	case eventlog.EntityPartitions:
		return s.cluster.Moves[e.Subject].Revision, true
	default:
	}
	p := s.parts[e.Partition]
	if _, gone := p.gone[e.Subject]; gone {
		return 0, false
	}
	switch e.Entity {
	case eventlog.EntityFunction:
		if f := p.functions[e.Subject]; f != nil {
			revision = f.Revision
		}
	case eventlog.EntityUser:
		if u := p.users[e.Subject]; u != nil {
			revision = u.Revision
		}
	case eventlog.EntityAutomation:
		if a := p.automations[e.Subject]; a != nil {
			revision = a.Revision
		}
	case eventlog.EntityTrigger:
		if t := p.triggers[e.Subject]; t != nil {
			revision = t.Revision
		}
	default:
		if i := p.items[e.Subject]; i != nil {
			revision = uint64(i.Revision)
		}
	}
	return revision, true
}

// itemFault judges an event of an item or a run.
func (p *Partition) itemFault(e *eventlog.Event) string {
	i, payload := p.items[e.Subject], eventlog.ForItem(e.Data)
	switch d := payload.(type) {
	case *eventlog.ItemCreated:
		if run := p.Run(d.ScheduledBy); d.ScheduledBy != "" && (run == nil || run.Live == nil || run.Live.Run == nil || !run.Live.Run.Open) {
			return "L2: the run that scheduled it is not under way"
		}
	case *eventlog.RunCreated:
	default:
		return lifeFault(i, e, payload)
	}
	if i != nil {
		return "R1: it is created again"
	}
	return ""
}

// lifeFault judges an event that is not the first of its item or run. i is nil
// if there is none.
func lifeFault(i *Item, e *eventlog.Event, payload eventlog.Payload) string {
	if i == nil {
		return "R1: it was never created"
	}
	if i.Status.Final() {
		return "R4: it had ended"
	}
	switch d := payload.(type) {
	case *eventlog.ItemUpdated:
		return mustBe(i, Queued)
	case *eventlog.ItemClaimed:
		return claimFault(i, e, d)
	case *eventlog.ItemInterrupted:
		return endFault(i, d.RunHead)
	case *eventlog.ItemRetryScheduled:
		return endFault(i, d.RunHead)
	case *eventlog.ItemCompleted:
		return endFault(i, d.RunHead)
	case *eventlog.ItemFailed:
		return endFault(i, d.RunHead)
	case *eventlog.ItemCanceled:
		if i.Status == Processing {
			return endFault(i, d.RunHead)
		}
	}
	return ""
}

func mustBe(i *Item, status Status) string {
	if i.Status != status {
		return fmt.Sprintf("R1: its status is %d, not %d", i.Status, status)
	}
	return ""
}

func claimFault(i *Item, e *eventlog.Event, d *eventlog.ItemClaimed) string {
	last := 0
	if r := i.Live.Run; r != nil {
		if last = r.Attempt; r.Open {
			return fmt.Sprintf("C1: attempt %d is open", r.Attempt)
		}
	}
	switch {
	case d.Attempt != last+1:
		return fmt.Sprintf("R3: attempt %d follows %d", d.Attempt, last)
	case e.Time < i.Live.Due:
		return "C3: it is claimed before its time"
	}
	return mustBe(i, Queued)
}

// endFault judges the end of an attempt.
func endFault(i *Item, head eventlog.RunHead) string {
	r := i.Live.Run
	switch {
	case r == nil || !r.Open:
		return "R3: no attempt is open"
	case head.Attempt != r.Attempt || head.Executor != r.Executor:
		return fmt.Sprintf("R2: it ends attempt %d on %s, open is %d on %s", head.Attempt, head.Executor, r.Attempt, r.Executor)
	}
	return mustBe(i, Processing)
}

// triggerFault judges an event of a trigger. t is nil before its first, and
// after its deletion.
func triggerFault(t *Trigger, e *eventlog.Event) string {
	_, created := e.Data.(*eventlog.TriggerCreated)
	switch {
	case created && t != nil:
		return "R1: it is created again"
	case created:
		return ""
	case t == nil:
		return "C7: it was never created, or was deleted"
	}
	switch d := e.Data.(type) {
	case *eventlog.TriggerFired:
		if !d.Manual {
			return decideFault(t, d.ScheduledFor)
		}
	case *eventlog.TriggerSkipped:
		return decideFault(t, d.From)
	case *eventlog.TriggerResumed:
		if t.Active {
			return "R1: it is active"
		}
	case *eventlog.TriggerPaused:
		if !t.Active {
			return "R1: it is paused"
		}
	}
	return ""
}

// decideFault judges the outcome of an occurrence: of an active trigger, and
// the first.
func decideFault(t *Trigger, at eventlog.Time) string {
	switch {
	case !t.Active:
		return "C5: it is paused"
	case at <= t.DecidedUpTo:
		return "C2: that occurrence had its outcome"
	}
	return ""
}
