package property

import (
	"cmp"
	"fmt"
	"reflect"
	"strconv"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// world is deciders without what drives them: two nodes, each with the state it
// decides by, and the log. Nothing happens in it but what a test lets happen.
type world struct {
	now   eventlog.Time
	nodes []*decider
	log   []eventlog.Message
	drawn int             // ids and causes so far
	cause map[string]bool // those that came with an event
	// decide and evolve are the product's, or what a control puts in their place.
	decide deciding
	evolve evolution
}

// decider owns every other partition and runs ahead of its lane.
type decider struct {
	name    string
	state   *projection.State
	commits []*batch // all of them; the n-th is number n+1
	filling *batch   // takes events; nil after a seal
	stored  int      // commits in the log
	folded  int      // messages of the log that it has seen
	// taken are what was taken out of the due index and had no event since.
	taken map[string]bool
}

// batch is a commit on its way.
type batch struct {
	n       uint64
	size    int
	events  []eventlog.Event
	encoded []eventlog.Encoded
	prev    []link
	first   map[string]link
	seq     uint64 // 0: not stored
}

// link is an event's prev: a sequence, or that of a commit that has none yet.
type link struct {
	seq   uint64
	after *batch
}

func (l link) resolve() uint64 {
	if l.after != nil {
		return l.after.seq
	}
	return l.seq
}

// newWorld begins a log: a genesis by ada, half of the partitions to bob.
func newWorld(now eventlog.Time) *world {
	w := &world{now: now, cause: map[string]bool{}, decide: command.Decide, evolve: (*projection.State).Evolve}
	for _, name := range []string{"ada", "bob"} {
		w.nodes = append(w.nodes, &decider{name: name, state: projection.NewState(), taken: map[string]bool{}})
	}
	var odd []int
	for p := 1; p < eventlog.Partitions; p += 2 {
		odd = append(odd, p)
	}
	by := command.BySystem(now)
	moved := command.Genesis(by, "", "")[0]
	moved.Revision, moved.Prev = 2, 1
	moved.Data = &eventlog.PartitionsMoved{From: "ada", To: "bob", Partitions: odd}
	w.lone("ada", command.Genesis(by, "ada", "s")...)
	for _, n := range w.nodes {
		w.lone(n.name, command.Opening(by, n.name, projection.Node{}, eventlog.NodeOpened{Process: n.name + "1", Stream: "s", Version: "0"}))
	}
	w.lone("ada", moved)
	return w
}

// lone appends a commit that no state has run ahead to.
func (w *world) lone(lane string, events ...eventlog.Event) {
	c := &batch{}
	for n := range events {
		events[n].ID, events[n].Source = fmt.Sprint("lone", len(w.log), ".", n), "/belfry/"+lane
		encoded, err := eventlog.Encode(&events[n])
		if err != nil {
			panic(err)
		}
		c.encoded, c.prev = append(c.encoded, encoded), append(c.prev, link{seq: events[n].Prev})
	}
	w.append(lane, c)
	for _, n := range w.nodes {
		if err := n.follow(w.log, len(w.log)); err != nil {
			panic(err)
		}
	}
}

func (w *world) append(lane string, c *batch) {
	prev := make([]uint64, len(c.prev))
	for n, l := range c.prev {
		prev[n] = l.resolve()
	}
	c.seq = uint64(len(w.log) + 1)
	w.log = append(w.log, eventlog.Message{Seq: c.seq, Lane: lane, Body: eventlog.AppendCommit(nil, c.encoded, prev)})
}

// owner decides for a partition.
func (w *world) owner(partition int) *decider { return w.nodes[partition%len(w.nodes)] }

// draw is a number that was not drawn before.
func (w *world) draw() int {
	w.drawn++
	return w.drawn
}

// run draws the id of a run in a partition.
func (w *world) run(partition int) string {
	for {
		if id := fmt.Sprintf("run_9%015d", w.draw()); eventlog.PartitionOf(eventlog.EntityRun, id) == partition {
			return id
		}
	}
}

// gather takes what a command caused into the node's open commit and evolves,
// as a node does: all events or none.
func (n *decider) gather(events []eventlog.Event, evolve evolution) (*api.Error, error) {
	if len(events) == 0 {
		return nil, nil
	}
	if n.filling == nil {
		n.filling = &batch{n: uint64(len(n.commits) + 1), first: map[string]link{}}
	}
	c, size, encoded := n.filling, 0, make([]eventlog.Encoded, len(events))
	for i := range events {
		e := &events[i]
		e.Source, e.ID = "/belfry/"+n.name, n.name+strconv.FormatUint(c.n, 10)+"."+strconv.Itoa(len(c.events)+i)
		var err error
		if encoded[i], err = roundTrip(e); err != nil {
			return nil, err
		}
		size += encoded[i].Size()
	}
	if size > eventlog.EventBytesMax {
		return api.Errorf(api.TooLarge, "", "too large"), nil
	}
	if c.size+size > eventlog.CommitBytesMax && len(c.events) > 0 {
		n.filling = nil
		return n.gather(events, evolve)
	}
	if len(c.events) == 0 {
		n.commits = append(n.commits, c)
	}
	c.size += size
	for i := range events {
		e := &events[i]
		first, again := c.first[e.Subject]
		if !again {
			first = n.before(e)
			c.first[e.Subject] = first
		}
		c.events, c.encoded, c.prev = append(c.events, *e), append(c.encoded, encoded[i]), append(c.prev, first)
		delete(n.taken, e.Subject)
		if err := n.alone(e, projection.At{Seq: projection.Pending(c.n), Lane: n.name}, evolve); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// before is the link to the commit with the entity's event before e.
func (n *decider) before(e *eventlog.Event) link {
	seq := n.state.SeqOf(e)
	if number, pending := projection.IsPending(seq); pending {
		return link{after: n.commits[number-1]}
	}
	return link{seq: seq}
}

// roundTrip encodes an event, which must be read back as it was.
func roundTrip(e *eventlog.Event) (eventlog.Encoded, error) {
	encoded, err := eventlog.Encode(e)
	if err != nil {
		return nil, fmt.Errorf("%s of %s cannot be encoded: %w", e.Type(), e.Subject, err)
	}
	got, err := eventlog.Decode(eventlog.AppendCommit(nil, []eventlog.Encoded{encoded}, []uint64{e.Prev}))
	if err != nil {
		return nil, fmt.Errorf("%s of %s cannot be read back: %w", e.Type(), e.Subject, err)
	}
	// By what it says: JSON of others is compacted on the way.
	if again, err := eventlog.Encode(&got[0]); err != nil || len(got) != 1 || !reflect.DeepEqual(again, encoded) {
		return nil, fmt.Errorf("%s of %s is read back as %+v %+v, not %+v %+v: %w", e.Type(), e.Subject, got[0], got[0].Data, *e, e.Data, err)
	}
	return encoded, nil
}

// store puts the node's next commit into the log, if there is one.
func (w *world) store(n *decider) bool {
	if n.stored == len(n.commits) {
		return false
	}
	c := n.commits[n.stored]
	if c == n.filling {
		n.filling = nil
	}
	w.append(n.name, c)
	n.stored++
	return true
}

// follow lets the node see the log up to a message: its own commits as
// acknowledged, those of others for the first time.
func (n *decider) follow(log []eventlog.Message, upTo int) error {
	for ; n.folded < upTo; n.folded++ {
		m := log[n.folded]
		var own *batch
		for _, c := range n.commits {
			if m.Lane == n.name && c.seq == m.Seq {
				own = c
			}
		}
		if own != nil {
			n.state.Settle(own.events, projection.Pending(own.n), own.seq)
			n.state.Advance(own.seq, n.name)
			continue
		}
		events, objection, err := n.state.Fold(m)
		if err = cmp.Or(err, objection); err != nil {
			return fmt.Errorf("commit %d of %s: %w", m.Seq, m.Lane, err)
		}
		for _, e := range events {
			delete(n.taken, e.Subject)
		}
	}
	return nil
}

// settle stores everything, and lets every node see it.
func (w *world) settle() error {
	for _, n := range w.nodes {
		for w.store(n) {
		}
	}
	for _, n := range w.nodes {
		if err := n.follow(w.log, len(w.log)); err != nil {
			return err
		}
	}
	return nil
}
