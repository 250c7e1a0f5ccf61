package client_test

import (
	"context"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
)

// ask drops the answer of a call.
func ask[T any](_ T, err error) error { return err }

// verbs calls each method once.
func verbs() map[string]struct {
	call  func(context.Context, *client.Client) error
	body  string
	write bool
} {
	type c = *client.Client
	type ctx = context.Context
	name, reason := "hello", "no longer needed"
	ref := &api.RefInput{IDOrName: "hello"}
	return map[string]struct {
		call  func(ctx, c) error
		body  string
		write bool
	}{
		"function.create":   {func(x ctx, c c) error { return ask(c.CreateFunction(x, api.FunctionInput{Name: &name, Code: &reason})) }, `{"name":"hello","code":"no longer needed"}`, true},
		"function.get":      {func(x ctx, c c) error { return ask(c.GetFunction(x, "hello")) }, `{"name":"hello"}`, false},
		"function.list":     {func(x ctx, c c) error { return ask(c.ListFunctions(x, api.List{Cursor: "7"})) }, `{"cursor":"7"}`, false},
		"function.update":   {func(x ctx, c c) error { return ask(c.UpdateFunction(x, api.FunctionInput{ID: "fun_1"})) }, `{"id":"fun_1"}`, true},
		"function.delete":   {func(x ctx, c c) error { return ask(c.DeleteFunction(x, api.Delete{ID: "fun_1"})) }, `{"id":"fun_1"}`, true},
		"function.versions": {func(x ctx, c c) error { return ask(c.FunctionVersions(x, "fun_1")) }, `{"id":"fun_1"}`, false},

		"function.run": {func(x ctx, c c) error { return ask(c.RunFunction(x, api.Call{ID: "hello", Wait: "30s"})) }, `{"id":"hello","wait":"30s"}`, true},

		"trigger.create": {func(x ctx, c c) error {
			return ask(c.CreateTrigger(x, api.TriggerInput{Name: &name, CronSchedule: &name, Function: ref}))
		}, `{"name":"hello","cron_schedule":"hello","function":"hello"}`, true},
		"trigger.get":     {func(x ctx, c c) error { return ask(c.GetTrigger(x, "hello")) }, `{"name":"hello"}`, false},
		"trigger.list":    {func(x ctx, c c) error { return ask(c.ListTriggers(x, api.TriggerList{Function: ref})) }, `{"function":"hello"}`, false},
		"trigger.update":  {func(x ctx, c c) error { return ask(c.UpdateTrigger(x, api.TriggerInput{ID: "sts_1"})) }, `{"id":"sts_1"}`, true},
		"trigger.delete":  {func(x ctx, c c) error { return ask(c.DeleteTrigger(x, api.Delete{ID: "sts_1"})) }, `{"id":"sts_1"}`, true},
		"trigger.pause":   {func(x ctx, c c) error { return ask(c.PauseTrigger(x, api.Pause{ID: "sts_1", Reason: reason})) }, `{"id":"sts_1","reason":"no longer needed"}`, true},
		"trigger.resume":  {func(x ctx, c c) error { return ask(c.ResumeTrigger(x, api.Pause{ID: "sts_1"})) }, `{"id":"sts_1"}`, true},
		"trigger.run":     {func(x ctx, c c) error { return ask(c.RunTrigger(x, api.TriggerRun{ID: "sts_1"})) }, `{"id":"sts_1"}`, true},
		"trigger.preview": {func(x ctx, c c) error { return ask(c.PreviewTrigger(x, api.Preview{CronSchedule: "@daily"})) }, `{"cron_schedule":"@daily"}`, false},

		"automation.create": {func(x ctx, c c) error {
			return ask(c.CreateAutomation(x, api.AutomationInput{Name: &name, Steps: []api.StepInput{{Name: &name, Function: ref}}}))
		}, `{"name":"hello","steps":[{"name":"hello","function":"hello"}]}`, true},
		"automation.get":    {func(x ctx, c c) error { return ask(c.GetAutomation(x, "aut_1")) }, `{"id":"aut_1"}`, false},
		"automation.list":   {func(x ctx, c c) error { return ask(c.ListAutomations(x, api.List{})) }, `{}`, false},
		"automation.update": {func(x ctx, c c) error { return ask(c.UpdateAutomation(x, api.AutomationInput{ID: "aut_1"})) }, `{"id":"aut_1"}`, true},
		"automation.delete": {func(x ctx, c c) error { return ask(c.DeleteAutomation(x, api.Delete{ID: "aut_1"})) }, `{"id":"aut_1"}`, true},
		"automation.run":    {func(x ctx, c c) error { return ask(c.RunAutomation(x, api.Call{ID: "aut_1"})) }, `{"id":"aut_1"}`, true},

		"user.create": {func(x ctx, c c) error {
			return ask(c.CreateUser(x, api.UserInput{ID: "bob", Fields: map[string]jsontext.Value{"plan": jsontext.Value(`"pro"`)}}))
		}, `{"id":"bob","plan":"pro"}`, true},
		"user.get":    {func(x ctx, c c) error { return ask(c.GetUser(x, "bob")) }, `{"id":"bob"}`, false},
		"user.list":   {func(x ctx, c c) error { return ask(c.ListUsers(x, api.List{})) }, `{}`, false},
		"user.update": {func(x ctx, c c) error { return ask(c.UpdateUser(x, api.UserInput{ID: "bob"})) }, `{"id":"bob"}`, true},
		"user.delete": {func(x ctx, c c) error { return ask(c.DeleteUser(x, api.Delete{ID: "bob"})) }, `{"id":"bob"}`, true},

		"item.create": {func(x ctx, c c) error { return ask(c.CreateItem(x, api.ItemInput{Name: &name, Function: ref})) }, `{"name":"hello","function":"hello"}`, true},
		"item.create_many": {func(x ctx, c c) error {
			return ask(c.CreateItems(x, api.ItemsInput{Items: []jsontext.Value{jsontext.Value(`{"name":1,"name":2}`)}}))
		}, `{"items":[{"name":1,"name":2}]}`, true},
		"item.get":    {func(x ctx, c c) error { return ask(c.GetItem(x, "sci_1")) }, `{"id":"sci_1"}`, false},
		"item.list":   {func(x ctx, c c) error { return ask(c.ListItems(x, api.ItemList{Status: api.Queued, Function: ref})) }, `{"status":"Queued","function":"hello"}`, false},
		"item.update": {func(x ctx, c c) error { return ask(c.UpdateItem(x, api.ItemInput{ID: "sci_1"})) }, `{"id":"sci_1"}`, true},
		"item.cancel": {func(x ctx, c c) error { return ask(c.CancelItem(x, api.Cancel{ID: "sci_1", Reason: reason})) }, `{"id":"sci_1","reason":"no longer needed"}`, true},

		"run.get":    {func(x ctx, c c) error { return ask(c.GetRun(x, "run_1")) }, `{"id":"run_1"}`, false},
		"run.list":   {func(x ctx, c c) error { return ask(c.ListRuns(x, api.RunList{Item: "sci_1"})) }, `{"item":"sci_1"}`, false},
		"run.logs":   {func(x ctx, c c) error { return ask(c.RunLogs(x, "run_1")) }, `{"id":"run_1"}`, false},
		"run.cancel": {func(x ctx, c c) error { return ask(c.CancelRun(x, api.Cancel{ID: "run_1"})) }, `{"id":"run_1"}`, true},

		"cluster.status":   {func(x ctx, c c) error { return ask(c.ClusterStatus(x)) }, `{}`, false},
		"cluster.remove":   {func(x ctx, c c) error { return ask(c.RemoveNode(x, "n4")) }, `{"name":"n4"}`, true},
		"cluster.transfer": {func(x ctx, c c) error { return ask(c.TransferLead(x, "n2")) }, `{"to":"n2"}`, true},
		"audit.events":     {func(x ctx, c c) error { return ask(c.AuditEvents(x, api.AuditEvents{Entity: "item"})) }, `{"entity":"item"}`, false},
		"audit.at":         {func(x ctx, c c) error { return ask(c.AuditAt(x, api.AuditAt{ID: "sts_1", Seq: 7})) }, `{"id":"sts_1","seq":7}`, false},
		"audit.verify":     {func(x ctx, c c) error { return ask(c.VerifyAudit(x, "ver_1", nil)) }, `{"id":"ver_1","wait":"1s"}`, false},
	}
}

func TestEveryVerbHasAMethodThatAsksForIt(t *testing.T) {
	inBubble(t, func(int, *nats.Msg) *nats.Msg { return says(`{}`) }, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		cases := verbs()
		for entity, names := range api.Verbs() {
			for _, verb := range names {
				test, ok := cases[entity+"."+verb]
				if !ok {
					t.Errorf("no method asks for %s.%s", entity, verb)
					continue
				}
				if err := test.call(t.Context(), c); err != nil {
					t.Fatalf("%s.%s: %v", entity, verb, err)
				}
				asked := b.requests()
				got := asked[len(asked)-1]
				if want := "belfry.api.ann." + entity + "." + verb; got.Subject != want {
					t.Errorf("subject %s, want %s", got.Subject, want)
				}
				if string(got.Data) != test.body {
					t.Errorf("%s.%s sends %s, want %s", entity, verb, got.Data, test.body)
				}
				if id := got.Header.Get(api.HeaderRequestID); (id != "") != test.write {
					t.Errorf("%s.%s carries the request id %q; is it a write: %v", entity, verb, id, test.write)
				}
			}
		}
		ids := slices.DeleteFunc(b.ids(), func(id string) bool { return id == "" })
		slices.Sort(ids)
		if len(slices.Compact(slices.Clone(ids))) != len(ids) {
			t.Errorf("two writes share a request id: %v", ids)
		}
	})
}

func TestAnswersAreRead(t *testing.T) {
	const item = `{"id":"sci_1","name":"hi","revision":2,"run_date_time":"2026-11-24T12:00:00.250Z","status":"Queued",` +
		`"function":{"id":"fun_1","name":"hello"},"data":{"a":1,"a":2},"retry":null,"of_a_later_version":[1]}`
	inBubble(t, func(int, *nats.Msg) *nats.Msg { return says(`{"records":[` + item + `],"next":"c1"}`) }, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		page, err := c.ListItems(t.Context(), api.ItemList{})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Records) != 1 || page.Next != "c1" {
			t.Fatalf("page %+v", page)
		}
		got := page.Records[0]
		if got.Name != "hi" || got.RunDateTime.String() != "2026-11-24T12:00:00.250Z" || got.Function.Name != "hello" {
			t.Errorf("item %+v", got)
		}
		raw, err := c.Ask(t.Context(), "item", "list", api.List{})
		if want := `{"records":[` + item + `],"next":"c1"}`; err != nil || string(raw) != want {
			t.Errorf("Ask gives %s (%v), want what was sent", raw, err)
		}
	})
}

func TestAnAnswerThatMakesNoSenseIsAnError(t *testing.T) {
	inBubble(t, func(int, *nats.Msg) *nats.Msg { return says(`[]`) }, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		if _, err := c.GetItem(t.Context(), "sci_1"); err == nil {
			t.Error("an array was read as an item")
		}
	})
}
