package projection

import (
	"github.com/belfryhq/belfry/eventlog"
)

// State is everything that was folded.
type State struct {
	parts    [eventlog.Partitions]*Partition
	cluster  Cluster
	attended string // see Attend

	due       dueIndex[*Item]
	schedules dueIndex[*Trigger]
	newest    ordered[*Item]    // items by creation
	runs      ordered[*Item]    // runs, by when they came to be
	triggers  ordered[*Trigger] // by creation
	refs      map[string]users  // id of a function or automation → who its open items and runs run as
	counts    [statuses]int     // items by status
}

// users counts open items by the user they run as.
type users map[string]int

// Partition is the part of the state that one owner decides for.
type Partition struct {
	ID  int
	Seq uint64 // every commit up to here is folded; set by Advance

	functions       map[string]*Function
	functionNames   map[string]string // unique name → id
	users           map[string]*User
	userNames       map[string]string
	automations     map[string]*Automation
	automationNames map[string]string
	triggers        map[string]*Trigger
	// gone are the ids of what was deleted, never used again, each with the
	// sequence of the commit that holds its deletion.
	gone map[string]uint64
	// items are the scheduled items, and the runs of triggers and calls, by id.
	items    map[string]*Item
	requests requestMemory
}

// At is where in the stream an event stands.
type At struct {
	Seq  uint64 // may be pending
	Lane string // the node in whose lane it is
}

// NewState is the state before the first event.
func NewState() *State {
	s := &State{refs: map[string]users{}}
	s.newest.key = func(i *Item) eventlog.Time { return i.Created }
	s.runs.key = (*Item).RunSince
	s.triggers.key = func(t *Trigger) eventlog.Time { return t.Created }
	s.cluster.Nodes, s.cluster.Lanes, s.cluster.Moves = map[string]Node{}, map[string]uint64{}, map[string]Move{}
	for p := range s.parts {
		s.parts[p] = newPartition(p)
	}
	return s
}

func newPartition(id int) *Partition {
	return &Partition{
		ID:        id,
		functions: map[string]*Function{}, functionNames: map[string]string{},
		users: map[string]*User{}, userNames: map[string]string{},
		automations: map[string]*Automation{}, automationNames: map[string]string{},
		triggers: map[string]*Trigger{},
		gone:     map[string]uint64{},
		items:    map[string]*Item{},
	}
}

// Fold evolves by one stored commit, skipping what a snapshot already holds. It
// returns the commit's events, and the first of Audit's objections to one that
// was not skipped.
func (s *State) Fold(m eventlog.Message) (events []eventlog.Event, objection, err error) {
	events, err = eventlog.Decode(m.Body)
	if err != nil {
		return nil, nil, err
	}
	at := At{Seq: m.Seq, Lane: m.Lane}
	for n := range events {
		e := &events[n]
		if m.Seq > s.foldedTo(e.Partition) {
			if objection == nil {
				objection = s.Audit(e, at)
			}
			s.Evolve(e, at)
		}
	}
	s.Advance(m.Seq, m.Lane)
	return events, objection, nil
}

func (s *State) foldedTo(partition int) uint64 {
	if partition < 0 || partition >= eventlog.Partitions {
		return s.cluster.Seq
	}
	return s.parts[partition].Seq
}

// Advance says that the commit at seq, of this lane, is folded as a whole.
func (s *State) Advance(seq uint64, lane string) {
	for _, p := range s.parts {
		p.Seq = max(p.Seq, seq)
	}
	s.cluster.Seq = max(s.cluster.Seq, seq)
	s.cluster.Lanes[lane] = max(s.cluster.Lanes[lane], seq)
}

// Seq is the sequence up to which everything is folded.
func (s *State) Seq() uint64 {
	seq := s.cluster.Seq
	for _, p := range s.parts {
		seq = min(seq, p.Seq)
	}
	return seq
}

// Highest is the highest sequence that any part is folded up to.
func (s *State) Highest() uint64 {
	seq := s.cluster.Seq
	for _, p := range s.parts {
		seq = max(seq, p.Seq)
	}
	return seq
}

// Evolve folds one event. It never refuses: what is in the log happened.
func (s *State) Evolve(e *eventlog.Event, at At) {
	if e.Partition < 0 || e.Partition >= eventlog.Partitions {
		s.evolveCluster(e, at)
		return
	}
	p := s.parts[e.Partition]
	p.requests.remember(e, at.Seq)
	switch e.Entity {
	case eventlog.EntityFunction:
		s.evolveFunction(p, e, at.Seq)
	case eventlog.EntityUser:
		s.evolveUser(p, e, at.Seq)
	case eventlog.EntityAutomation:
		s.evolveAutomation(p, e, at.Seq)
	case eventlog.EntityTrigger:
		s.evolveTrigger(p, e, at.Seq)
	case eventlog.EntityItem, eventlog.EntityRun:
		s.evolveItem(p, e, at.Seq)
	case eventlog.EntityNode, eventlog.EntityPartitions:
	}
}

// evolveItem folds an event of an item or of a run.
func (s *State) evolveItem(p *Partition, e *eventlog.Event, seq uint64) {
	i, known := p.items[e.Subject]
	if !known {
		i = &Item{ID: e.Subject}
		if e.Entity == eventlog.EntityRun {
			i.Kind = KindCall
		}
	} else {
		s.unindex(i)
	}
	listed := known && i.RunSince() != 0
	i.apply(e, seq)
	if !known {
		p.items[i.ID] = i
		if i.Kind == KindItem {
			s.newest.insert(i)
		}
	}
	if !listed && i.RunSince() != 0 {
		s.runs.insert(i)
	}
	s.index(p, i)
}

// index puts an item where it belongs after an event; one that ended only
// stays counted.
func (s *State) index(p *Partition, i *Item) {
	s.count(i, 1)
	t := p.triggers[i.Trigger]
	if i.Status.Final() {
		s.due.remove(i)
		i.Live = nil
		if t != nil {
			delete(t.open, i.ID)
		}
		return
	}
	if t != nil {
		t.open[i.ID] = struct{}{}
	}
	s.refer(i)
	if i.Status == Queued && s.attends(p.ID) {
		s.due.put(i)
	} else {
		s.due.remove(i)
	}
}

// count counts scheduled items by status.
func (s *State) count(i *Item, by int) {
	if i.Kind == KindItem {
		s.counts[i.Status] += by
	}
}

// refer counts an open item among those of its target.
func (s *State) refer(i *Item) {
	if f := s.parts[eventlog.DefinitionPartition].functions[i.Target]; f != nil {
		i.Target = f.ID // one string serves all items of a function
	}
	byUser := s.refs[i.Target]
	if byUser == nil {
		byUser = users{}
		s.refs[i.Target] = byUser
	}
	byUser[i.Live.Runner()]++
}

// unindex is the inverse of index but for the due index, which index settles.
func (s *State) unindex(i *Item) {
	s.count(i, -1)
	if i.Live == nil {
		i.Live = new(LiveItem) // an event after the end; the auditor tells
		return
	}
	byUser := s.refs[i.Target]
	runner := i.Live.Runner()
	if byUser[runner]--; byUser[runner] <= 0 {
		delete(byUser, runner)
	}
	if len(byUser) == 0 {
		delete(s.refs, i.Target)
	}
}

// Settle puts the sequence of a stored commit in the place of its pending one,
// wherever these events left it.
func (s *State) Settle(events []eventlog.Event, pending, seq uint64) {
	for n := range events {
		e := &events[n]
		if e.Partition < 0 {
			s.cluster.settle(pending, seq)
			continue
		}
		p := s.parts[e.Partition]
		p.requests.settle(pending, seq)
		if p.gone[e.Subject] == pending {
			p.gone[e.Subject] = seq
		}
		switch e.Entity {
		case eventlog.EntityFunction:
			if f := p.functions[e.Subject]; f != nil && f.Seq == pending {
				settled := *f
				settled.Seq = seq
				p.functions[f.ID] = &settled
			}
		case eventlog.EntityUser:
			if u := p.users[e.Subject]; u != nil && u.Seq == pending {
				settled := *u
				settled.Seq = seq
				p.users[u.ID] = &settled
			}
		case eventlog.EntityAutomation:
			if a := p.automations[e.Subject]; a != nil && a.Seq == pending {
				settled := *a
				settled.Seq = seq
				p.automations[a.ID] = &settled
			}
		case eventlog.EntityTrigger:
			if t := p.triggers[e.Subject]; t != nil && t.Seq == pending {
				t.Seq = seq
			}
			if fired, ok := e.Data.(*eventlog.TriggerFired); ok {
				p.items[fired.Run].settle(pending, seq)
			}
		case eventlog.EntityItem, eventlog.EntityRun:
			p.items[e.Subject].settle(pending, seq)
		case eventlog.EntityNode, eventlog.EntityPartitions:
		}
	}
}

// SeqOf is the sequence of the commit with the entity's last event: 0 if it has
// none, pending if that is not stored.
func (s *State) SeqOf(e *eventlog.Event) uint64 {
	switch e.Entity {
	case eventlog.EntityFunction:
		if f := s.parts[e.Partition].functions[e.Subject]; f != nil {
			return f.Seq
		}
	case eventlog.EntityUser:
		if u := s.parts[e.Partition].users[e.Subject]; u != nil {
			return u.Seq
		}
	case eventlog.EntityAutomation:
		if a := s.parts[e.Partition].automations[e.Subject]; a != nil {
			return a.Seq
		}
	case eventlog.EntityTrigger:
		if t := s.parts[e.Partition].triggers[e.Subject]; t != nil {
			return t.Seq
		}
	case eventlog.EntityItem, eventlog.EntityRun:
		if i := s.parts[e.Partition].items[e.Subject]; i != nil && i.Revision > 0 {
			return i.Seq
		}
	case eventlog.EntityNode:
		return s.cluster.Nodes[e.Subject].Seq
	case eventlog.EntityPartitions:
		return s.cluster.Moves[e.Subject].Seq
	}
	return 0
}
