package reference_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
)

var update = flag.Bool("update", false, "write the tables anew")

const readme = "../../README.md"

// TestREADMEHasEveryVerbFieldEventAndError compares the tables between the
// marks with the code. go test ./testing/reference -update writes them.
func TestREADMEHasEveryVerbFieldEventAndError(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	now := string(text)
	for name, table := range map[string]string{"api": verbs() + "\n" + codes(), "fields": fields(), "events": events()} {
		mark := "<!-- reference: " + name + " -->\n"
		before, rest, found := strings.Cut(now, mark)
		_, after, ended := strings.Cut(rest, "<!-- end -->")
		if !found || !ended {
			t.Fatalf("the README has no %s … <!-- end -->", strings.TrimSpace(mark))
		}
		now = before + mark + "\n" + table + "\n<!-- end -->" + after
	}
	if *update {
		if err := os.WriteFile(readme, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if now != string(text) {
		t.Error("the README's reference is not what the code says: read the change of go test ./testing/reference -update")
	}
}

func verbs() string {
	var b strings.Builder
	b.WriteString("| entity | verbs |\n|---|---|\n")
	table := api.Verbs()
	for _, entity := range slices.Sorted(maps.Keys(table)) {
		fmt.Fprintf(&b, "| %s | `%s` |\n", entity, strings.Join(table[entity], "` `"))
	}
	return b.String()
}

func codes() string {
	meanings := map[api.Code]string{
		api.Invalid:           "the request is wrong; `field` says where",
		api.InvalidCron:       "the expression is; the message says which field, and at which byte",
		api.InvalidTime:       "a time is none, or is out of range",
		api.InvalidCode:       "Python does not take the code, or it lacks `execute(current_user, **kwargs)`",
		api.UnknownUser:       "the caller does not exist",
		api.Forbidden:         "only a superuser may",
		api.NotFound:          "also an unknown reference",
		api.AlreadyExists:     "the id or the unique name is taken",
		api.Ambiguous:         "several bear the name: give an id",
		api.Conflict:          "it was changed after `if_revision`",
		api.InUse:             "an active trigger, an open item or run, or an automation refers to it",
		api.IllegalTransition: "its status does not allow it",
		api.TooLarge:          "data, code or request beyond a limit of `cluster.status`",
		api.Internal:          "a defect of Belfry's; nothing was stored",
		api.Unavailable:       "try again; nothing was stored",
		api.Timeout:           "the outcome is unknown: repeat with the same request id",
	}
	var b strings.Builder
	b.WriteString("| code | status | meaning |\n|---|---|---|\n")
	for _, code := range api.Codes() {
		meaning := meanings[code]
		if meaning == "" {
			meaning = "MISSING"
		}
		fmt.Fprintf(&b, "| `%s` | %d | %s |\n", code, code.Status(), meaning)
	}
	return b.String()
}

// fields lists the fields of the records, and of the requests that make them.
func fields() string {
	var b strings.Builder
	b.WriteString("| of | fields |\n|---|---|\n")
	fmt.Fprintf(&b, "| every record | %s |\n", names(api.Meta{}, false))
	for _, r := range []struct {
		name   string
		record any
	}{
		{"function", api.Function{}}, {"a version", api.FunctionVersion{}}, {"trigger", api.Trigger{}}, {"item", api.Item{}},
		{"automation", api.Automation{}}, {"a step", api.Step{}}, {"user", api.User{}}, {"run", api.Run{}},
		{"a line of logs", eventlog.LogLine{}}, {"an error", eventlog.Error{}}, {"retry", eventlog.Retry{}},
	} {
		fmt.Fprintf(&b, "| %s | %s |\n", r.name, names(r.record, true))
	}
	b.WriteString("\n| request | fields |\n|---|---|\n")
	for _, r := range []struct {
		name    string
		request any
	}{
		{"`function.create` `update`", api.FunctionInput{}}, {"`trigger.create` `update`", api.TriggerInput{}},
		{"`item.create` `update`", api.ItemInput{}}, {"`item.create_many`", api.ItemsInput{}},
		{"`automation.create` `update`", api.AutomationInput{}}, {"`user.create` `update`, and further fields", api.UserInput{}},
		{"`get`, `function.versions`", api.Get{}}, {"`run.logs`", api.RunLogsInput{}}, {"`delete`", api.Delete{}},
		{"`item.cancel` `run.cancel`", api.Cancel{}}, {"`trigger.pause` `resume`", api.Pause{}},
		{"`function.run` `automation.run`", api.Call{}}, {"`trigger.run`", api.TriggerRun{}}, {"`trigger.preview`", api.Preview{}},
		{"`list`", api.List{}}, {"`trigger.list`, besides", api.TriggerList{}}, {"`item.list`, besides", api.ItemList{}},
		{"`run.list`, besides", api.RunList{}}, {"`audit.events`", api.AuditEvents{}}, {"`audit.at`", api.AuditAt{}},
		{"`audit.verify`", api.AuditVerify{}},
	} {
		fmt.Fprintf(&b, "| %s | %s |\n", r.name, names(r.request, true))
	}
	return b.String()
}

// names lists the JSON names of a struct's own fields.
func names(of any, own bool) string {
	var list []string
	t := reflect.TypeOf(of)
	for n := range t.NumField() {
		f := t.Field(n)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if own && f.Anonymous || name == "" {
			continue
		}
		list = append(list, "`"+name+"`")
	}
	return strings.Join(list, " ")
}

func events() string {
	byEntity, order := map[eventlog.Entity][]string{}, []eventlog.Entity{}
	for _, typ := range eventlog.Types() {
		entity := typ.Entity()
		if byEntity[entity] == nil {
			order = append(order, entity)
		}
		byEntity[entity] = append(byEntity[entity], strings.TrimPrefix(string(typ), "belfry."+string(entity)+"."))
	}
	var b strings.Builder
	b.WriteString("| type | verbs |\n|---|---|\n")
	for _, entity := range order {
		fmt.Fprintf(&b, "| `belfry.%s.` | `%s` |\n", entity, strings.Join(byEntity[entity], "` `"))
	}
	return b.String()
}
