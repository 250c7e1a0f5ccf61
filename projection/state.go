package projection

import (
	"github.com/belfryhq/belfry/eventlog"
)

// State is everything that was folded.
type State struct {
	parts   [eventlog.Partitions]*Partition
	cluster Cluster

	due    dueIndex
	newest ordered          // items by creation
	runs   ordered          // items that were claimed, by their first claim
	refs   map[string]users // function id → who its open items run as
	counts [statuses]int    // items by status
}

// users counts open items by the user they run as.
type users map[string]int

// Partition is the part of the state that one owner decides for.
type Partition struct {
	ID  int
	Seq uint64 // every commit up to here is folded; set by Advance

	functions     map[string]*Function
	functionNames map[string]string // unique name → id
	users         map[string]*User
	userNames     map[string]string
	gone          map[string]struct{} // ids of deleted definitions: never used again
	items         map[string]*Item
	requests      requestMemory
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
	s.runs.key = func(i *Item) eventlog.Time { return i.FirstClaimed }
	s.cluster.Nodes, s.cluster.Lanes = map[string]Node{}, map[string]uint64{}
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
		gone:  map[string]struct{}{},
		items: map[string]*Item{},
	}
}

// Fold evolves by one stored commit, skipping what a snapshot already holds.
func (s *State) Fold(m eventlog.Message) error {
	events, err := eventlog.Decode(m.Body)
	if err != nil {
		return err
	}
	at := At{Seq: m.Seq, Lane: m.Lane}
	for n := range events {
		e := &events[n]
		if m.Seq > s.foldedTo(e.Partition) {
			s.Evolve(e, at)
		}
	}
	s.Advance(m.Seq, m.Lane)
	return nil
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
	case eventlog.EntityItem:
		s.evolveItem(p, e, at.Seq)
	case eventlog.EntityNode, eventlog.EntityPartitions:
	}
}

func (s *State) evolveItem(p *Partition, e *eventlog.Event, seq uint64) {
	i, known := p.items[e.Subject]
	if !known {
		i = new(Item)
	}
	hadRun := i.FirstClaimed != 0
	if known {
		s.unindex(i)
	}
	i.apply(e, seq)
	if !known {
		i.ID = e.Subject
		p.items[i.ID] = i
		s.newest.insert(i)
	}
	if !hadRun && i.FirstClaimed != 0 {
		s.runs.insert(i)
	}
	s.index(i)
}

// index puts an item where it belongs after an event; one that ended only
// stays counted.
func (s *State) index(i *Item) {
	s.counts[i.Status]++
	if i.Status.Final() {
		s.due.remove(i)
		i.Live = nil
		return
	}
	s.refer(i)
	if i.Status == Queued {
		s.due.put(i)
	} else {
		s.due.remove(i)
	}
}

// refer counts an open item among those of its function.
func (s *State) refer(i *Item) {
	if f := s.parts[eventlog.DefinitionPartition].functions[i.Function]; f != nil {
		i.Function = f.ID // one string serves all items of a function
	}
	byUser := s.refs[i.Function]
	if byUser == nil {
		byUser = users{}
		s.refs[i.Function] = byUser
	}
	byUser[i.Live.Runner()]++
}

// unindex is the inverse of index but for the due index, which index settles.
func (s *State) unindex(i *Item) {
	s.counts[i.Status]--
	if i.Live == nil {
		i.Live = new(LiveItem) // an event after the end; the auditor tells
		return
	}
	byUser := s.refs[i.Function]
	runner := i.Live.Runner()
	if byUser[runner]--; byUser[runner] <= 0 {
		delete(byUser, runner)
	}
	if len(byUser) == 0 {
		delete(s.refs, i.Function)
	}
}

// Settle puts the sequence of a stored commit in the place of its pending one,
// wherever these events left it.
func (s *State) Settle(events []eventlog.Event, pending, seq uint64) {
	for n := range events {
		e := &events[n]
		if e.Partition < 0 {
			continue
		}
		p := s.parts[e.Partition]
		p.requests.settle(pending, seq)
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
		case eventlog.EntityItem:
			i := p.items[e.Subject]
			if i == nil {
				continue
			}
			if i.Seq == pending {
				i.Seq = seq
			}
			if i.Live != nil && i.Live.Run != nil && i.Live.Run.ClaimSeq == pending {
				i.Live.Run.ClaimSeq = seq
			}
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
	case eventlog.EntityItem:
		if i := s.parts[e.Partition].items[e.Subject]; i != nil {
			return i.Seq
		}
	case eventlog.EntityNode:
		return s.cluster.Nodes[e.Subject].Seq
	case eventlog.EntityPartitions:
		return s.cluster.Moves.Seq
	}
	return 0
}
