package sim

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/projection"
	"github.com/belfryhq/belfry/testing/check"
)

// history is what clients asked and were told.
type history struct {
	mu  sync.Mutex
	ops []check.Op
}

func (h *history) add(op check.Op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

func (h *history) all() []check.Op {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]check.Op(nil), h.ops...)
}

// client asks one thing after the other.
type client struct {
	w    *World
	name string
	odds *odds

	items     []string
	triggers  []string
	functions []string
	runs      []string
}

func newClient(w *World, name string) *client {
	return &client{w: w, name: name, odds: w.oddsOf(name)}
}

// patience is how long a client waits for an answer.
const patience = 10 * time.Second

// wish is something to ask.
type wish struct {
	verb   string
	entity string
	id     string // of what exists; "" for what is to be created
	in     any    // the request
}

// ask has a wish carried out, asking again and elsewhere as clients do. It
// returns the id and whether it was.
func (c *client) ask(x wish) (string, bool) {
	request := c.w.nextName("request")
	if x.id == "" && c.odds.chance(2) {
		request = "" // a create that draws an id where it is asked
	}
	tries := 1 + c.odds.below(6)
	for range tries {
		n := pick(c.odds, c.w.nodes)
		p := n.process()
		if p == nil {
			time.Sleep(c.odds.span(0, c.w.plan.scale))
			continue
		}
		op := c.once(p, x, request)
		switch {
		case op.Outcome == check.Acknowledged:
			return op.ID, true
		case op.Outcome == check.Refused:
			return op.ID, false
		case op.Outcome == check.Unknown && request == "" && x.id == "":
			return op.ID, false // who brings no request id does not ask again
		}
		time.Sleep(c.odds.span(0, c.w.plan.scale))
	}
	return "", false
}

// once asks one node once, which passes on what another one decides.
func (c *client) once(p *process, x wish, request string) check.Op {
	op := check.Op{Client: c.name, Node: p.node.name, Verb: x.verb, Entity: x.entity, Request: request, Invoked: time.Now(), ID: x.id}
	body, err := json.Marshal(x.in)
	if err != nil {
		c.w.broken("%s: %v", x.verb, err)
		return op
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, cause, refused := p.service.Ask(ctx, x.verb, api.Admin, request, body)
	op.Returned, op.Outcome, op.Cause = time.Now(), outcomeOf(refused), cause
	if refused != nil && refused.Code == api.Invalid {
		c.w.broken("%s %s: %v", x.verb, body, refused)
	}
	if op.Outcome == check.Acknowledged {
		var told struct {
			ID            string `json:"id"`
			Revision, Seq uint64
			Status        string
		}
		if err := json.Unmarshal(answer, &told, json.MatchCaseInsensitiveNames(true)); err != nil {
			c.w.broken("%s answered %s: %v", x.verb, answer, err)
		}
		op.ID, op.Revision, op.Seq, op.Status = told.ID, told.Revision, told.Seq, told.Status
	}
	c.w.history.add(op)
	return op
}

// read looks at one record, sometimes strongly.
func (c *client) read(entity, id string) {
	p := pick(c.odds, c.w.nodes).process()
	if p == nil {
		return
	}
	op := check.Op{Client: c.name, Node: p.node.name, Verb: entity + ".get", Entity: entity, ID: id, Read: true, Strong: c.odds.chance(4), Invoked: time.Now()}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var seen record
	var horizon scheduler.Horizon
	var refused *api.Error
	if op.Strong {
		refused = p.Mark(ctx)
	}
	if refused == nil {
		horizon, refused = p.Read(ctx, func(s *projection.State) { seen = recordOf(s, entity, id) })
	}
	op.Returned, op.Outcome = time.Now(), outcomeOf(refused)
	if refused == nil {
		op.Revision, op.Seq, op.Status = seen.revision, horizon.Seq(seen.seq), seen.status
	}
	c.w.history.add(op)
}

// record is what is looked at of one.
type record struct {
	revision, seq uint64
	status        string
}

func recordOf(s *projection.State, entity, id string) (r record) {
	switch entity {
	case "item", "run":
		if i := s.Item(id); i != nil {
			r = record{uint64(i.Revision), i.Seq, statusOf(i.Status)}
		}
	case "trigger":
		if t := s.Trigger(id); t != nil {
			r = record{t.Revision, t.Seq, ""}
		}
	case "function":
		if f := s.FunctionByRef(id, true); f != nil {
			r = record{f.Revision, f.Seq, ""}
		}
	}
	return r
}

func statusOf(s projection.Status) string {
	return [...]string{"Queued", "Processing", "Completed", "Failed", "Canceled"}[s-projection.Queued]
}

func outcomeOf(refused *api.Error) check.Outcome {
	switch {
	case refused == nil:
		return check.Acknowledged
	case refused.Code == api.Timeout:
		return check.Unknown
	case refused.Code == api.Unavailable:
		return check.Unavailable
	default:
		return check.Refused
	}
}

func text(v any) *string {
	s := fmt.Sprint(v)
	return &s
}
