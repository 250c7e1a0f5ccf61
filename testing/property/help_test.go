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
	rules rules
	// versions are those of the functions that attempts were claimed for, as
	// the log has them: what an executor runs (0: deleted, or an automation).
	versions map[attempt]int
	reader   *projection.State // the fold of the log
}

// attempt is one of an item or a run.
type attempt struct {
	id     string
	number int
}

// decider owns some partitions, at first every other one, and runs ahead of its
// lane.
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
	first   map[entity]link
	seq     uint64 // 0: not stored
}

// entity is what events chain by.
type entity struct {
	kind eventlog.Entity
	id   string
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
func newWorld(now eventlog.Time, r rules) *world {
	w := &world{now: now, cause: map[string]bool{}, rules: r, versions: map[attempt]int{}, reader: projection.NewState()}
	for _, name := range []string{"ada", "bob"} {
		n := &decider{name: name, state: projection.NewState(), taken: map[string]bool{}}
		n.state.Attend(name)
		w.nodes = append(w.nodes, n)
	}
	var odd []int
	for p := 1; p < eventlog.Partitions; p += 2 {
		odd = append(odd, p)
	}
	by := command.BySystem(now)
	w.lone("ada", command.Genesis(by, "ada", "s")...)
	for _, n := range w.nodes {
		w.lone(n.name, command.Opening(by, n.name, projection.Node{}, eventlog.NodeOpened{Process: n.name + "1", Stream: "s", Version: "0"}))
	}
	w.lone("ada", command.Move(by, "ada", "bob", projection.Move{}, odd))
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
		if err := n.follow(w.log, len(w.log), w.rules); err != nil {
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
	m := eventlog.Message{Seq: c.seq, Lane: lane, Body: eventlog.AppendCommit(nil, c.encoded, prev)}
	w.log = append(w.log, m)
	w.read(m)
}

// read keeps what executors would be told.
func (w *world) read(m eventlog.Message) {
	events, err := eventlog.Decode(m.Body)
	if err != nil {
		panic(err)
	}
	for n := range events {
		e := &events[n]
		w.reader.Evolve(e, projection.At{Seq: m.Seq, Lane: m.Lane})
		d, claimed := eventlog.ForItem(e.Data).(*eventlog.ItemClaimed)
		if !claimed {
			continue
		}
		if f := w.reader.FunctionByRef(w.reader.Item(e.Subject).Target, true); f != nil {
			w.versions[attempt{e.Subject, d.Attempt}] = f.Version
		}
	}
	w.reader.Advance(m.Seq, m.Lane)
}

// owner decides for a partition. What is between two nodes arrives first.
func (w *world) owner(partition int) *decider {
	for range 2 {
		for _, n := range w.nodes {
			if n.owns(partition) {
				return n
			}
		}
		if err := w.settle(); err != nil {
			panic(err)
		}
	}
	panic(fmt.Sprint("nobody decides for partition ", partition))
}

func (n *decider) owns(partition int) bool {
	return n.state.Cluster().Owners[partition].Node == n.name
}

// move hands partitions over, in good order: from now on the giver decides no
// more for them, the other once it has read that.
func (w *world) move(from, to *decider, partitions []int) error {
	e := command.Move(command.BySystem(w.now), from.name, to.name, from.state.Cluster().Moves[from.name], partitions)
	refused, err := from.gather([]eventlog.Event{e}, w.rules)
	if err == nil && refused != nil {
		err = refused
	}
	for id := range from.taken { // given back, they are in its index again
		if !from.owns(partitionOf(id)) {
			delete(from.taken, id)
		}
	}
	return err
}

// partitionOf is where an item, a run or a trigger lives.
func partitionOf(id string) int { return eventlog.PartitionOf(eventlog.EntityItem, id) }

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
func (n *decider) gather(events []eventlog.Event, r rules) (*api.Error, error) {
	if len(events) == 0 {
		return nil, nil
	}
	if n.filling == nil {
		n.filling = &batch{n: uint64(len(n.commits) + 1), first: map[entity]link{}}
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
		return n.gather(events, r)
	}
	if len(c.events) == 0 {
		n.commits = append(n.commits, c)
	}
	c.size += size
	for i := range events {
		e := &events[i]
		of := entity{e.Entity, e.Subject}
		first, again := c.first[of]
		if !again {
			first = n.before(e)
			c.first[of] = first
		}
		c.events, c.encoded, c.prev = append(c.events, *e), append(c.encoded, encoded[i]), append(c.prev, first)
		delete(n.taken, e.Subject)
		if err := n.alone(e, projection.At{Seq: projection.Pending(c.n), Lane: n.name}, r); err != nil {
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
	if len(got) != 1 || !reflect.DeepEqual(got[0], written(*e)) {
		return nil, fmt.Errorf("%s of %s is read back as %+v %+v, not %+v %+v", e.Type(), e.Subject, got[0], got[0].Data, *e, e.Data)
	}
	return encoded, nil
}

// written is an event as the log has it: the result of a run, which no state
// keeps, in the log's spelling, not in its executor's.
func written(e eventlog.Event) eventlog.Event {
	d, completed := eventlog.ForItem(e.Data).(*eventlog.ItemCompleted)
	if !completed {
		return e
	}
	spelled := *d
	var err error
	if spelled.Result, err = eventlog.Spell(d.Result); err != nil {
		panic(err) // it was encoded
	}
	e.Data = &spelled
	if e.Entity == eventlog.EntityRun {
		e.Data = eventlog.ForRun(&spelled)
	}
	return e
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
func (n *decider) follow(log []eventlog.Message, upTo int, r rules) error {
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
		if err = cmp.Or(err, r.object(objection)); err != nil {
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
		if err := n.follow(w.log, len(w.log), w.rules); err != nil {
			return err
		}
	}
	return nil
}
