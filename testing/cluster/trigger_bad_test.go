package cluster_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/cluster"
)

// leapDay is a schedule that no test meets.
const leapDay = "30 3 29 2 *"

// newTrigger is a good trigger with more fields.
func newTrigger(more string) string {
	return `{"name":"t","cron_schedule":"` + leapDay + `","function":"f"` + more + `}`
}

// newAutomation is a good automation with these fields of its step.
func newAutomation(step string) string {
	return `{"name":"another","steps":[{"name":"one","function":"f"` + step + `}]}`
}

// records are what bad requests are about.
type records struct {
	f, active, paused, a, run string
}

// prepare makes a function f, a user ann, an active and a paused trigger, twins,
// an automation, and a run that has ended.
func prepare(t *testing.T, c *client.Client) (r records) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	r.f = create(t, c, "f", "def execute(current_user, **kwargs):\n    return 1\n").ID
	_, err := c.CreateUser(t.Context(), api.UserInput{ID: "ann"})
	check(err)
	trigger := func(name, schedule string, active bool) string {
		t.Helper()
		x, err := c.CreateTrigger(t.Context(), api.TriggerInput{Name: &name, CronSchedule: &schedule, Function: &api.RefInput{IDOrName: "f"}, Active: &active})
		check(err)
		return x.ID
	}
	r.active, r.paused = trigger("active", leapDay, true), trigger("paused", "* * * * *", false)
	trigger("twin", leapDay, true)
	trigger("twin", leapDay, true)
	a, err := c.CreateAutomation(t.Context(), api.AutomationInput{Name: text("a"), Steps: []api.StepInput{{Name: text("one"), Function: &api.RefInput{IDOrName: "f"}}}})
	check(err)
	_, err = c.CreateTrigger(t.Context(), api.TriggerInput{Name: text("of a"), CronSchedule: text(leapDay), Automation: &api.RefInput{IDOrName: "a"}})
	check(err)
	_, err = c.CreateTrigger(t.Context(), api.TriggerInput{Name: text("as ann"), CronSchedule: text(leapDay), Function: &api.RefInput{IDOrName: "f"}, RunningUser: &api.RefInput{IDOrName: "ann"}})
	check(err)
	run, err := c.RunFunction(t.Context(), api.Call{ID: "f", Wait: "30s"})
	check(err)
	if run.Status != api.Completed {
		t.Fatalf("a call is %s: %+v", run.Status, run.Error)
	}
	r.a, r.run = a.ID, run.ID
	return r
}

func badTriggers(r records) []bad {
	id := `{"id":"` + r.active + `"`
	return []bad{
		{"nobody.trigger.list", `{}`, "unknown_user"}, {"nobody.trigger.create", newTrigger(``), "unknown_user"},
		{"ann.trigger.create", newTrigger(`,"running_user":"admin"`), "forbidden"},
		{"ann.trigger.update", id + `,"name":"mine"}`, "forbidden"}, {"ann.trigger.delete", id + `}`, "forbidden"},
		{"ann.trigger.resume", `{"id":"` + r.paused + `"}`, "forbidden"}, {"ann.trigger.run", id + `}`, "forbidden"},
		{"ann.function.update", `{"id":"` + r.f + `","description":"mine"}`, "forbidden"},

		{"admin.trigger.create", `{"cron_schedule":"* * * * *","function":"f"}`, "invalid"},
		{"admin.trigger.create", `{"name":"t","function":"f"}`, "invalid"},
		{"admin.trigger.create", `{"name":"t","cron_schedule":"* * * * *"}`, "invalid"},
		{"admin.trigger.create", newTrigger(`,"automation":"a"`), "invalid"},
		{"admin.trigger.create", `{"name":"t","cron_schedule":"* * * * *","automation":"nope"}`, "not_found"},
		{"admin.trigger.create", `{"name":"t","cron_schedule":"* * * * *","function":"nope"}`, "not_found"},
		{"admin.trigger.create", `{"name":"t","cron_schedule":"* * * * *","function":{"id":"f"}}`, "not_found"},
		{"admin.trigger.create", `{"name":"t","cron_schedule":"* * * * *","function":{"name":"f"}}`, "invalid"},
		{"admin.trigger.create", `{"name":"t","cron_schedule":"* * * * *","function":7}`, "invalid"},
		{"admin.trigger.create", `{"name":"t","cron_schedule":["* * * * *"],"function":"f"}`, "invalid"},
		{"admin.trigger.create", `{"name":7,"cron_schedule":"* * * * *","function":"f"}`, "invalid"},
		{"admin.trigger.create", newTrigger(`,"name":"twice"`), "invalid"}, {"admin.trigger.create", newTrigger(`,"timezone":"UTC"`), "invalid"},
		{"admin.trigger.create", newTrigger(`,"next_run":"2100-01-01T00:00:00Z"`), "invalid"},
		{"admin.trigger.create", newTrigger(`,"if_revision":1`), "invalid"}, {"admin.trigger.create", newTrigger(`,"active":"yes"`), "invalid"},
		{"admin.trigger.create", newTrigger(`,"active":1`), "invalid"}, {"admin.trigger.create", newTrigger(`,"overlap":"sometimes"`), "invalid"},
		{"admin.trigger.create", newTrigger(`,"overlap":true`), "invalid"}, {"admin.trigger.create", newTrigger(`,"catch_up":"some"`), "invalid"},
		{"admin.trigger.create", newTrigger(`,"catch_up_window":"soon"`), "invalid"}, {"admin.trigger.create", newTrigger(`,"catch_up_window":"-1h"`), "invalid"},
		{"admin.trigger.create", newTrigger(`,"jitter":"-1s"`), "invalid"}, {"admin.trigger.create", newTrigger(`,"jitter":5`), "invalid"},
		{"admin.trigger.create", newTrigger(`,"retry":{"max_attempts":0}`), "invalid"}, {"admin.trigger.create", newTrigger(`,"retry":{"backof":"1s"}`), "invalid"},
		{"admin.trigger.create", newTrigger(`,"starts_at":"tomorrow"`), "invalid_time"}, {"admin.trigger.create", newTrigger(`,"starts_at":"2100-02-30T00:00:00Z"`), "invalid_time"},
		{"admin.trigger.create", newTrigger(`,"ends_at":"2100-01-01T25:00:00Z"`), "invalid_time"}, {"admin.trigger.create", newTrigger(`,"ends_at":4102444800`), "invalid"},
		{"admin.trigger.create", newTrigger(`,"starts_at":"2100-01-01T00:00:00Z","ends_at":"2099-01-01T00:00:00Z"`), "invalid_time"},
		{"admin.trigger.create", newTrigger(`,"data":[1]`), "invalid"}, {"admin.trigger.create", newTrigger(`,"data":"x"`), "invalid"},
		{"admin.trigger.create", newTrigger(`,"data":{"current_user":1}`), "invalid"},
		{"admin.trigger.create", newTrigger(`,"data":{"x":"` + strings.Repeat("d", api.DataBytesMax) + `"}`), "too_large"},
		{"admin.trigger.create", newTrigger(`,"data":` + strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200)), "invalid"},
		{"admin.trigger.create", newTrigger(`,"running_user":"bob"`), "not_found"},
		{"admin.trigger.create", newTrigger(`,"id":"sts_.*>"`), "invalid"}, {"admin.trigger.create", newTrigger(`,"id":"sts_short"`), "invalid"},
		{"admin.trigger.create", newTrigger(`,"id":"sci_0000000000000000"`), "invalid"}, {"admin.trigger.create", newTrigger(`,"id":"` + r.active + `"`), "already_exists"},

		{"admin.trigger.update", `{"id":"sts_0000000000000000","name":"z"}`, "not_found"}, {"admin.trigger.update", `{"name":"z"}`, "invalid"},
		{"admin.trigger.update", id + `,"if_revision":0,"name":"z"}`, "conflict"}, {"admin.trigger.update", id + `,"if_revision":9,"name":"z"}`, "conflict"},
		{"admin.trigger.update", id + `,"if_revision":"1","name":"z"}`, "invalid"}, {"admin.trigger.update", id + `,"name":""}`, "invalid"},
		{"admin.trigger.update", id + `,"function":"nope"}`, "not_found"}, {"admin.trigger.update", id + `,"automation":"nope"}`, "not_found"},
		{"admin.trigger.update", id + `,"function":"f","automation":"a"}`, "invalid"}, {"admin.trigger.update", id + `,"running_user":"bob"}`, "not_found"},
		{"admin.trigger.update", id + `,"starts_at":"x"}`, "invalid_time"}, {"admin.trigger.update", id + `,"last_run":null,"seq":1}`, "invalid"},
		{"admin.trigger.update", id + `,"data":{"x":"` + strings.Repeat("d", api.DataBytesMax) + `"}}`, "too_large"},
		{"admin.trigger.update", id + `,"active":"false"}`, "invalid"}, {"admin.trigger.update", id + `,"pause_reason":"x"}`, "invalid"},
		{"admin.trigger.delete", `{"id":"sts_0000000000000000"}`, "not_found"}, {"admin.trigger.delete", `{"id":"x.*.>"}`, "not_found"},
		{"admin.trigger.delete", `{}`, "invalid"}, {"admin.trigger.delete", id + `,"if_revision":9}`, "conflict"},
		{"admin.trigger.pause", `{"id":"sts_0000000000000000"}`, "not_found"}, {"admin.trigger.pause", `{}`, "invalid"},
		{"admin.trigger.pause", id + `,"if_revision":0}`, "conflict"}, {"admin.trigger.pause", id + `,"reason":7}`, "invalid"},
		{"admin.trigger.pause", id + `,"reason":"` + strings.Repeat("r", 2000) + `"}`, "invalid"},
		{"admin.trigger.resume", `{"id":"sts_0000000000000000"}`, "not_found"}, {"admin.trigger.resume", `{}`, "invalid"},
		{"admin.trigger.resume", `{"id":"` + r.paused + `","if_revision":7}`, "conflict"}, {"admin.trigger.resume", `{"id":"` + r.paused + `","when":"now"}`, "invalid"},
		{"admin.trigger.run", `{"id":"sts_0000000000000000"}`, "not_found"}, {"admin.trigger.run", `{}`, "invalid"},
		{"admin.trigger.run", id + `,"wait":"soon"}`, "invalid"}, {"admin.trigger.run", id + `,"wait":"-1s"}`, "invalid"},
		{"admin.trigger.run", id + `,"wait":"2h"}`, "invalid"}, {"admin.trigger.run", id + `,"wait":30}`, "invalid"}, {"admin.trigger.run", id + `,"data":[]}`, "invalid"},
		{"admin.trigger.get", `{}`, "invalid"}, {"admin.trigger.get", `{"name":"nobody"}`, "not_found"}, {"admin.trigger.get", `{"name":"twin"}`, "ambiguous"},
		{"admin.trigger.get", `{"id":"sts_0000000000000000"}`, "not_found"}, {"admin.trigger.get", `{"id":"` + r.f + `"}`, "not_found"},
		{"admin.trigger.list", `{"active":"yes"}`, "invalid"}, {"admin.trigger.list", `{"function":"nope"}`, "not_found"}, {"admin.trigger.list", `{"limit":0}`, "invalid"},
		{"admin.trigger.list", `{"limit":1001}`, "invalid"}, {"admin.trigger.list", `{"cursor":"%%%"}`, "invalid"}, {"admin.trigger.list", `{"status":"Queued"}`, "invalid"},
		{"admin.trigger.preview", `{}`, "invalid"}, {"admin.trigger.preview", id + `,"cron_schedule":"* * * * *"}`, "invalid"},
		{"admin.trigger.preview", id + `,"count":0}`, "invalid"}, {"admin.trigger.preview", id + `,"count":1000000}`, "invalid"},
		{"admin.trigger.preview", id + `,"count":1.5}`, "invalid"}, {"admin.trigger.preview", id + `,"from":"noon"}`, "invalid_time"},
		{"admin.trigger.preview", `{"id":"sts_0000000000000000"}`, "not_found"}, {"admin.trigger.preview", `{"cron_schedule":"x"}`, "invalid_cron"},
	}
}

func badNames(r records) (cases []bad) {
	for _, name := range hostile() {
		cases = append(cases,
			bad{"admin.trigger.create", `{"name":"` + name + `","cron_schedule":"* * * * *","function":"f"}`, "invalid"},
			bad{"admin.trigger.update", `{"id":"` + r.active + `","name":"` + name + `"}`, "invalid"},
			bad{"admin.automation.create", `{"name":"` + name + `","steps":[{"name":"one","function":"f"}]}`, "invalid"})
	}
	return cases
}

func badCalls(r records) []bad {
	id := `{"id":"` + r.a + `"`
	return []bad{
		{"nobody.automation.list", `{}`, "unknown_user"}, {"nobody.function.run", `{"id":"f"}`, "unknown_user"}, {"nobody.audit.at", `{"id":"` + r.active + `","time":"2100-01-01T00:00:00Z"}`, "unknown_user"},
		{"admin.automation.create", `{"steps":[{"name":"one","function":"f"}]}`, "invalid"}, {"admin.automation.create", `{"name":"b"}`, "invalid"},
		{"admin.automation.create", `{"name":"b","steps":[]}`, "invalid"}, {"admin.automation.create", `{"name":"b","steps":{}}`, "invalid"},
		{"admin.automation.create", `{"name":"b","steps":[7]}`, "invalid"}, {"admin.automation.create", `{"name":"b","steps":[{"name":"one"}]}`, "invalid"},
		{"admin.automation.create", `{"name":"b","steps":[{"function":"f"}]}`, "invalid"}, {"admin.automation.create", `{"name":"b","steps":[{"name":"one","function":"nope"}]}`, "not_found"},
		{"admin.automation.create", `{"name":"a","steps":[{"name":"one","function":"f"}]}`, "already_exists"},
		{"admin.automation.create", newAutomation(`,"automation":"a"`), "invalid"}, {"admin.automation.create", newAutomation(`,"data":7`), "invalid"},
		{"admin.automation.create", newAutomation(`,"when":7`), "invalid"}, {"admin.automation.create", newAutomation(`,"continue_on_error":"no"`), "invalid"},
		{"admin.automation.create", newAutomation(`,"data":{"x":"` + strings.Repeat("d", api.DataBytesMax) + `"}`), "too_large"},
		{"admin.automation.create", `{"name":"b","id":"aut_short","steps":[{"name":"one","function":"f"}]}`, "invalid"},
		{"admin.automation.create", `{"name":"b","id":"` + r.a + `","steps":[{"name":"one","function":"f"}]}`, "already_exists"},
		{"admin.automation.update", `{"id":"aut_0000000000000000","name":"z"}`, "not_found"}, {"admin.automation.update", `{"name":"z"}`, "invalid"},
		{"admin.automation.update", id + `,"if_revision":0,"name":"z"}`, "conflict"}, {"admin.automation.update", id + `,"steps":[]}`, "invalid"},
		{"admin.automation.update", id + `,"steps":[{"name":"one","function":"nope"}]}`, "not_found"},
		{"admin.automation.delete", `{"id":"aut_0000000000000000"}`, "not_found"}, {"admin.automation.delete", `{}`, "invalid"},
		{"admin.automation.delete", id + `,"if_revision":9}`, "conflict"}, {"admin.automation.delete", id + `}`, "in_use"},
		{"admin.automation.get", `{}`, "invalid"}, {"admin.automation.get", `{"name":"nobody"}`, "not_found"}, {"admin.automation.list", `{"limit":-1}`, "invalid"},
		{"admin.automation.run", `{}`, "invalid"}, {"admin.automation.run", `{"id":"nope"}`, "not_found"}, {"admin.automation.run", id + `,"data":7}`, "invalid"},
		{"admin.automation.run", id + `,"wait":"soon"}`, "invalid"},

		{"admin.function.run", `{}`, "invalid"}, {"admin.function.run", `{"id":"nope"}`, "not_found"}, {"admin.function.run", `{"id":7}`, "invalid"},
		{"admin.function.run", `{"id":"f","data":[1]}`, "invalid"}, {"admin.function.run", `{"id":"f","data":{"current_user":1}}`, "invalid"},
		{"admin.function.run", `{"id":"f","data":{"x":"` + strings.Repeat("d", api.DataBytesMax) + `"}}`, "too_large"},
		{"admin.function.run", `{"id":"f","wait":"soon"}`, "invalid"}, {"admin.function.run", `{"id":"f","wait":"-1s"}`, "invalid"},
		{"admin.function.run", `{"id":"f","wait":"99h"}`, "invalid"}, {"admin.function.run", `{"id":"f","when":"now"}`, "invalid"},
		{"admin.function.delete", `{"id":"` + r.f + `"}`, "in_use"}, {"admin.user.delete", `{"id":"ann"}`, "in_use"},
		{"admin.run.cancel", `{"id":"` + r.run + `"}`, "illegal_transition"}, {"admin.run.list", `{"trigger":"sts_0000000000000000"}`, "not_found"},
		{"admin.item.create", `{"name":"i","run_date_time":"2100-01-01T00:00:00Z","function":"f","automation":"a"}`, "invalid"},
		{"admin.item.update", `{"id":"` + r.run + `","status":"Canceled"}`, "not_found"}, // a call's run is no item

		{"admin.audit.at", `{}`, "invalid"}, {"admin.audit.at", `{"id":"` + r.active + `"}`, "invalid"},
		{"admin.audit.at", `{"id":"` + r.active + `","time":"2026-01-01T00:00:00Z","seq":3}`, "invalid"},
		{"admin.audit.at", `{"id":"` + r.active + `","time":"then"}`, "invalid_time"}, {"admin.audit.at", `{"id":"` + r.active + `","seq":-1}`, "invalid"},
		{"admin.audit.at", `{"id":"` + r.active + `","seq":"3"}`, "invalid"}, {"admin.audit.at", `{"id":"` + r.active + `","seq":1}`, "not_found"},
		{"admin.audit.at", `{"id":"` + r.active + `","time":"2001-01-01T00:00:00Z"}`, "not_found"},
		{"admin.audit.at", `{"entity":"martian","id":"` + r.active + `","seq":9}`, "invalid"},
		{"admin.audit.at", `{"id":"sts_0000000000000000","time":"2100-01-01T00:00:00Z"}`, "not_found"},
	}
}

// schedules that are refused, and a word that the message must have: the field
// at fault.
func badSchedules() map[string]string {
	return map[string]string{
		"60 * * * *": "minute", "* 24 * * *": "hour", "* * 0 * *": "day-of-month", "* * 32 * *": "day-of-month", "* * * 13 *": "month",
		"* * * 0 *": "month", "* * * * 8": "day-of-week", "60 * * * * *": "second", "*/0 * * * *": "minute", "5-1 * * * *": "minute", "a * * * *": "minute",
		"1,,2 * * * *": "minute", "1- * * * *": "minute", "1-2-3 * * * *": "minute", "-1 * * * *": "minute", "*/99999999999999999999 * * * *": "minute",
		"* * * jam *": "month", "* * * * funday": "day-of-week", "1.5 * * * *": "", "* * L * *": "day-of-month", "1/2/3 * * * *": "minute",
		"0 0 30 2 *": "day-of-month", "0 0 31 4,6,9,11 *": "day-of-month",
		"": "", " ": "", "* * * *": "", "* * * * * * *": "", "@never": "", "@reboot": "", "@every": "", "@every 0s": "", "@every -5s": "", "@every soon": "",
		"CRON_TZ=UTC * * * * *": "", "\uff11 * * * *": "", strings.Repeat("*", 10_000): "", strings.Repeat("1,", 5_000) + "1 * * * *": "",
	}
}

// Bad input to triggers, automations, calls and audit.at gets its code and a
// sentence, stores nothing and breaks nothing.
func TestTriggerBadInput(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	nc := p.Conn()
	r := prepare(t, p.Client(api.Admin))
	before := cluster.LastSeq(t, nc)
	refuse(t, nc, slices.Concat(badTriggers(r), badNames(r), badCalls(r)))

	for schedule, names := range badSchedules() {
		quoted, err := json.Marshal(schedule)
		if err != nil {
			t.Fatal(err)
		}
		for subject, body := range map[string]string{
			"admin.trigger.create":  fmt.Sprintf(`{"name":"t","function":"f","cron_schedule":%s}`, quoted),
			"admin.trigger.update":  fmt.Sprintf(`{"id":%q,"cron_schedule":%s}`, r.active, quoted),
			"admin.trigger.preview": fmt.Sprintf(`{"cron_schedule":%s,"from":"2026-01-01T00:00:00Z"}`, quoted),
		} {
			code, message, field := ask(t, nc, subject, body)
			if subject == "admin.trigger.preview" && schedule == "" && code == "invalid" {
				continue // neither an id nor an expression
			}
			if code != "invalid_cron" || field != "cron_schedule" || !strings.Contains(message, names) || !strings.Contains(message, "position") {
				t.Errorf("%s of %.60q: %s, field %q: %s; it should name %q and the position", subject, schedule, code, field, message, names)
			}
		}
	}
	if _, message, _ := ask(t, nc, "admin.trigger.create", `{"name":"t","function":"f","cron_schedule":"0 0 30 2 *"}`); !strings.Contains(message, "never") {
		t.Errorf("30 February is refused with %q", message)
	}

	// What is so already is answered, and is no event.
	for _, is := range [][2]string{
		{"trigger.pause", `{"id":"` + r.paused + `"}`}, {"trigger.update", `{"id":"` + r.paused + `","active":false}`},
		{"trigger.resume", `{"id":"` + r.active + `"}`}, {"trigger.update", `{"id":"` + r.active + `","active":true,"name":"active"}`},
		{"trigger.update", `{"id":"` + r.active + `","cron_schedule":"` + leapDay + `"}`}, {"automation.update", `{"id":"` + r.a + `","name":"a"}`},
	} {
		if code, message, _ := ask(t, nc, "admin."+is[0], is[1]); code != "" {
			t.Errorf("%s %s: %s %s", is[0], is[1], code, message)
		}
	}
	if after := cluster.LastSeq(t, nc); after != before {
		t.Errorf("the stream moved from %d to %d", before, after)
	}
	if code, message, _ := ask(t, nc, "admin.trigger.create", newTrigger(`,"id":"sts_00000000000000001"`)); code != "" {
		t.Errorf("a good request after them: %s %s", code, message)
	}
	cluster.Judge(t, nc)
}
