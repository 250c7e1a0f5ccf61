package cluster_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

// ask sends a raw request, as nats req does, and returns code and message of
// the refusal, "" if there was none.
func ask(t testing.TB, nc *nats.Conn, subject, body string) (code, message, field string) {
	t.Helper()
	m, err := nc.Request("belfry.api."+subject, []byte(body), 10*time.Second)
	if err != nil {
		t.Fatalf("%s %.100s: %v", subject, body, err)
	}
	var refused api.ErrorBody
	if err := json.Unmarshal(m.Data, &refused); err != nil {
		t.Fatalf("%s: the answer %.200s is not JSON: %v", subject, m.Data, err)
	}
	if refused.Error == nil {
		return "", "", ""
	}
	if got, want := m.Header.Get(api.HeaderErrorCode), fmt.Sprint(refused.Error.Code.Status()); got != want {
		t.Errorf("%s: header %s is %s, not %s", subject, api.HeaderErrorCode, got, want)
	}
	if m.Header.Get(api.HeaderError) == "" {
		t.Errorf("%s: header %s is missing", subject, api.HeaderError)
	}
	return string(refused.Error.Code), refused.Error.Message, refused.Error.Field
}

const good = `def execute(current_user, **kwargs):\n    return 1\n`

// hostile are names and ids that no record may have.
func hostile() []string {
	return []string{"", strings.Repeat("x", 10_000), `tab\there`, `\u0000`, `new\nline`, `\u007f`}
}

// bad is a request and the code of its refusal.
type bad struct{ subject, body, code string }

// refuse sends requests that get their codes, each with a sentence, and store
// nothing.
func refuse(t *testing.T, nc *nats.Conn, cases []bad) {
	t.Helper()
	before := cluster.LastSeq(t, nc)
	for _, b := range cases {
		code, message, _ := ask(t, nc, b.subject, b.body)
		if code != b.code {
			t.Errorf("%s %.120s: %q (%s), not %s", b.subject, b.body, code, message, b.code)
		}
		if len(message) < 10 || len(message) > 1000 || strings.Contains(message, "\n") {
			t.Errorf("%s %.120s: the message %q is not a sentence", b.subject, b.body, message)
		}
		if after := cluster.LastSeq(t, nc); after != before {
			t.Errorf("%s %.120s: the stream moved from %d to %d", b.subject, b.body, before, after)
			before = after
		}
	}
	t.Logf("%d bad requests", len(cases))
}

// Bad input gets its code and a sentence, stores nothing and breaks nothing.
func TestBadInput(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	nc := p.Conn()
	c := p.Client(api.Admin)
	f := create(t, c, "f", "def execute(current_user, **kwargs):\n    return 1\n")
	if _, err := c.CreateUser(t.Context(), api.UserInput{ID: "ann"}); err != nil {
		t.Fatal(err)
	}
	item, err := c.CreateItem(t.Context(), api.ItemInput{Name: text("i"), RunDateTime: text("2100-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: f.ID}})
	if err != nil {
		t.Fatal(err)
	}
	done, err := c.CreateItem(t.Context(), api.ItemInput{Name: text("done"), RunDateTime: text("2020-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: f.ID}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WaitItem(t.Context(), done.ID); err != nil {
		t.Fatal(err)
	}

	cases := []bad{
		// Callers.
		{"nobody.item.list", `{}`, "unknown_user"}, {"nobody.item.create", newItem(``), "unknown_user"},
		{"nobody.function.get", `{"id":"x"}`, "unknown_user"}, {"nobody.cluster.status", ``, "unknown_user"},
		{"nobody.audit.events", ``, "unknown_user"}, {"nobody.run.cancel", `{"id":"run_x"}`, "not_found"},
		{"ann.user.create", `{"id":"eve"}`, "forbidden"}, {"ann.user.update", `{"id":"ann","is_superuser":true}`, "forbidden"},
		{"ann.user.delete", `{"id":"admin"}`, "forbidden"},
		{"ann.item.create", newItem(`,"running_user":"admin"`), "forbidden"},
		{"ann.item.update", `{"id":"` + item.ID + `","priority":3}`, "forbidden"},
		{"ann.function.update", `{"id":"` + f.ID + `","description":"mine"}`, "forbidden"},
		{"admin.user.update", `{"id":"admin","is_superuser":false}`, "forbidden"},
		{"admin.user.delete", `{"id":"admin"}`, "forbidden"},

		// Functions.
		{"admin.function.create", `{"name":"g"}`, "invalid"},
		{"admin.function.create", `{"code":"` + good + `"}`, "invalid"},
		{"admin.function.create", `{"name":"f","code":"` + good + `"}`, "already_exists"},
		{"admin.function.create", `{"name":"g","code":"def execute(:\n  pass"}`, "invalid_code"},
		{"admin.function.create", `{"name":"g","code":"x = 1"}`, "invalid_code"},
		{"admin.function.create", `{"name":"g","code":"def execute(user):\n  pass"}`, "invalid_code"},
		{"admin.function.create", `{"name":"g","code":""}`, "invalid_code"},
		{"admin.function.create", `{"name":"g","code":"` + strings.Repeat("((((", 2000) + `"}`, "invalid_code"},
		{"admin.function.create", `{"name":"g","code":"a\u0000b"}`, "invalid_code"},
		{"admin.function.create", `{"name":"g","code":"` + strings.Repeat("#", api.CodeBytesMax+1) + `"}`, "too_large"},
		{"admin.function.create", `{"name":"g","code":"` + good + `","timeout":"soon"}`, "invalid"},
		{"admin.function.create", `{"name":"g","code":"` + good + `","timeout":"-1s"}`, "invalid"},
		{"admin.function.create", `{"name":"g","code":"` + good + `","memory_limit":"lots"}`, "invalid"},
		{"admin.function.create", `{"name":"g","code":"` + good + `","pool":"a.b"}`, "invalid"},
		{"admin.function.create", `{"name":"g","code":"` + good + `","pool":"nowhere"}`, "unavailable"},
		{"admin.function.create", `{"name":"g","code":"` + good + `","on_executor_loss":"cry"}`, "invalid"},
		{"admin.function.create", `{"name":"g","code":"` + good + `","retry":{"max_attempts":0}}`, "invalid"},
		{"admin.function.create", `{"name":"g","code":"` + good + `","retry":{"backof":"1s"}}`, "invalid"},
		{"admin.function.create", `{"name":"g","code":"` + good + `","id":"fun_short"}`, "invalid"},
		{"admin.function.create", `{"name":"g","code":"` + good + `","id":"` + f.ID + `"}`, "already_exists"},
		{"admin.function.update", `{"id":"fun_0000000000000000","name":"z"}`, "not_found"},
		{"admin.function.update", `{"id":"` + f.ID + `","code":"def"}`, "invalid_code"},
		{"admin.function.update", `{"id":"` + f.ID + `","if_revision":0,"name":"z"}`, "conflict"},
		{"admin.function.update", `{"id":"` + f.ID + `","if_revision":9,"name":"z"}`, "conflict"},
		{"admin.function.update", `{"id":"` + f.ID + `","version":7}`, "invalid"},
		{"admin.function.delete", `{"id":"` + f.ID + `"}`, "in_use"},
		{"admin.function.delete", `{"id":"x.*.>"}`, "not_found"},
		{"admin.function.get", `{"name":"F"}`, "not_found"}, {"admin.function.get", `{}`, "invalid"},
		{"admin.function.get", `{"id":"a","name":"b"}`, "invalid"},
		{"admin.function.versions", `{"id":"nope"}`, "not_found"},
		{"admin.function.list", `{"limit":0}`, "invalid"}, {"admin.function.list", `{"limit":1001}`, "invalid"},
		{"admin.function.list", `{"cursor":"%%%"}`, "invalid"}, {"admin.function.list", `{"active":true}`, "invalid"},

		// Users.
		{"admin.user.create", `{}`, "invalid"}, {"admin.user.create", `{"id":"Ann"}`, "invalid"},
		{"admin.user.create", `{"id":"a.b"}`, "invalid"}, {"admin.user.create", `{"id":"belfry"}`, "invalid"},
		{"admin.user.create", `{"id":"ann","email":"other@example.com"}`, "already_exists"},
		{"admin.user.create", `{"id":"bob","name":"ann"}`, "already_exists"},
		{"admin.user.create", `{"id":"bob","email":7}`, "invalid"},
		{"admin.user.create", `{"id":"bob","permissions":"all"}`, "invalid"},
		{"admin.user.create", `{"id":"bob","is_superuser":"yes"}`, "invalid"},
		{"admin.user.create", `{"id":"bob","revision":7}`, "invalid"},
		{"admin.user.create", `{"id":"bob","note":"` + strings.Repeat("n", api.UserBytesMax) + `"}`, "too_large"},
		{"admin.user.update", `{"id":"bob","email":"x"}`, "not_found"},
		{"admin.user.update", `{"id":"ann","if_revision":5,"email":"x"}`, "conflict"},
		{"admin.user.delete", `{"id":"bob"}`, "not_found"}, {"admin.user.get", `{"id":"bob"}`, "not_found"},

		// Items.
		{"admin.item.create", `{"run_date_time":"2100-01-01T00:00:00Z","function":"f"}`, "invalid"},
		{"admin.item.create", `{"name":"i","function":"f"}`, "invalid"},
		{"admin.item.create", `{"name":"i","run_date_time":"2100-01-01T00:00:00Z"}`, "invalid"},
		{"admin.item.create", newItem(`,"automation":"a"`), "invalid"},
		{"admin.item.create", `{"name":"i","run_date_time":"2100-01-01T00:00:00Z","automation":"a"}`, "not_found"},
		{"admin.item.create", `{"name":"i","run_date_time":"2100-01-01T00:00:00Z","function":"g"}`, "not_found"},
		{"admin.item.create", `{"name":"i","run_date_time":"2100-01-01T00:00:00Z","function":{"name":"f"}}`, "invalid"},
		{"admin.item.create", `{"name":"i","run_date_time":"2100-01-01T00:00:00Z","function":7}`, "invalid"},
		{"admin.item.create", `{"name":"i","run_date_time":"2100-02-30T00:00:00Z","function":"f"}`, "invalid_time"},
		{"admin.item.create", `{"name":"i","run_date_time":"2100-01-01T25:00:00Z","function":"f"}`, "invalid_time"},
		{"admin.item.create", `{"name":"i","run_date_time":"tomorrow","function":"f"}`, "invalid_time"},
		{"admin.item.create", `{"name":"i","run_date_time":"","function":"f"}`, "invalid_time"},
		{"admin.item.create", `{"name":"i","run_date_time":"0001-01-01T00:00:00Z","function":"f"}`, "invalid_time"},
		{"admin.item.create", `{"name":"i","run_date_time":1234567890,"function":"f"}`, "invalid"},
		{"admin.item.create", newItem(`,"status":"Completed"`), "invalid"},
		{"admin.item.create", newItem(`,"data":[1]`), "invalid"}, {"admin.item.create", newItem(`,"data":"x"`), "invalid"},
		{"admin.item.create", newItem(`,"data":{"current_user":1}`), "invalid"},
		{"admin.item.create", newItem(`,"data":{"x":"` + strings.Repeat("d", api.DataBytesMax) + `"}`), "too_large"},
		{"admin.item.create", newItem(`,"data":` + strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200)), "invalid"},
		{"admin.item.create", newItem(`,"priority":1.5`), "invalid"}, {"admin.item.create", newItem(`,"priority":99999999`), "invalid"},
		{"admin.item.create", newItem(`,"retry":{"max_attempts":1000}`), "invalid"},
		{"admin.item.create", newItem(`,"running_user":"bob"`), "not_found"},
		{"admin.item.create", newItem(`,"id":"sci_.*>"`), "invalid"}, {"admin.item.create", newItem(`,"id":"fun_0000000000000000"`), "invalid"},
		{"admin.item.create", newItem(`,"priority":1,"id":"` + item.ID + `"`), "already_exists"},
		{"admin.item.create", newItem(`,"if_revision":1`), "invalid"},
		{"admin.item.create", newItem(`,"name":"twice"`), "invalid"},
		{"admin.item.create_many", `{}`, "invalid"}, {"admin.item.create_many", `{"items":{}}`, "invalid"},
		{"admin.item.create_many", `{"items":[` + strings.Repeat(`{},`, 1000) + `{}]}`, "too_large"},
		{"admin.item.update", `{"id":"sci_0000000000000000","priority":1}`, "not_found"},
		{"admin.item.update", `{"id":"` + item.ID + `","if_revision":0,"priority":1}`, "conflict"},
		{"admin.item.update", `{"id":"` + item.ID + `","status":"Completed"}`, "illegal_transition"},
		{"admin.item.update", `{"id":"` + item.ID + `","status":"Gone"}`, "invalid"},
		{"admin.item.update", `{"id":"` + item.ID + `","status":"Canceled","priority":1}`, "invalid"},
		{"admin.item.update", `{"id":"` + item.ID + `","result":1}`, "invalid"},
		{"admin.item.update", `{"id":"` + done.ID + `","priority":1}`, "illegal_transition"},
		{"admin.item.cancel", `{"id":"` + done.ID + `"}`, "illegal_transition"},
		{"admin.item.cancel", `{"id":"sci_0000000000000000"}`, "not_found"},
		{"admin.item.cancel", `{"id":"` + item.ID + `","reason":"` + strings.Repeat("r", 2000) + `"}`, "invalid"},
		{"admin.item.get", `{"name":"nobody"}`, "not_found"}, {"admin.item.list", `{"status":"queued"}`, "invalid"},
		{"admin.item.list", `{"function":"nope"}`, "not_found"}, {"admin.item.list", `{"due_after":"x"}`, "invalid_time"},
		{"admin.item.list", `{"cursor":"AAAA"}`, "invalid"},

		// Runs, cluster, audit.
		{"admin.run.get", `{"id":"run_0000000000000000"}`, "not_found"}, {"admin.run.get", `{"id":"` + item.ID + `"}`, "not_found"},
		{"admin.run.logs", `{}`, "invalid"}, {"admin.run.logs", `{"id":"run_0000000000000000"}`, "not_found"},
		{"admin.run.logs", `{"id":"run_0000000000000000","wait":"1s"}`, "not_found"},
		{"admin.run.logs", logsOf(done, `"wait":"11m"`), "invalid"}, {"admin.run.logs", logsOf(done, `"wait":"-1s"`), "invalid"},
		{"admin.run.logs", logsOf(done, `"wait":3`), "invalid"}, {"admin.run.logs", logsOf(done, `"wait":"soon"`), "invalid"},
		{"admin.run.logs", logsOf(done, `"attempt":0`), "invalid"}, {"admin.run.logs", logsOf(done, `"attempt":-1`), "invalid"},
		{"admin.run.logs", logsOf(done, `"attempt":"1"`), "invalid"}, {"admin.run.logs", logsOf(done, `"attempt":1.5`), "invalid"},
		{"admin.run.logs", logsOf(done, `"attempt":2`), "not_found"}, {"admin.run.logs", logsOf(done, `"attempt":99,"wait":"1m"`), "not_found"},
		{"admin.run.logs", logsOf(done, `"attempt":1,"after":"2.0.0"`), "invalid"},
		{"admin.run.logs", logsOf(done, `"after":"3.0.0","wait":"1m"`), "not_found"},
		{"admin.run.logs", logsOf(done, `"after":"x"`), "invalid"}, {"admin.run.logs", logsOf(done, `"after":"1.2"`), "invalid"},
		{"admin.run.logs", logsOf(done, `"after":"1.2.3.4"`), "invalid"}, {"admin.run.logs", logsOf(done, `"after":"1.-2.3"`), "invalid"},
		{"admin.run.logs", logsOf(done, `"after":"1.2.9223372036854775808"`), "invalid"},
		{"admin.run.logs", logsOf(done, `"after":"99999999999.2.3"`), "invalid"}, {"admin.run.logs", logsOf(done, `"after":7`), "invalid"},
		{"nobody.run.logs", logsOf(done, `"wait":"1m"`), "unknown_user"},
		{"admin.run.cancel", `{"id":"run_0000000000000000"}`, "not_found"},
		{"admin.run.cancel", `{"id":"run_` + done.ID[4:] + `"}`, "illegal_transition"},
		{"admin.run.list", `{"trigger":"sts_x"}`, "not_found"}, {"admin.run.list", `{"since":"never"}`, "invalid_time"},
		{"admin.cluster.status", `{"x":1}`, "invalid"},
		{"admin.audit.events", `{"entity":"martian"}`, "invalid"}, {"admin.audit.events", `{"after":"x.y"}`, "invalid"},
		{"admin.audit.verify", `{"id":"ver_0"}`, "not_found"}, {"admin.audit.verify", `{"wait":"11m"}`, "invalid"},
		{"admin.audit.verify", `{"wait":"-1s"}`, "invalid"}, {"admin.audit.verify", `{"wait":3}`, "invalid"},
		{"admin.audit.verify", `{"seq":3}`, "invalid"}, {"admin.audit.verify", `[]`, "invalid"},
		{"nobody.audit.verify", `{}`, "unknown_user"},
		{"admin.audit.events", `{"limit":-1}`, "invalid"}, {"admin.audit.events", `{"until":"now"}`, "invalid_time"},
	}
	for _, name := range hostile() {
		cases = append(cases,
			bad{"admin.function.create", `{"name":"` + name + `","code":"` + good + `"}`, "invalid"},
			bad{"admin.user.create", `{"id":"` + name + `"}`, "invalid"},
			bad{"admin.item.create", `{"name":"` + name + `","run_date_time":"2100-01-01T00:00:00Z","function":"f"}`, "invalid"})
	}
	for entity, verbs := range api.Verbs() {
		for _, verb := range verbs {
			for _, body := range []string{`{`, `[]`, `null`, `"x"`, `{"id":`, "\xff\xfe", `{}{}`, `{"id":"a","id":"b"}`, strings.Repeat("[", 100_000)} {
				cases = append(cases, bad{"admin." + entity + "." + verb, body, "invalid"})
			}
			if entity != "user" || verb == "get" || verb == "list" || verb == "delete" {
				cases = append(cases, bad{"admin." + entity + "." + verb, `{"no_such_field":1}`, "invalid"})
			}
		}
	}
	refuse(t, nc, cases)
	if code, message, field := ask(t, nc, "admin.function.create", `{"name":"g","code":"def execute(current_user, **kwargs):\n    return 1 +\n"}`); code != "invalid_code" || field != "code" || !strings.Contains(message, "line 2") {
		t.Errorf("code that does not compile: %s %s %s", code, field, message)
	}
	for _, b := range badLimits() {
		for _, body := range []string{`{"name":"g","code":"` + good + `","` + b[0] + `":` + b[1] + `}`, `{"id":"` + f.ID + `","` + b[0] + `":` + b[1] + `}`} {
			verb := "create"
			if strings.HasPrefix(body, `{"id"`) {
				verb = "update"
			}
			code, message, field := ask(t, nc, "admin.function."+verb, body)
			if name, _, _ := strings.Cut(field, "."); code != "invalid" || name != b[0] || len(message) < 10 {
				t.Errorf("function.%s with %s %s: %q of %q (%s)", verb, b[0], b[1], code, field, message)
			}
		}
	}
	if code, _, field := ask(t, nc, "admin.item.create", newItem(`,"retry":{"backoff":5}`)); code != "invalid" || field != "retry.backoff" {
		t.Errorf("the field at fault is named %q", field)
	}

	// It serves as before.
	if code, message, _ := ask(t, nc, "admin.item.create", newItem(`,"id":"sci_00000000000000001"`)); code != "" {
		t.Errorf("a good request after them: %s %s", code, message)
	}
	cluster.Judge(t, nc)
}

// badLimits are fields of a function, each with a value that it does not take.
func badLimits() [][2]string {
	return [][2]string{
		{"isolation", `"cold"`},
		{"isolation", `""`},
		{"isolation", `true`},
		{"sandbox", `"jail"`},
		{"sandbox", `3`},
		{"cpu_limit", `"99ms"`},
		{"cpu_limit", `"8d"`},
		{"cpu_limit", `"-1s"`},
		{"cpu_limit", `30`},
		{"process_limit", `0`},
		{"process_limit", `4097`},
		{"process_limit", `"64"`},
		{"process_limit", `1.5`},
		{"file_limit", `15`},
		{"file_limit", `65537`},
		{"file_limit", `1e99`},
		{"output_limit", `"1023B"`},
		{"output_limit", `"2MiB"`},
		{"output_limit", `4096`},
		{"env", `["1A"]`},
		{"env", `["A","A"]`},
		{"env", `["PATH"]`},
		{"env", `["PYTHONHOME"]`},
		{"env", `["LD_PRELOAD"]`},
		{"env", `[""]`},
		{"env", `["A=b"]`},
		{"env", `"A"`},
		{"env", `{"A":"b"}`},
		{"env", `[7]`},
	}
}

// logsOf asks for the output of an item's run.
func logsOf(i api.Item, more string) string { return `{"id":"run_` + i.ID[4:] + `",` + more + `}` }

// newItem is a good item with more fields.
func newItem(more string) string {
	return `{"name":"i","run_date_time":"2100-01-01T00:00:00Z","function":"f"` + more + `}`
}

// create_many: each item stands for itself, in order.
func TestCreateMany(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	nc := p.Conn()
	create(t, p.Client(api.Admin), "f", "def execute(current_user, **kwargs):\n    return 1\n")
	m := nats.NewMsg("belfry.api.admin.item.create_many")
	m.Header.Set(api.HeaderRequestID, "many-1")
	m.Data = []byte(`{"items":[` + newItem(``) + `,{"name":"bad"},7,` + newItem(`,"name2":1`) + `,` + newItem(`,"data":{"n":2}`) + `]}`)
	var first []byte
	for try := range 2 {
		reply, err := nc.RequestMsg(m, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Results []struct {
				ID    string
				Error *api.Error
			}
		}
		if err := json.Unmarshal(reply.Data, &answer); err != nil || len(answer.Results) != 5 {
			t.Fatalf("%s: %v", reply.Data, err)
		}
		for n, r := range answer.Results {
			if bad := n == 1 || n == 2 || n == 3; bad != (r.Error != nil) || bad == (r.ID != "") {
				t.Errorf("result %d is %+v", n, r)
			}
		}
		if try == 0 {
			first = reply.Data
		} else if string(first) != string(reply.Data) {
			t.Errorf("the repeated request answered\n%s, the first\n%s", reply.Data, first)
		}
	}
	if v := cluster.Judge(t, nc); len(v.Items) != 2 {
		t.Errorf("%d items are in the log, not 2", len(v.Items))
	}
}

// A repeated request answers with what it did, and does nothing again, also
// after a restart.
func TestRequestIDs(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	nc := p.Conn()
	do := func(id, subject, body string) string {
		t.Helper()
		m := nats.NewMsg("belfry.api.admin." + subject)
		m.Header.Set(api.HeaderRequestID, id)
		m.Data = []byte(body)
		reply, err := nc.RequestMsg(m, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return string(reply.Data)
	}
	type request struct{ id, subject, body string }
	requests := []request{
		{"r1", "function.create", `{"name":"f","code":"` + good + `"}`},
		{"r2", "item.create", newItem(``)},
		{"r3", "user.create", `{"id":"ann","email":"a@example.com","team":"red"}`},
		{"r4", "user.update", `{"id":"ann","team":null}`},
		{"r5", "user.delete", `{"id":"ann"}`},
	}
	answers := map[string]string{}
	for _, r := range requests {
		answers[r.id] = do(r.id, r.subject, r.body)
		if strings.Contains(answers[r.id], `"error"`) {
			t.Fatalf("%s: %s", r.subject, answers[r.id])
		}
	}
	var item struct{ ID string }
	if err := json.Unmarshal([]byte(answers["r2"]), &item); err != nil {
		t.Fatal(err)
	}
	cancel := request{"r6", "item.cancel", `{"id":"` + item.ID + `"}`}
	requests = append(requests, cancel)
	answers[cancel.id] = do(cancel.id, cancel.subject, cancel.body)
	before := cluster.LastSeq(t, nc)
	for range 2 {
		for _, r := range requests {
			if again := do(r.id, r.subject, r.body); again != answers[r.id] {
				t.Errorf("%s repeated answered\n%s\nfirst\n%s", r.subject, again, answers[r.id])
			}
		}
		if after := cluster.LastSeq(t, nc); after != before {
			t.Errorf("repeated requests moved the stream from %d to %d", before, after)
		}
		p.Kill()
		p.Start()
		if err := nc.FlushTimeout(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		before = cluster.LastSeq(t, nc) // the opening
	}
	if got := do("r2", "function.create", `{"name":"other","code":"`+good+`"}`); strings.Contains(got, `"item`) {
		t.Errorf("an id of another request answered %s", got)
	}
}
