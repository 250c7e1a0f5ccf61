package property

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
	"github.com/belfryhq/belfry/testing/check"
)

// TestWhatMayFollow: any sequence of commands, committed anyhow, on two nodes
// of which each knows the other's part late.
func TestWhatMayFollow(t *testing.T) {
	noFiles(t)
	rapid.Check(t, sequence(product()))
}

// noFiles: the seed in the message reproduces a failure; no file is left behind.
func noFiles(t *testing.T) {
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		t.Fatal(err)
	}
}

// sequence is the property: what follows by these rules is as it must be.
func sequence(r rules) func(*rapid.T) {
	return func(t *rapid.T) {
		start := rapid.SampledFrom([]eventlog.Time{1_800_000_000_000, 1_835_395_199_000, 1_798_761_599_999}).Draw(t, "start")
		w := newWorld(start, r)
		furnish(t, w)
		p := &play{w: w}
		t.Repeat(map[string]func(*rapid.T){
			"change":  func(t *rapid.T) { p.do(t, hand{t, w}.change()) },
			"item":    func(t *rapid.T) { p.do(t, hand{t, w}.changeItem()) },
			"trigger": func(t *rapid.T) { p.do(t, hand{t, w}.changeTrigger()) },
			"call":    func(t *rapid.T) { p.do(t, hand{t, w}.call()) },
			"claim":   func(t *rapid.T) { p.do(t, hand{t, w}.claim()) },
			"finish":  p.finish,
			"due":     p.due,
			"again":   p.again,
			"clock":   func(t *rapid.T) { hand{t, w}.clock() },
			"commit":  p.commit,
			"move":    p.move,
		})
		must(t, p.end(t))
	}
}

func must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// furnish makes what most commands refer to.
func furnish(t *rapid.T, w *world) {
	by := command.By{User: "admin", Now: w.now, CauseIndex: -1}
	for _, build := range []builder{
		func() (command.Command, *api.Error) {
			return made(command.NewCreateFunction(by, api.FunctionInput{ID: "fun_0000000000000001", Name: new("a"), Code: new("c")}, ""))
		},
		func() (command.Command, *api.Error) { return made(command.NewCreateUser(by, api.UserInput{ID: "ann"})) },
		func() (command.Command, *api.Error) {
			in := api.TriggerInput{ID: "sts_0000000000000001", Name: new("t"), CronSchedule: new("*/5 * * * *"), Function: &api.RefInput{IDOrName: "a"}}
			return made(command.NewCreateTrigger(by, in, ""))
		},
	} {
		_, err := w.do(build)
		must(t, err)
		must(t, w.settle())
	}
}

// play is a sequence of commands in a world.
type play struct {
	w    *world
	last builder // the last command that stored something
}

func (p *play) do(t *rapid.T, build builder) decision {
	d, err := p.w.do(build)
	must(t, err)
	if len(d.events) > 0 {
		p.last = build
	}
	return d
}

// finish: a report counts if it is of the open attempt, of its executor and
// incarnation; then it counts once. Else it changes nothing.
func (p *play) finish(t *rapid.T) {
	build, counts := hand{t, p.w}.finish()
	if d := p.do(t, build); counts != (len(d.events) == 1) || d.refused != nil {
		t.Fatalf("a report of which it is %v that it counts: %d events follow, refused: %v", counts, len(d.events), d.refused)
	}
}

// due: what the index gives is claimed, or its occurrence decided, and nothing
// of it is due any more.
func (p *play) due(t *rapid.T) {
	n := p.w.nodes[rapid.IntRange(0, 1).Draw(t, "node")]
	h := hand{t, p.w}
	if trigger := n.state.TakeOccurrence(p.w.now); trigger != nil {
		id := trigger.ID
		p.mine(t, n, id, trigger.Next)
		d := p.do(t, h.fire(id))
		if after := n.state.Trigger(id); len(d.events) == 0 || after.Next != 0 && after.Next <= p.w.now {
			t.Fatalf("an occurrence of %s is due at %v: %d events follow, the next is %v", id, p.w.now, len(d.events), after.Next)
		}
	}
	if item := n.state.TakeDue(p.w.now); item != nil {
		id := item.ID
		p.mine(t, n, id, item.Live.Due)
		if d := p.do(t, h.claimOf(id)); len(d.events) == 0 {
			t.Fatalf("%s is due at %v and not claimed", id, p.w.now)
		}
	}
}

// mine: a node is given only what is due, and its own.
func (p *play) mine(t *rapid.T, n *decider, id string, at eventlog.Time) {
	n.taken[id] = true
	if at > p.w.now || !n.owns(partitionOf(id)) {
		t.Fatalf("%s is given %s, due at %v, at %v; its partition is decided by %s", n.name, id, at, p.w.now, p.w.owner(partitionOf(id)).name)
	}
}

// move hands some of a node's partitions over to the other.
func (p *play) move(t *rapid.T) {
	of := rapid.IntRange(0, 1).Draw(t, "of")
	nth := rapid.IntRange(1, 5).Draw(t, "every")
	from, to := p.w.nodes[of], p.w.nodes[1-of]
	var given []int
	for partition := range eventlog.Partitions {
		if from.owns(partition) && partition%nth == 0 {
			given = append(given, partition)
		}
	}
	if len(given) == 0 {
		t.Skip("it has none of these")
	}
	must(t, p.w.move(from, to, given))
}

// again: a command that is repeated at once stores nothing; a create says that
// its id is taken, and by what.
func (p *play) again(t *rapid.T) {
	if p.last == nil {
		t.Skip("nothing was done yet")
	}
	c, _ := p.last()
	if _, byHand := c.(command.RunTrigger); byHand {
		t.Skip("a second run by hand is a second run")
	}
	p.repeat(t, c)
	p.last = nil
}

func (p *play) repeat(t *rapid.T, c command.Command) {
	d, err := p.w.do(p.last)
	must(t, err)
	if len(d.events) > 0 {
		t.Fatalf("%T is done a second time: %+v", c, d.events[0])
	}
	if !strings.HasPrefix(fmt.Sprintf("%T", c), "command.Create") {
		return
	}
	if d.refused == nil || d.refused.Code != api.AlreadyExists && d.refused.Code != api.UnknownUser && d.refused.Code != api.Forbidden {
		t.Fatalf("%T is repeated, and the answer is %v", c, d.refused)
	}
	if d.refused.Entity != "" && d.refused.Entity != c.Target() {
		t.Fatalf("%s is created again, and %s stands in the way", c.Target(), d.refused.Entity)
	}
}

// commit seals, stores and lets nodes see some of what is decided.
func (p *play) commit(t *rapid.T) {
	n := p.w.nodes[rapid.IntRange(0, 1).Draw(t, "node")]
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 0:
		n.filling = nil
	case 1:
		for range rapid.IntRange(1, 3).Draw(t, "commits") {
			p.w.store(n)
		}
	case 2:
		must(t, n.follow(p.w.log, rapid.IntRange(n.folded, len(p.w.log)).Draw(t, "up to"), p.w.rules))
	case 3:
		must(t, p.w.settle())
	}
}

// end: all states are the fold of the log, by their bytes and their answers,
// and the judge accepts it.
func (p *play) end(t *rapid.T) error {
	if err := p.w.settle(); err != nil {
		return err
	}
	full, err := fold(p.w.log, p.w.rules)
	if err != nil {
		return err
	}
	cut := func(label string) int { return rapid.IntRange(0, len(p.w.log)).Draw(t, label) }
	attended := rapid.SampledFrom([]string{"", "ada", "bob"}).Draw(t, "reloaded by")
	reloaded, err := reload(p.w.log, cut("snapshot of even partitions"), cut("snapshot of odd partitions"), attended, p.w.rules)
	if err != nil {
		return fmt.Errorf("P2: snapshot + tail: %w", err)
	}
	if err := same(full, reloaded, p.w.cause); err != nil {
		return fmt.Errorf("P2: snapshot + tail: %w", err)
	}
	verdict := judged(p.w.log)
	verdict.Owned("ada", "bob")
	if err := accepted(verdict); err != nil {
		return err
	}
	for _, n := range p.w.nodes {
		if err := p.known(n, full, verdict); err != nil {
			return fmt.Errorf("P1: %s: %w", n.name, err)
		}
	}
	if err := drained(reloaded, attended, nil); err != nil {
		return fmt.Errorf("P2: snapshot + tail: %w", err)
	}
	return drained(full, "", nil)
}

// known: what a node has in memory is what the log says.
func (p *play) known(n *decider, full *projection.State, verdict *check.Verdict) error {
	if err := same(full, n.state, p.w.cause); err != nil {
		return err
	}
	if err := recounted(n.state, verdict); err != nil {
		return err
	}
	if err := readBack(n.state, p.w.log); err != nil {
		return err
	}
	return drained(n.state, n.name, n.taken)
}
