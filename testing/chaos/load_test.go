//go:build linux

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// history is what all clients asked and were told.
type history struct {
	mu       sync.Mutex
	ops      []check.Op
	refusals []refusal
}

func (h *history) add(o check.Op, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, o)
	var told *api.Error
	if o.Outcome == check.Refused && errors.As(err, &told) {
		h.refusals = append(h.refusals, refusal{o.Verb, o.Request, told.Code, told.Message})
	}
}

// acknowledged is how much was.
func (h *history) acknowledged() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k := range h.ops {
		if h.ops[k].Outcome == check.Acknowledged {
			n++
		}
	}
	return n
}

// caller asks one thing after the other.
type caller struct {
	name    string
	client  *client.Client
	random  *rand.Rand
	history *history
	journal string // a path

	asked                      int
	items, triggers, functions []string
}

const (
	// answerMax is how long a caller waits for one answer.
	answerMax = 4 * time.Second
	// insistMax is how often it asks again what may have been stored.
	insistMax = 3
	// triggersMax bounds the schedules of one caller.
	triggersMax = 4
)

// connect makes a caller of a process that is ready.
func connect(t *testing.T, p *cluster.Process, h *history, name, journal string, seed uint64) *caller {
	t.Helper()
	c, err := client.Connect(t.Context(), client.Config{URL: p.URL, Timeout: answerMax / 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &caller{name: name, client: c, random: rand.New(rand.NewPCG(seed, uint64(len(name)))), history: h, journal: journal}
}

// answer is what every record says of itself.
type answer struct {
	ID       string `json:"id"`
	Revision uint64 `json:"revision"`
	Seq      uint64 `json:"seq"`
	Status   string `json:"status"`
	Active   *bool  `json:"active"`
}

// status is in the judge's words.
func (a *answer) status() string {
	switch {
	case a.Active != nil && *a.Active:
		return "active"
	case a.Active != nil:
		return "paused"
	}
	return a.Status
}

// ask has something done, again and again while its outcome is unknown, and
// returns the id of the record. A create that brings its own id is asked again as
// another request: the id alone has to tell that it is the same.
func (c *caller) ask(ctx context.Context, entity, verb string, request map[string]any) string {
	c.asked++
	id := fmt.Sprintf("%s-%d", c.name, c.asked)
	own := verb == "create" && request["id"] != nil
	for again := range insistMax {
		if own {
			id = fmt.Sprintf("%s-%d-%d", c.name, c.asked, again)
		}
		o := c.once(ctx, entity, verb, id, request)
		switch o.Outcome {
		case check.Acknowledged:
			return o.ID
		case check.Refused:
			return ""
		case check.Unavailable, check.Unknown:
		}
		if ctx.Err() != nil {
			return ""
		}
	}
	return ""
}

func (c *caller) once(ctx context.Context, entity, verb, request string, body map[string]any) check.Op {
	o := check.Op{Client: c.name, Verb: entity + "." + verb, Entity: entity, Request: request, Invoked: time.Now()}
	o.ID, _ = body["id"].(string)
	if o.Read = verb == "get"; o.Read {
		o.Request = ""
		o.Strong, _ = body["strong"].(bool)
	}
	asking, cancel := context.WithTimeout(client.WithRequestID(ctx, request), answerMax)
	defer cancel()
	raw, err := c.client.Ask(asking, entity, verb, body)
	o.Returned = time.Now()
	var got answer
	if err == nil {
		err = json.Unmarshal(raw, &got)
	}
	if o.Outcome = outcomeOf(err); o.Outcome == check.Acknowledged {
		o.ID, o.Revision, o.Seq, o.Status = got.ID, got.Revision, got.Seq, got.status()
		if verb == "run" {
			o.Entity = "run"
		}
	}
	c.history.add(o, err)
	return o
}

func outcomeOf(err error) check.Outcome {
	var refusal *api.Error
	switch {
	case err == nil:
		return check.Acknowledged
	case !errors.As(err, &refusal), refusal.Code == api.Timeout:
		return check.Unknown
	case refusal.Code == api.Unavailable:
		return check.Unavailable
	}
	return check.Refused
}

// work asks until the time is over.
func (c *caller) work(ctx context.Context) {
	for ctx.Err() == nil {
		c.something(ctx)
		select {
		case <-time.After(time.Duration(c.random.IntN(150)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (c *caller) something(ctx context.Context) {
	switch dice := c.random.IntN(100); {
	case dice < 45:
		c.createItem(ctx, c.soon())
	case dice < 49:
		c.ask(ctx, "function", "run", map[string]any{"id": c.function(), "data": c.data()})
	case dice < 53:
		c.define(ctx)
	case dice < 60:
		c.some(ctx, c.items, "item", "update", map[string]any{"run_date_time": stamp(c.soon())})
	case dice < 66:
		c.some(ctx, c.items, "item", "cancel", nil)
	case dice < 72:
		c.createTrigger(ctx)
	case dice < 78:
		c.some(ctx, c.triggers, "trigger", "pause", nil)
	case dice < 84:
		c.some(ctx, c.triggers, "trigger", "resume", nil)
	case dice < 87:
		c.some(ctx, c.triggers, "trigger", "update", map[string]any{"cron_schedule": c.schedule()})
	case dice < 89:
		c.some(ctx, c.triggers, "trigger", "run", nil)
	case dice < 91:
		c.deleteOne(ctx, &c.triggers, "trigger")
	case dice < 94:
		c.some(ctx, c.triggers, "trigger", "get", map[string]any{"strong": c.random.IntN(2) == 0})
	default:
		c.some(ctx, c.items, "item", "get", map[string]any{"strong": c.random.IntN(2) == 0})
	}
}

// some asks something of one of these.
func (c *caller) some(ctx context.Context, ids []string, entity, verb string, more map[string]any) {
	if len(ids) == 0 {
		return
	}
	body := map[string]any{"id": ids[len(ids)-1-c.random.IntN(min(20, len(ids)))]}
	for k, v := range more {
		body[k] = v
	}
	c.ask(ctx, entity, verb, body)
}

func (c *caller) createItem(ctx context.Context, due time.Time) string {
	body := map[string]any{
		"name": "item", "run_date_time": stamp(due), "function": c.function(), "data": c.data(),
		"retry": map[string]any{"max_attempts": 3, "backoff": "1s", "max_backoff": "2s"},
	}
	if c.random.IntN(3) == 0 {
		body["id"] = fmt.Sprintf("sci_%s%020d", c.name, c.asked)
	}
	id := c.ask(ctx, "item", "create", body)
	if id != "" {
		c.items = append(c.items, id)
	}
	return id
}

func (c *caller) createTrigger(ctx context.Context) {
	if len(c.triggers) >= triggersMax {
		return
	}
	id := c.ask(ctx, "trigger", "create", map[string]any{
		"name": "trigger", "cron_schedule": c.schedule(), "function": c.function(), "data": c.data(),
		"overlap": []string{"skip", "allow"}[c.random.IntN(2)], "catch_up": []string{"latest", "none"}[c.random.IntN(2)],
	})
	if id != "" {
		c.triggers = append(c.triggers, id)
	}
}

func (c *caller) schedule() string {
	return []string{"* * * * * *", "*/2 * * * * *", "1-59/3 * * * * *", "@every 5s", "* * * * *"}[c.random.IntN(5)]
}

// soon is mostly within seconds, and sometimes over already.
func (c *caller) soon() time.Time {
	return time.Now().Add(time.Duration(c.random.IntN(6000)-1000) * time.Millisecond)
}

// data of a run: mostly it is quick.
func (c *caller) data() map[string]any {
	d := map[string]any{"journal": c.journal}
	switch c.random.IntN(20) {
	case 0:
		d["seconds"] = 1 + 2*c.random.Float64()
	case 1:
		d["fail"] = 1 + c.random.IntN(3)
	case 2:
		d["note"] = strings.Repeat("x", 8000)
	}
	return d
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
