package service

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
)

// The items of one request live at three nodes; each is decided by its owner, and
// the answers come in order. The repetition answers alike, also where a part was
// lost.
func TestCreateManyOverSeveralOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t, "a", "b", "c")
		defer c.stop()
		c.function()
		c.give("a", "b", every()[20:40]...)
		c.give("a", "c", every()[40:]...)
		// Without a request id, what is drawn where it was asked must not be drawn
		// again at the owners of the rest.
		for round, request := range []string{"", "", "", "", "many"} {
			body, owners := `{"items":[`, map[string]bool{}
			for n := range 30 {
				id := fmt.Sprintf("sci_%017d%09d", round, n)
				if n%3 == 0 {
					body += fmt.Sprintf(`{"name":"%d-%d",%s},`, round, n, inAnHour)
					continue
				}
				owners[c.nodes["a"].cfg.Scheduler.Owners()[eventlog.PartitionOf(eventlog.EntityItem, id)]] = true
				body += fmt.Sprintf(`{"id":%q,"name":"%d-%d",%s},`, id, round, n, inAnHour)
			}
			body += `{"name":"bad"}]}`
			if len(owners) != 3 {
				t.Fatalf("owners are %v", owners)
			}
			c.times = 0
			c.hop = func(_ *nats.Msg, times int) (bool, bool) { return true, times > 0 }
			first, refused := c.ask("b", "item.create_many", request, body)
			if refused != nil {
				t.Fatal(refused)
			}
			var answer struct{ Results []jsontext.Value }
			if err := json.Unmarshal(first, &answer); err != nil {
				t.Fatal(err)
			}
			for n, raw := range answer.Results {
				if name := field(t, raw, "name"); n < 30 && name != fmt.Sprintf("%d-%d", round, n) || n == 30 && !isRefusal(raw) {
					t.Errorf("result %d is %s", n, raw)
				}
			}
			if request != "" {
				if again, refused := c.ask("c", "item.create_many", request, body); refused != nil || string(again) != string(first) {
					t.Errorf("asked again: %v %s\nbefore: %s", refused, again, first)
				}
			}
		}
		for name, n := range c.count("a", "item") {
			if n != 1 {
				t.Errorf("%d of %q", n, name)
			}
		}
		c.judge()
	})
}

// What was refused is decided anew when the request is repeated, once, though it
// is repeated twice at once.
func TestTheRestOfARequestIsDecidedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t)
		defer c.stop()
		c.start("a", memlog.Faults{BeforeRead: func() error { // so that all read back what was done at one time
			time.Sleep(time.Millisecond)
			return nil
		}})
		c.start("b", memlog.Faults{})
		c.sign()
		c.function()
		body := `{"items":[{"name":"first",` + inAnHour + `},{"name":"rest","run_date_time":"2000-01-01T01:00:00Z","function":"later"}]}`
		if _, refused := c.ask("a", "item.create_many", "many", body); refused != nil {
			t.Fatal(refused)
		}
		if all := c.count("a", "item"); len(all) != 1 {
			t.Fatalf("there are %v", all)
		}
		c.must("a", "function.create", "", `{"name":"later","code":"pass"}`)
		var asking sync.WaitGroup
		answers := make([]string, 6)
		for n := range answers {
			asking.Go(func() {
				answer, refused := c.ask([]string{"a", "b"}[n%2], "item.create_many", "many", body)
				if refused != nil {
					t.Error(refused)
				}
				answers[n] = string(answer)
			})
		}
		asking.Wait()
		for _, answer := range answers {
			if answer != answers[0] {
				t.Errorf("answered %s\nand %s", answers[0], answer)
			}
		}
		if all := c.count("a", "item"); all["first"] != 1 || all["rest"] != 1 {
			t.Errorf("there are %v", all)
		}
		c.judge()
	})
}
