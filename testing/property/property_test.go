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
)

// TestWhatMayFollow: any sequence of commands, committed anyhow, on two nodes
// of which each knows the other's part late.
func TestWhatMayFollow(t *testing.T) {
	// The seed in the message reproduces a failure; no file is left behind.
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, sequence(func(*world) {}))
}

// sequence is any sequence of commands in a world that was changed.
func sequence(change func(*world)) func(*rapid.T) {
	return func(t *rapid.T) {
		start := rapid.SampledFrom([]eventlog.Time{1_800_000_000_000, 1_835_395_199_000, 1_798_761_599_999}).Draw(t, "start")
		w := newWorld(start)
		furnish(t, w)
		change(w)
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
	n := rapid.SampledFrom(p.w.nodes).Draw(t, "node")
	h := hand{t, p.w}
	if trigger := n.state.TakeOccurrence(p.w.now); trigger != nil {
		n.taken[trigger.ID] = true
		if id := trigger.ID; p.w.owner(eventlog.PartitionOf(eventlog.EntityTrigger, id)) == n {
			d := p.do(t, h.fire(id))
			if after := n.state.Trigger(id); len(d.events) == 0 || after.Next != 0 && after.Next <= p.w.now {
				t.Fatalf("an occurrence of %s is due at %v: %d events follow, the next is %v", id, p.w.now, len(d.events), after.Next)
			}
		}
	}
	if item := n.state.TakeDue(p.w.now); item != nil {
		n.taken[item.ID] = true
		if id := item.ID; p.w.owner(eventlog.PartitionOf(eventlog.EntityItem, id)) == n {
			if d := p.do(t, h.claimOf(id)); len(d.events) == 0 {
				t.Fatalf("%s is due at %v and not claimed", id, p.w.now)
			}
		}
	}
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
	n := rapid.SampledFrom(p.w.nodes).Draw(t, "node")
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 0:
		n.filling = nil
	case 1:
		for range rapid.IntRange(1, 3).Draw(t, "commits") {
			p.w.store(n)
		}
	case 2:
		must(t, n.follow(p.w.log, rapid.IntRange(n.folded, len(p.w.log)).Draw(t, "up to")))
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
	full, err := fold(p.w.log)
	if err != nil {
		return err
	}
	cut := func(label string) int { return rapid.IntRange(0, len(p.w.log)).Draw(t, label) }
	reloaded, err := reload(p.w.log, cut("snapshot of even partitions"), cut("snapshot of odd partitions"))
	if err != nil {
		return err
	}
	if err := same(full, reloaded, p.w.cause); err != nil {
		return fmt.Errorf("P2: snapshot + tail: %w", err)
	}
	verdict := judged(p.w.log)
	if err := accepted(verdict); err != nil {
		return err
	}
	for _, n := range p.w.nodes {
		if len(n.taken) == 0 {
			err = alike(full, n.state, p.w.cause)
		}
		if err == nil {
			err = equal(full, n.state)
		}
		if err == nil {
			err = recounted(n.state, verdict)
		}
		if err == nil {
			err = readBack(n.state, p.w.log)
		}
		if err == nil {
			err = drained(n.state, n.taken)
		}
		if err != nil {
			return fmt.Errorf("P1: %s: %w", n.name, err)
		}
	}
	if err := drained(reloaded, nil); err != nil {
		return err
	}
	return drained(full, nil)
}
