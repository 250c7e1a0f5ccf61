package check

import (
	"slices"
	"strings"
	"time"
)

// partitions is the contract's number of them.
const partitions = 64

// Partition is where a trigger, an item or a run lives: FNV-1a over what follows
// the prefix of its id, its halves folded, by the number of partitions.
func Partition(id string) int {
	_, suffix, found := strings.Cut(id, "_")
	if !found {
		suffix = id
	}
	const offset, prime = 14695981039346656037, 1099511628211
	sum := uint64(offset)
	for n := range len(suffix) {
		sum = (sum ^ uint64(suffix[n])) * prime
	}
	return int((sum ^ sum>>32) % partitions)
}

// cluster is who owns what, at the event that is being read.
type cluster struct {
	stream string // as its genesis calls it
	owners [partitions]string
	moved  [partitions]uint64 // the sequence of the move that gave it
	begun  bool               // the genesis was read
	lanes  map[string]*lane
	over   map[string]bool // processes that another has replaced
}

// lane is a node's.
type lane struct {
	opened  uint64 // the sequence of the last opening; 0: none yet
	process string
	drawn   string // when the id of that opening's commit was drawn
}

// stands judges L7: an event stands in the lane of the node that owns its
// partition, and names its partition.
func (v *Verdict) stands(e *Event) {
	switch e.Entity {
	case "partitions":
		v.moves(e)
		return // the coordinator writes it for a node that is gone
	case "node":
		v.source(e)
		if e.verb == "marked" {
			v.marks(e)
		} else {
			v.opens(e)
		}
		return
	}
	want := 0 // of definitions, whose names are unique
	switch e.Entity {
	case "item", "trigger", "run":
		want = Partition(e.Subject)
	}
	if e.Partition != want {
		v.object("L7", e.place(), "%s of %s at %d names partition %d, it lives in %d", e.Type, e.Subject, e.Seq, e.Partition, want)
		return
	}
	if !v.source(e) || !v.cluster.begun {
		return
	}
	owner := v.cluster.owners[want]
	l := v.cluster.lanes[e.lane]
	switch {
	case owner != e.lane:
		v.object("L7", e.place(), "%s of %s stands at %d in the lane of %s, its partition %d is owned by %s since %d",
			e.Type, e.Subject, e.Seq, e.lane, want, owner, v.cluster.moved[want])
	case e.Seq > 1 && l == nil:
		v.object("L7", e.place(), "%s of %s stands at %d in the lane of %s, which no process has opened", e.Type, e.Subject, e.Seq, e.lane)
	case l != nil && v.outlived(e, l):
		v.object("L7", e.place(), "%s of %s at %d was gathered before the opening of lane %s at %d, by a process before it",
			e.Type, e.Subject, e.Seq, e.lane, l.opened)
	}
}

// source judges that who wrote an event wrote into its own lane.
func (v *Verdict) source(e *Event) bool {
	if e.Source == "/belfry/"+e.lane {
		return true
	}
	v.object("L7", e.place(), "event %s of %s stands in lane %s", e.ID, e.Source, e.lane)
	return false
}

// moves judges and folds a move. It counts for what its lane's node owns, and
// the genesis for what nobody owns.
func (v *Verdict) moves(e *Event) {
	c := &v.cluster
	from, to := e.Data.From, e.Data.To
	if e.Partition != -1 {
		v.object("L7", e.place(), "%s at %d names partition %d", e.Type, e.Seq, e.Partition)
	}
	if from != "" && from != e.lane {
		v.object("L7", e.place(), "%s at %d gives partitions of %s, and stands in the lane of %s", e.Type, e.Seq, from, e.lane)
	}
	if c.stream == "" {
		c.stream = e.Data.Stream
	}
	if to == "" {
		v.object("N1", e.place(), "%s at %d gives partitions to nobody", e.Type, e.Seq)
		return
	}
	if c.begun && e.Seq > 1 && c.lanes[to] == nil {
		v.object("N1", e.place(), "%s at %d gives partitions to %s, where no process has opened a lane", e.Type, e.Seq, to)
	}
	for _, p := range e.Data.Partitions {
		switch {
		case p < 0 || p >= partitions:
			v.object("N1", e.place(), "%s at %d gives partition %d, which there is not", e.Type, e.Seq, p)
		case c.owners[p] == e.lane && c.begun || c.owners[p] == "" && e.Seq == 1:
			c.owners[p], c.moved[p] = to, e.Seq
		default:
			v.object("N1", e.place(), "%s at %d in the lane of %s gives partition %d, which is owned by %q since %d",
				e.Type, e.Seq, e.lane, p, c.owners[p], c.moved[p])
		}
	}
	c.begun = c.begun || e.Seq == 1
}

// opens judges and folds the opening of a lane.
func (v *Verdict) opens(e *Event) {
	v.Openings++
	if e.Subject != e.lane {
		v.object("L7", e.place(), "%s of %s stands at %d in the lane of %s", e.Type, e.Subject, e.Seq, e.lane)
	}
	if c := &v.cluster; c.stream != "" && e.Data.Stream != "" && e.Data.Stream != c.stream {
		v.object("R2", e.place(), "node %s opens stream %s at %d, this is %s", e.Subject, e.Data.Stream, e.Seq, c.stream)
	}
	if v.cluster.over[e.Data.Process] {
		v.object("L7", e.place(), "process %s opens the lane of %s at %d, after it was replaced", e.Data.Process, e.lane, e.Seq)
	}
	if before := v.cluster.lanes[e.lane]; before != nil {
		v.cluster.over[before.process] = true
	}
	v.cluster.lanes[e.lane] = &lane{process: e.Data.Process, opened: e.Seq, drawn: drawn(e.ID)}
}

// marks judges a marker: it tells nothing but that its node's process, the one
// that opened the lane, could append.
func (v *Verdict) marks(e *Event) {
	v.Markers++
	if e.Partition != -1 {
		v.object("L7", e.place(), "%s at %d names partition %d", e.Type, e.Seq, e.Partition)
	}
	l := v.cluster.lanes[e.lane]
	switch {
	case e.Subject != e.lane:
		v.object("L7", e.place(), "%s of %s stands at %d in the lane of %s", e.Type, e.Subject, e.Seq, e.lane)
	case l == nil:
		v.object("L7", e.place(), "%s at %d stands in the lane of %s, which no process has opened", e.Type, e.Seq, e.lane)
	case l.process != e.Data.Process:
		v.object("L7", e.place(), "%s at %d is of process %s, the lane of %s is process %s's since %d", e.Type, e.Seq, e.Data.Process, e.lane, l.process, l.opened)
	case v.outlived(e, l):
		v.object("L7", e.place(), "%s at %d was gathered before the opening of lane %s at %d, by a process before it", e.Type, e.Seq, e.lane, l.opened)
	}
}

// drawn is when the id of an event's commit was drawn: the first ten characters
// of a ULID, which sort as the milliseconds that they tell; "" if it is none.
func drawn(id string) string {
	commit, _, _ := strings.Cut(id, ".")
	if len(commit) != 26 || strings.ContainsFunc(commit, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z')
	}) {
		return ""
	}
	return commit[:10]
}

// outlived says that a commit's id was drawn before its lane's last opening, so
// by a process that the opening has fenced. Clocks that a fault turned back
// prove nothing.
func (v *Verdict) outlived(e *Event, l *lane) bool {
	at := drawn(e.ID)
	return at != "" && l.drawn != "" && at < l.drawn && !v.wrong(e.lane, e.Time)
}

// genesis judges N1 when the first commit was read: everything is owned.
func (v *Verdict) genesis() {
	if free := v.free(); v.cluster.begun && free > 0 {
		v.object("N1", place{seq: 1, partition: -1}, "the genesis leaves %d partitions to nobody", free)
	}
}

func (v *Verdict) free() (free int) {
	for _, owner := range v.cluster.owners {
		if owner == "" {
			free++
		}
	}
	return free
}

// Owned judges N1: every partition has one owner, from the genesis on. (A move
// takes it from its one owner to another, else it is objected to when read.)
// With names of nodes, each owner at the end is one of them.
func (v *Verdict) Owned(living ...string) {
	if !v.cluster.begun {
		v.object("N1", place{seq: 1, partition: -1}, "the log has no genesis: nobody owns a partition")
		return
	}
	for p, owner := range v.cluster.owners {
		if len(living) > 0 && !slices.Contains(living, owner) {
			v.object("N1", place{seq: v.end(), partition: p}, "partition %d belongs to %q, which does not live", p, owner)
		}
	}
}

// Owner is the node that owns a partition at the end of what was read.
func (v *Verdict) Owner(partition int) string { return v.cluster.owners[partition] }

// AllDecidedFor judges N1 after the faults: each partition that had work due
// between two moments was decided for by its owner after the first. A zero end
// is the time of the last event.
func (v *Verdict) AllDecidedFor(from, until time.Time) {
	if until.IsZero() {
		until = v.Last
	}
	waits := [partitions]string{}
	for id, l := range v.lives {
		if l.Status == queued && !later(l.Due, l.retry).After(until) {
			waits[l.partition] = max(waits[l.partition], id)
		}
	}
	for id, t := range v.Triggers {
		if t.Status != active {
			continue
		}
		if next := v.next(t.plan, later(t.plan.after, t.decided)); !next.IsZero() && !next.After(until) {
			waits[Partition(id)] = max(waits[Partition(id)], id)
		}
	}
	for p, id := range slices.All(waits[:]) {
		if id != "" && v.decided[p].Before(from) {
			v.object("N1", place{v.end(), id, p}, "partition %d, owned by %q, has work due by %s (%s) and nothing was decided for it after %s, the last at %s",
				p, v.cluster.owners[p], stamp(until), id, stamp(from), stamp(v.decided[p]))
		}
	}
}
