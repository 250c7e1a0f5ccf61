package service

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/node/api"
)

// story asks for every verb; $x stands for the id that a step named x answered.
var story = []struct{ name, verb, id, body string }{
	{"user", "user.create", "", `{"id":"ann","name":"Ann"}`},
	{"", "user.update", "", `{"id":"ann","name":"Anne"}`},
	{"", "user.get", "", `{"id":"ann"}`},
	{"f", "function.create", "f1", `{"name":"hello","code":"pass"}`},
	{"", "function.create", "f1", `{"name":"hello","code":"pass"}`},
	{"", "function.create", "", `{"name":"hello","code":"pass"}`},
	{"", "function.create", "", `{"name":""}`},
	{"", "function.update", "", `{"id":"$f","code":"pass # 2"}`},
	{"", "function.update", "", `{"id":"$f","if_revision":9,"code":"x"}`},
	{"", "function.versions", "", `{"id":"$f"}`},
	{"", "function.get", "", `{"name":"hello"}`},
	{"", "function.list", "", `{}`},
	{"au", "automation.create", "", `{"name":"both","steps":[{"name":"one","function":"hello"}]}`},
	{"", "automation.update", "", `{"id":"$au","description":"d"}`},
	{"", "automation.get", "", `{"id":"$au"}`},
	{"ar", "automation.run", "", `{"id":"both"}`},
	{"i", "item.create", "i1", `{"name":"i",` + inAnHour + `}`},
	{"", "item.create", "i1", `{"name":"i",` + inAnHour + `}`},
	{"", "item.create", "", `{"id":"sci_00000000000000000000000001","name":"own",` + inAnHour + `}`},
	{"", "item.create", "", `{"id":"sci_00000000000000000000000001","name":"own",` + inAnHour + `}`},
	{"", "item.create", "", `{"id":"sci_00000000000000000000000001","name":"other",` + inAnHour + `}`},
	{"j", "item.create", "", `{"name":"j",` + inAnHour + `}`},
	{"", "item.create", "", `{"name":"k","run_date_time":"2000-01-01T01:00:00Z","function":"none"}`},
	{"", "item.create_many", "m1", `{"items":[{"name":"m",` + inAnHour + `},{"name":"bad"},{"id":"sci_00000000000000000000000002","name":"n",` + inAnHour + `}]}`},
	{"", "item.create_many", "m1", `{"items":[{"name":"m",` + inAnHour + `},{"name":"bad"},{"id":"sci_00000000000000000000000002","name":"n",` + inAnHour + `}]}`},
	{"", "item.create_many", "", `{"items":[{"name":"p",` + inAnHour + `},{"id":"sci_00000000000000000000000001","name":"other",` + inAnHour + `}]}`},
	{"", "item.create_many", "", `{"items":[]}`},
	{"", "item.update", "", `{"id":"$i","priority":3}`},
	{"", "item.update", "", `{"id":"sci_00000000000000000000000009","priority":3}`},
	{"", "item.cancel", "c1", `{"id":"$i"}`},
	{"", "item.cancel", "c1", `{"id":"$i"}`},
	{"", "item.cancel", "", `{"id":"$i"}`},
	{"", "item.update", "", `{"id":"$i","priority":4}`},
	{"", "item.get", "", `{"id":"$i"}`},
	{"", "item.list", "", `{}`},
	{"t", "trigger.create", "", `{"name":"t","cron_schedule":"0 0 1 1 *","function":"hello"}`},
	{"", "trigger.update", "", `{"id":"$t","cron_schedule":"0 0 2 1 *"}`},
	{"", "trigger.pause", "p1", `{"id":"$t","reason":"r"}`},
	{"", "trigger.pause", "p1", `{"id":"$t","reason":"r"}`},
	{"", "trigger.resume", "", `{"id":"$t"}`},
	{"tr", "trigger.run", "r1", `{"id":"$t"}`},
	{"", "trigger.run", "r1", `{"id":"$t"}`},
	{"", "trigger.preview", "", `{"id":"$t","count":2}`},
	{"", "trigger.get", "", `{"id":"$t"}`},
	{"", "trigger.list", "", `{}`},
	{"r", "function.run", "", `{"id":"hello"}`},
	{"w", "function.run", "w1", `{"id":"hello","wait":"5s"}`},
	{"", "function.run", "w1", `{"id":"hello","wait":"5s"}`},
	{"", "run.get", "", `{"id":"$r"}`},
	{"", "run.cancel", "", `{"id":"$r","reason":"no"}`},
	{"", "run.cancel", "", `{"id":"$r"}`},
	{"", "run.cancel", "", `{"id":"run_00000000000000000000000009"}`},
	{"", "run.logs", "", `{"id":"$r"}`},
	{"", "run.list", "", `{}`},
	{"", "function.delete", "", `{"id":"$f"}`},
	{"", "trigger.delete", "", `{"id":"$t"}`},
	{"", "automation.delete", "d1", `{"id":"$au"}`},
	{"", "automation.delete", "d1", `{"id":"$au"}`},
	{"", "automation.list", "", `{}`},
	{"", "user.delete", "", `{"id":"ann"}`},
	{"", "user.list", "", `{}`},
	{"", "cluster.status", "", `{}`},
	{"", "cluster.remove", "", `{"name":"c"}`},
	{"", "cluster.remove", "", `{"node":"c"}`},
	{"", "cluster.transfer", "", `{"to":"b"}`},
	{"", "audit.events", "", `{"limit":3}`},
	{"", "audit.at", "", `{"id":"$t","seq":1}`},
	{"", "audit.verify", "", `{"wait":"1m"}`},
}

var bytes = regexp.MustCompile(`"bytes":[0-9]+,`)

var ulids = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{26}`)

// live has the story asked at one node, and returns the answers, ids numbered.
func live(t *testing.T, node string) (answers []string) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t, "a", "b", "c")
		defer c.stop()
		ids, numbers := map[string]string{}, map[string]string{}
		for _, step := range story {
			body := step.body
			for name, id := range ids {
				body = strings.ReplaceAll(body, `"$`+name+`"`, `"`+id+`"`)
			}
			soon() // each step has its own time, with hops or without
			c.sign()
			answer, refused := c.ask(node, step.verb, step.id, body)
			said := string(answer)
			if refused != nil {
				said = refused.Error()
			}
			if step.name != "" {
				if refused != nil {
					t.Fatalf("%s at %s: %v", step.verb, node, refused)
				}
				ids[step.name] = field(t, answer, "id")
			}
			said = bytes.ReplaceAllString(said, "") // causes of hops are longer
			said = ulids.ReplaceAllStringFunc(said, func(id string) string {
				if numbers[id] == "" {
					numbers[id] = fmt.Sprint("#", len(numbers))
				}
				return numbers[id]
			})
			answers = append(answers, step.verb+" "+said)
		}
		c.judge()
	})
	return answers
}

// Every verb, asked where nothing is decided, answers as at the owner.
func TestAnyNodeAnswersAlike(t *testing.T) {
	asked := map[string]bool{}
	for _, step := range story {
		asked[step.verb] = true
	}
	for verb := range verbs() {
		if !asked[verb] {
			t.Errorf("the story has no %s", verb)
		}
	}
	here, there := live(t, "a"), live(t, "b")
	for n := range here {
		if n < len(there) && here[n] != there[n] {
			t.Errorf("at the owner:\n  %s\nelsewhere:\n  %s", here[n], there[n])
		}
	}
}

// An answer that is lost is sought again, and nothing is done twice, though the
// caller brought no request id: the node that was asked finds it in the log, or,
// if it lags, asks the owner again.
func TestALostAnswerIsNotDoneTwice(t *testing.T) {
	for hops, lag := range map[int]time.Duration{1: 0, 2: 1200 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			c := newSeveral(t, "a")
			defer c.stop()
			c.start("b", memlog.Faults{BeforeDeliver: func(uint64) time.Duration { return lag }})
			c.function()
			trigger := c.must("a", "trigger.create", "", `{"name":"t","cron_schedule":"0 0 1 1 *","function":"hello"}`)
			for _, ask := range []struct{ verb, body, entity string }{
				{"item.create", `{"name":"one",` + inAnHour + `}`, "item"},
				{"item.create_many", `{"items":[{"name":"two",` + inAnHour + `},{"name":"three",` + inAnHour + `}]}`, "item"},
				{"function.run", `{"id":"hello"}`, "run"},
				{"trigger.run", `{"id":"` + trigger + `"}`, "run"},
				{"trigger.create", `{"name":"t2","cron_schedule":"0 0 1 1 *","function":"hello"}`, "trigger"},
			} {
				before := c.count("a", ask.entity)
				time.Sleep(3 * time.Second) // b has heard all there is
				c.times = 0
				c.hop = func(_ *nats.Msg, times int) (bool, bool) { return true, times > 0 }
				if _, refused := c.ask("b", ask.verb, "", ask.body); refused != nil {
					t.Errorf("%s: %v", ask.verb, refused)
				}
				if c.times != hops {
					t.Errorf("with a lag of %v, %s took %d hops", lag, ask.verb, c.times)
				}
				for name, n := range c.count("a", ask.entity) {
					if limit := before[name] + 1; n > limit {
						t.Errorf("%s: %d of %s, there were %d", ask.verb, n, name, before[name])
					}
				}
			}
			c.judge()
		})
	}
}

// A question that comes late, after its repetition was refused, might yet be
// carried out: the outcome is unknown.
func TestARefusalBehindASilentHopSettlesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t, "a", "b")
		defer c.stop()
		c.hop = func(_ *nats.Msg, times int) (bool, bool) { return times > 0, times > 0 }
		_, refused := c.ask("b", "item.create", "", `{"name":"x","run_date_time":"2000-01-01T01:00:00Z","function":"none"}`)
		if refused == nil || refused.Code != api.Timeout {
			t.Errorf("told %v", refused)
		}
		c.hop = nil
		_, refused = c.ask("b", "item.create", "", `{"name":"x","run_date_time":"2000-01-01T01:00:00Z","function":"none"}`)
		if refused == nil || refused.Code != api.NotFound {
			t.Errorf("told %v", refused)
		}
	})
}

// Partitions go around while everybody asks everywhere: everything is done once,
// and nobody hears of it.
func TestPartitionsMoveWhileAllAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t, "a", "b", "c")
		defer c.stop()
		c.function()
		names := []string{"a", "b", "c"}
		var asking sync.WaitGroup
		done := make(chan struct{})
		go func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				case <-time.After(7 * time.Millisecond):
				}
				from, to := names[n%3], names[(n+1)%3]
				_ = c.nodes[from].cfg.Scheduler.GiveAway(t.Context(), to, every()) // it may own none
			}
		}()
		for k := range 60 {
			asking.Go(func() {
				time.Sleep(time.Duration(k) * 3 * time.Millisecond)
				node, request := names[k%3], ""
				if k%2 == 0 {
					request = fmt.Sprint("request-", k)
				}
				id := c.must(node, "item.create", request, fmt.Sprintf(`{"name":"item-%d",%s}`, k, inAnHour))
				c.must(names[(k+1)%3], "item.update", "", fmt.Sprintf(`{"id":%q,"priority":2}`, id))
			})
		}
		asking.Wait()
		close(done)
		soon()
		all := c.count("b", "item")
		for k := range 60 {
			if n := all[fmt.Sprint("item-", k)]; n != 1 {
				t.Errorf("item %d is there %d times", k, n)
			}
		}
		c.judge()
	})
}

// One request id at two nodes at once is one request.
func TestOneRequestAtTwoNodesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t, "a", "b", "c")
		defer c.stop()
		c.function()
		for k := range 10 {
			ids := make([]string, 3)
			var asking sync.WaitGroup
			for n, node := range []string{"a", "b", "c"} {
				asking.Go(func() {
					ids[n] = c.must(node, "item.create", fmt.Sprint("same-", k), fmt.Sprintf(`{"name":"same-%d",%s}`, k, inAnHour))
				})
			}
			asking.Wait()
			if ids[0] != ids[1] || ids[1] != ids[2] {
				t.Errorf("the records are %v", ids)
			}
		}
		if all := c.count("b", "item"); len(all) != 10 {
			t.Errorf("there are %v", all)
		}
	})
}

// A run that another node decides is waited for where it was asked.
func TestAWaitForARunElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t, "a", "b")
		defer c.stop()
		c.function()
		began := time.Now()
		go func() {
			time.Sleep(20 * time.Second)
			answer, _ := c.ask("b", "run.list", "", `{}`)
			var page api.Page[struct {
				ID string `json:"id"`
			}]
			if err := json.Unmarshal(answer, &page); err != nil || len(page.Records) != 1 {
				t.Errorf("runs: %s", answer)
				return
			}
			c.must("b", "run.cancel", "", `{"id":"`+page.Records[0].ID+`"}`)
		}()
		answer, refused := c.ask("b", "function.run", "", `{"id":"hello","wait":"1m"}`)
		if refused != nil || field(t, answer, "status") != "Canceled" {
			t.Errorf("answered %s, %v", answer, refused)
		}
		if took := time.Since(began).Round(time.Second); took != 20*time.Second {
			t.Errorf("it took %v", took)
		}
		run := field(t, answer, "id")
		if answer, refused := c.ask("b", "run.logs", "", `{"id":"`+run+`","wait":"10s"}`); refused != nil || field(t, answer, "status") != "Canceled" {
			t.Errorf("logs: %s, %v", answer, refused)
		}
	})
}

// A node that hears nothing of the log accepts nothing for good: what it says is
// unavailable was never stored, what it does not know of is unknown.
func TestAnIsolatedNodeAcceptsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t, "a")
		defer c.stop()
		var log troubled
		c.start("b", log.faults())
		c.function()
		c.give("a", "b", every()[:32]...)
		soon()
		log.set(func() { log.read, log.fall = errors.New("no leader"), memlog.Fault{Kind: memlog.Lost} })
		for n := range 10 {
			_, refused := c.ask("b", "item.create", "", fmt.Sprintf(`{"name":"early-%d",%s}`, n, inAnHour))
			if refused == nil || refused.Code != api.Timeout && refused.Code != api.Unavailable {
				t.Errorf("create %d: %v", n, refused)
			}
			if n > 0 && refused.Code != api.Unavailable {
				t.Errorf("create %d, long after the last word of the log, was accepted: %v", n, refused)
			}
		}
		log.set(func() { log.read, log.fall = nil, memlog.Fault{} })
		time.Sleep(10 * time.Second)
		for name := range c.count("a", "item") {
			if name != "early-0" {
				t.Errorf("%s is stored", name)
			}
		}
		c.must("b", "item.create", "", `{"name":"after",`+inAnHour+`}`)
		c.judge()
	})
}

// No caller can use an id under which nodes ask each other.
func TestNoCallerHasAHopsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t, "a")
		defer c.stop()
		for _, id := range []string{eventlog.HopCause + "01", eventlog.GeneratedCause + "01"} {
			if _, refused := c.ask("a", "user.create", id, `{"id":"x"}`); refused == nil || refused.Code != api.Invalid {
				t.Errorf("%s: %v", id, refused)
			}
		}
	})
}

// hesitant hands the lead on, and takes its time to know who has it.
type hesitant struct {
	leading
	times *atomic.Int64
}

func (h hesitant) Transfer(ctx context.Context, to string) (api.Transferred, *api.Error) {
	h.times.Add(1)
	time.Sleep(2500 * time.Millisecond)
	return h.leading.Transfer(ctx, to)
}

// A transfer of the lead is waited for, and not asked for again: it would be done
// again.
func TestTheLeadIsHandedOnOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t, "a", "b")
		defer c.stop()
		var times atomic.Int64
		c.nodes["a"].cfg.Members = hesitant{leading{"a"}, &times}
		c.must("b", "cluster.transfer", "", `{"to":"b"}`)
		if n := times.Load(); n != 1 {
			t.Errorf("it was done %d times", n)
		}
	})
}

// Only a superuser changes the cluster, wherever it is asked.
func TestTheClusterIsASuperusers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t, "a", "b")
		defer c.stop()
		c.must("a", "user.create", "", `{"id":"ann","name":"Ann"}`)
		for verb, body := range map[string]string{"cluster.remove": `{"name":"b"}`, "cluster.transfer": `{}`} {
			for node, s := range c.nodes {
				for user, code := range map[string]api.Code{"ann": api.Forbidden, "nobody": api.UnknownUser} {
					if _, _, refused := s.Ask(t.Context(), verb, user, "", []byte(body)); refused == nil || refused.Code != code {
						t.Errorf("%s of %s at %s: %v", verb, user, node, refused)
					}
				}
				s.cfg.Members = nil
				if _, _, refused := s.Ask(t.Context(), verb, api.Admin, "", []byte(body)); refused == nil || refused.Code != api.IllegalTransition {
					t.Errorf("%s of a node alone: %v", verb, refused)
				}
				s.cfg.Members = leading{node}
			}
		}
	})
}

// What is created stands in the log under the very id under which a repetition, at
// another node, would be recognised: also where the node that was asked owned nothing
// when it drew the ids, and is given the partition before it decides.
func TestACreateStandsUnderTheIDOfItsHops(t *testing.T) {
	for _, create := range []struct{ verb, body string }{
		{"item.create", `{"name":"one",` + inAnHour + `}`},
		{"trigger.create", `{"name":"NAME","cron_schedule":"0 0 1 1 *","function":"hello"}`},
		{"function.run", `{"id":"hello"}`},
	} {
		t.Run(create.verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newSeveral(t, "a", "b")
				defer c.stop()
				c.function()
				for n := range 200 {
					given := make(chan struct{})
					go func() {
						defer close(given)
						c.give("a", "b", every()...)
					}()
					body := strings.ReplaceAll(create.body, "NAME", fmt.Sprint("name ", n))
					_, cause, refused := c.nodes["b"].Ask(t.Context(), create.verb, api.Admin, "", []byte(body))
					if refused != nil {
						t.Fatal(refused)
					}
					<-given
					soon()
					if !c.caused(cause) {
						t.Fatalf("%d: nothing in the log stands under %s", n, cause)
					}
					c.give("b", "a", every()...)
					soon()
				}
			})
		})
	}
}

// caused says whether an event of the log was caused by a request.
func (c *several) caused(id string) (found bool) {
	c.t.Helper()
	info, err := c.log.Info(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	err = c.log.Follow(c.t.Context(), 1, func(m eventlog.Message) error {
		if found = found || strings.Contains(string(m.Body), `"`+id+`"`); m.Seq == info.LastSeq {
			return errJudged
		}
		return nil
	})
	if err != errJudged { //nolint:errorlint // it is ours
		c.t.Fatal(err)
	}
	return found
}
