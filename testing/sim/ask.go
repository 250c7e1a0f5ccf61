package sim

import (
	"slices"
	"time"

	"github.com/belfryhq/belfry/node/api"
)

// work asks for one thing after the other until there were n.
func (c *client) work(n int, within time.Duration) {
	pause := within / time.Duration(n)
	for range n {
		time.Sleep(c.odds.span(0, 2*pause))
		c.something()
	}
}

// something is one wish, by chance.
func (c *client) something() {
	o := c.odds
	switch dice := o.below(100); {
	case dice < 40:
		c.createItem()
	case dice < 45:
		c.createTrigger()
	case dice < 50:
		c.call()
	case dice < 60:
		c.changeItem()
	case dice < 66:
		c.cancelItem()
	case dice < 80:
		c.changeTrigger()
	case dice < 83:
		c.updateFunction()
	case dice < 86:
		c.cancelRun()
	default:
		c.look()
	}
}

// createFunction asks until there is one.
func (c *client) createFunction(name string) {
	x := wish{verb: "function.create", entity: "function", in: api.FunctionInput{
		Name: &name, Code: text("code"), Timeout: text("10h"), OnExecutorLoss: text(pick(c.odds, []string{"retry", "retry", "fail"})),
	}}
	id, ok := c.ask(x)
	for !ok && !c.w.late() {
		id, ok = c.ask(x)
	}
	c.functions = append(c.functions, id)
}

func (c *client) function() *api.RefInput {
	return &api.RefInput{IDOrName: pick(c.odds, c.w.functions), IsID: true}
}

func (c *client) createItem() {
	o := c.odds
	at := time.Now().Add(o.span(-c.w.plan.scale, 60*c.w.plan.scale)).UTC().Format(time.RFC3339Nano)
	in := api.ItemInput{Name: text("item"), RunDateTime: &at, Function: c.function(), Retry: c.retry()}
	priority := o.below(3)
	in.Priority = &priority
	id, ok := c.ask(wish{verb: "item.create", entity: "item", in: in})
	if ok {
		c.items = append(c.items, id)
	}
}

func (c *client) retry() *api.RetryInput {
	attempts := 1 + c.odds.below(3)
	return &api.RetryInput{MaxAttempts: &attempts, Backoff: text(3 * c.w.plan.scale)}
}

func (c *client) createTrigger() {
	o := c.odds
	active := !o.chance(8)
	in := api.TriggerInput{
		Name: text("trigger"), CronSchedule: text(pick(o, c.w.plan.crons)), Function: c.function(), Active: &active,
		Overlap: text(pick(o, []string{"skip", "allow"})), CatchUp: text(pick(o, []string{"latest", "none"})),
		Retry: c.retry(),
	}
	if o.chance(4) {
		in.Jitter = text(2 * c.w.plan.scale)
	}
	id, ok := c.ask(wish{verb: "trigger.create", entity: "trigger", in: in})
	if ok {
		c.triggers = append(c.triggers, id)
	}
}

func (c *client) call() {
	in := api.Call{ID: pick(c.odds, c.w.functions)}
	id, ok := c.ask(wish{verb: "function.run", entity: "run", in: in})
	if ok {
		c.runs = append(c.runs, id)
	}
}

func (c *client) changeItem() {
	if len(c.items) == 0 {
		return
	}
	id := pick(c.odds, c.items)
	at := time.Now().Add(c.odds.span(0, 30*c.w.plan.scale)).UTC().Format(time.RFC3339Nano)
	c.ask(wish{verb: "item.update", entity: "item", id: id, in: api.ItemInput{ID: id, RunDateTime: &at}})
}

func (c *client) cancelItem() {
	if len(c.items) == 0 {
		return
	}
	id := pick(c.odds, c.items)
	c.ask(wish{verb: "item.cancel", entity: "item", id: id, in: api.Cancel{ID: id}})
}

func (c *client) changeTrigger() {
	o := c.odds
	if len(c.triggers) == 0 {
		return
	}
	id := pick(o, c.triggers)
	x := wish{entity: "trigger", id: id}
	switch dice := o.below(12); {
	case dice < 3:
		x.verb, x.in = "trigger.pause", api.Pause{ID: id}
	case dice < 7:
		x.verb, x.in = "trigger.resume", api.Pause{ID: id}
	case dice < 10:
		x.verb, x.in = "trigger.update", api.TriggerInput{ID: id, CronSchedule: text(pick(o, c.w.plan.crons))}
	default:
		x = deletion(id)
	}
	if _, ok := c.ask(x); ok && x.verb == "trigger.delete" {
		c.triggers = slices.DeleteFunc(c.triggers, func(t string) bool { return t == id })
	}
}

func (c *client) updateFunction() {
	id := pick(c.odds, c.w.functions)
	c.ask(wish{verb: "function.update", entity: "function", id: id, in: api.FunctionInput{ID: id, Code: text(c.w.nextName("code"))}})
}

// look reads something.
func (c *client) look() {
	for _, of := range []struct {
		entity string
		ids    []string
	}{{"item", c.items}, {"trigger", c.triggers}, {"run", c.runs}} {
		if len(of.ids) > 0 {
			c.read(of.entity, pick(c.odds, of.ids))
		}
	}
}

// cancelRun stops a run, wherever it is decided.
func (c *client) cancelRun() {
	if len(c.runs) == 0 {
		return
	}
	run := pick(c.odds, c.runs)
	p := pick(c.odds, c.w.nodes).process()
	if p == nil {
		return
	}
	c.once(p, wish{verb: "run.cancel", entity: "run", id: run, in: api.Cancel{ID: run, Reason: "by chance"}}, "")
}

// deletion is the wish that a trigger be no more.
func deletion(id string) wish {
	return wish{verb: "trigger.delete", entity: "trigger", id: id, in: api.Delete{ID: id}}
}
