package service

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/node/api"
)

// reads is a request of each verb that reads, with what it asks for.
func reads() map[string]string {
	return map[string]string{
		"function.get": `"name":"hello"`, "function.list": ``, "function.versions": `"name":"hello"`,
		"user.get": `"id":"admin"`, "user.list": ``,
		"automation.get": `"name":"welcome"`, "automation.list": ``,
		"trigger.get": `"name":"daily"`, "trigger.list": `"function":"hello"`, "trigger.preview": `"id":"sts_1234567890123456"`,
		"item.get": `"name":"one"`, "item.list": `"function":"hello"`,
		"run.get": `"id":"run_1234567890123456"`, "run.list": `"function":"hello"`, "run.logs": `"id":"run_1234567890123456"`,
		"cluster.status": ``,
		"audit.events":   `"entity":"function"`, "audit.at": `"id":"sts_1234567890123456","seq":99`, "audit.verify": ``,
	}
}

// P3: each verb that reads takes "strong": it waits for a marker, and for one
// only, however often it looks. A plain read appends nothing.
func TestEveryReadMayBeStrong(t *testing.T) {
	changes := map[string]bool{"create": true, "create_many": true, "update": true, "delete": true, "cancel": true, "pause": true, "resume": true, "run": true, "remove": true, "transfer": true}
	for name := range verbs() {
		if _, verb := split(name); reads()[name] == "" && !changes[verb] {
			if _, listed := reads()[name]; !listed {
				t.Errorf("%s is neither a read nor a change: say here how it is asked", name)
			}
		}
	}
	for verb, asks := range reads() {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newSeveral(t, "a")
				defer c.stop()
				var past atomic.Uint64
				c.start("b", memlog.Faults{Past: past.Load})
				c.sign()
				c.function()
				c.must("a", "automation.create", "", `{"name":"welcome","steps":[{"name":"first","function":"hello"}]}`)
				c.must("a", "trigger.create", "", `{"id":"sts_1234567890123456","name":"daily","cron_schedule":"@daily","function":"hello"}`)
				c.must("a", "item.create", "", `{"name":"one",`+inAnHour+`}`)
				c.must("a", "function.run", "", `{"id":"hello"}`)
				soon()
				past.Store(1) // what b has folded it knows; what it is told is old
				before := markers(c)
				_, plain := c.ask("b", verb, "", `{`+asks+`}`)
				if n := markers(c) - before; n != 0 {
					t.Errorf("a plain read appended %d markers", n)
				}
				_, refused := c.ask("b", verb, "", strings.Replace(`{"strong":true,`+asks+`}`, ",}", "}", 1))
				if n := markers(c) - before; n != 1 {
					t.Errorf("a strong read appended %d markers: %v, plain %v", n, refused, plain)
				}
				if refused != nil && refused.Code == api.Invalid {
					t.Error(refused)
				}
				c.judge()
			})
		})
	}
}

// markers is how many commits hold a marker.
func markers(c *several) (n int) {
	c.t.Helper()
	info, err := c.log.Info(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	for seq := range info.LastSeq {
		m, err := c.log.Get(c.t.Context(), seq+1)
		if err != nil {
			c.t.Fatal(err)
		}
		n += strings.Count(string(m.Body), "belfry.node.marked")
	}
	return n
}

// What a leader of the past does not know is not left out of the events: the read
// is refused.
func TestEventsAreNotLeftOutByALeaderOfThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t, "a")
		defer c.stop()
		var past atomic.Uint64
		c.start("b", memlog.Faults{Past: past.Load})
		c.sign()
		c.function()
		soon()
		for _, body := range []string{`{}`, `{"strong":true}`, `{"since":"2000-01-01T00:00:00Z"}`, `{"after":"2"}`} {
			past.Store(3)
			if answer, refused := c.ask("b", "audit.events", "", body); refused == nil || refused.Code != api.Unavailable {
				t.Errorf("%s from the past: %s, %v", body, answer, refused)
			}
			past.Store(0)
			if answer, refused := c.ask("b", "audit.events", "", body); refused != nil || !strings.Contains(string(answer), "function.created") {
				t.Errorf("%s: %s, %v", body, answer, refused)
			}
		}
	})
}
