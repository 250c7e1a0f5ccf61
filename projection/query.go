package projection

import (
	"cmp"
	"slices"

	"github.com/belfryhq/belfry/eventlog"
)

// Hints is what a decider may know of partitions that are not its own: a
// prefix of the truth that may lag. Nothing that must be exact may rest on it.
type Hints interface {
	// FunctionByRef finds by id or, unless idOnly, by unique name.
	FunctionByRef(ref string, idOnly bool) *Function
	UserByRef(ref string, idOnly bool) *User
	AutomationByRef(ref string, idOnly bool) *Automation
	// OpenItems counts the open items and runs that refer to a function or an
	// automation, by the user they run as. The map must not be changed.
	OpenItems(target string) map[string]int
	// OpenItemsOf counts the open items and runs that run as a user.
	OpenItemsOf(user string) int
	// Triggers calls f with every trigger, in no order, until f returns false.
	Triggers(f func(*Trigger) bool)
	// Automations lists all automations, newest first.
	Automations() []*Automation
}

// Partition is one partition's state.
func (s *State) Partition(p int) *Partition { return s.parts[p] }

// Cluster is what is known of the nodes; read only.
func (s *State) Cluster() *Cluster { return &s.cluster }

// Item finds an item, or a run of a trigger or a call, by its id; nil if there
// never was one. Read only; Copy to keep.
func (p *Partition) Item(id string) *Item { return p.items[id] }

// Run finds the item or the run that a run's id names; nil if there is none.
func (p *Partition) Run(id string) *Item {
	if i := p.items[id]; i != nil && i.Kind != KindItem {
		return i
	}
	if i := p.items[eventlog.ItemOfRun(id)]; i != nil && i.FirstClaimed != 0 && i.RunID() == id {
		return i
	}
	return nil
}

// Trigger finds a trigger by id. Read only; Copy to keep.
func (p *Partition) Trigger(id string) *Trigger { return p.triggers[id] }

// Automation finds an automation by id. Its value never changes.
func (p *Partition) Automation(id string) *Automation { return p.automations[id] }

// AutomationNamed finds by unique name.
func (p *Partition) AutomationNamed(name string) *Automation {
	return p.automations[p.automationNames[name]]
}

// Function finds a function by id. Its value never changes; updates replace it.
func (p *Partition) Function(id string) *Function { return p.functions[id] }

// FunctionNamed finds by unique name.
func (p *Partition) FunctionNamed(name string) *Function { return p.functions[p.functionNames[name]] }

// User finds a user by id. Its value never changes; updates replace it.
func (p *Partition) User(id string) *User { return p.users[id] }

// UserNamed finds by unique name.
func (p *Partition) UserNamed(name string) *User { return p.users[p.userNames[name]] }

// Superusers counts the users that may do everything.
func (p *Partition) Superusers() int {
	n := 0
	for _, u := range p.users {
		if u.Superuser() {
			n++
		}
	}
	return n
}

// Gone says whether a definition of this id was deleted.
func (p *Partition) Gone(id string) bool {
	_, gone := p.gone[id]
	return gone
}

// GoneAt is the sequence of the commit that holds a deletion; 0 if none does.
func (p *Partition) GoneAt(id string) uint64 { return p.gone[id] }

// Request finds the sequences of the commits that hold what a request did.
func (p *Partition) Request(id string) []uint64 { return p.requests.find(id) }

// Item finds an item by id.
func (s *State) Item(id string) *Item {
	return s.parts[eventlog.PartitionOf(eventlog.EntityItem, id)].items[id]
}

// Run finds the item or the run that a run's id names; nil if there is none.
func (s *State) Run(id string) *Item {
	return s.parts[eventlog.PartitionOf(eventlog.EntityRun, id)].Run(id)
}

// Trigger finds a trigger by id.
func (s *State) Trigger(id string) *Trigger {
	return s.parts[eventlog.PartitionOf(eventlog.EntityTrigger, id)].triggers[id]
}

// Triggers implements Hints.
func (s *State) Triggers(f func(*Trigger) bool) {
	for _, p := range s.parts {
		for _, t := range p.triggers {
			if !f(t) {
				return
			}
		}
	}
}

// AutomationByRef implements Hints.
func (s *State) AutomationByRef(ref string, idOnly bool) *Automation {
	p := s.parts[eventlog.DefinitionPartition]
	if a := p.automations[ref]; a != nil || idOnly {
		return a
	}
	return p.AutomationNamed(ref)
}

// Automations implements Hints.
func (s *State) Automations() []*Automation {
	return newestFirst(s.parts[eventlog.DefinitionPartition].automations, func(a *Automation) *Meta { return &a.Meta })
}

// FunctionByRef implements Hints.
func (s *State) FunctionByRef(ref string, idOnly bool) *Function {
	p := s.parts[eventlog.DefinitionPartition]
	if f := p.functions[ref]; f != nil || idOnly {
		return f
	}
	return p.FunctionNamed(ref)
}

// UserByRef implements Hints.
func (s *State) UserByRef(ref string, idOnly bool) *User {
	p := s.parts[eventlog.DefinitionPartition]
	if u := p.users[ref]; u != nil || idOnly {
		return u
	}
	return p.UserNamed(ref)
}

// OpenItems implements Hints.
func (s *State) OpenItems(target string) map[string]int { return s.refs[target] }

// OpenItemsOf implements Hints.
func (s *State) OpenItemsOf(user string) (n int) {
	for _, byUser := range s.refs {
		n += byUser[user]
	}
	return n
}

// CountItems counts the items of a status.
func (s *State) CountItems(status Status) int { return s.counts[status] }

// ScanItems walks items from the newest created before c to older ones: at
// most steps of them, so that a reader holds its lock for a bounded time. A
// zero c begins at the newest. Done: there is nothing older.
func (s *State) ScanItems(c Cursor, steps, limit int, match func(*Item) bool) (found []Item, next Cursor, done bool) {
	refs, next, done := s.newest.scan(c, steps, limit, match)
	return copies(refs, (*Item).Copy), next, done
}

// ScanRuns is ScanItems over runs, by when they came to be (Item.RunSince).
func (s *State) ScanRuns(c Cursor, steps, limit int, match func(*Item) bool) (found []Item, next Cursor, done bool) {
	refs, next, done := s.runs.scan(c, steps, limit, match)
	return copies(refs, (*Item).Copy), next, done
}

// ScanTriggers is ScanItems over triggers.
func (s *State) ScanTriggers(c Cursor, steps, limit int, match func(*Trigger) bool) (found []Trigger, next Cursor, done bool) {
	refs, next, done := s.triggers.scan(c, steps, limit, match)
	return copies(refs, (*Trigger).Copy), next, done
}

func copies[T any](refs []*T, copyOf func(*T) T) []T {
	list := make([]T, len(refs))
	for n, r := range refs {
		list[n] = copyOf(r)
	}
	return list
}

// OpenClaims calls f with every item of a partition whose attempt is open.
func (s *State) OpenClaims(partition int, f func(*Item)) {
	for _, i := range s.parts[partition].items {
		if i.Live != nil && i.Live.Run != nil && i.Live.Run.Open {
			f(i)
		}
	}
}

// Functions lists all functions, newest first.
func (s *State) Functions() []*Function {
	return newestFirst(s.parts[eventlog.DefinitionPartition].functions, func(f *Function) *Meta { return &f.Meta })
}

// Users lists all users, newest first.
func (s *State) Users() []*User {
	return newestFirst(s.parts[eventlog.DefinitionPartition].users, func(u *User) *Meta { return &u.Meta })
}

func newestFirst[R any](records map[string]*R, meta func(*R) *Meta) []*R {
	list := make([]*R, 0, len(records))
	for _, r := range records {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *R) int {
		x, y := meta(a), meta(b)
		return cmp.Or(cmp.Compare(y.Created, x.Created), cmp.Compare(y.ID, x.ID))
	})
	return list
}
