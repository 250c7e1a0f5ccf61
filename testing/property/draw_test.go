package property

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// hand draws what people and executors might send. What is likely comes first,
// so that a failing sequence shrinks to it.
type hand struct {
	*rapid.T
	w *world
}

func one[T any](h hand, label string, of ...T) T { return rapid.SampledFrom(of).Draw(h.T, label) }

// seldom is true once in a while.
func (h hand) seldom(label string) bool { return rapid.IntRange(0, 11).Draw(h.T, label) == 11 }

// maybe is nil half of the time.
func maybe[T any](h hand, label string, of ...T) *T {
	if rapid.Bool().Draw(h.T, label+" is given") {
		v := one(h, label, of...)
		return &v
	}
	return nil
}

// id is one of a few, so that commands meet; now and then none that may be.
func (h hand) id(prefix string, few int) string {
	if h.seldom("strange id") {
		return one(h, "id", "", prefix, "sci_0000000000000001", prefix+"0000000000000099", prefix+"'; drop", "fun_\x00", strings.Repeat("x", 500))
	}
	return fmt.Sprintf("%s%016d", prefix, rapid.IntRange(1, few).Draw(h.T, "id"))
}

func (h hand) name() *string {
	if h.seldom("strange name") {
		return maybe(h, "name", "", "a\x00b", "\u202e", strings.Repeat("名", 200), strings.Repeat("n", 201), "fun_0000000000000001")
	}
	return new(one(h, "name", "a", "b", "c", "ann"))
}

func (h hand) by() command.By {
	by := command.By{User: one(h, "user", "admin", "admin", "ann", "bob"), Now: h.w.now, CauseIndex: -1}
	if h.seldom("strange user") {
		by.User = one(h, "user", "eve", "", eventlog.System, "名")
	}
	by.Cause = fmt.Sprint(one(h, "cause", "q", "q", eventlog.GeneratedCause), h.w.draw())
	if h.seldom("of many") {
		by.CauseIndex = rapid.IntRange(0, 999).Draw(h.T, "index")
	}
	return by
}

func (h hand) revision() *uint64 {
	if h.seldom("if revision") {
		return new(rapid.Uint64Range(0, 6).Draw(h.T, "revision"))
	}
	return nil
}

func (h hand) function() *api.RefInput {
	if h.seldom("strange function") {
		return one(h, "function", nil, &api.RefInput{}, &api.RefInput{IDOrName: "nobody"}, &api.RefInput{IDOrName: "a", IsID: true})
	}
	return new(one(h, "function", api.RefInput{IDOrName: "a"}, api.RefInput{IDOrName: "fun_0000000000000001", IsID: true},
		api.RefInput{IDOrName: "b"}, api.RefInput{IDOrName: "fun_0000000000000002"}))
}

func (h hand) automation() *api.RefInput {
	if h.seldom("automation") {
		return new(one(h, "automation", api.RefInput{IDOrName: "aut_0000000000000001", IsID: true}, api.RefInput{IDOrName: "b"}))
	}
	return nil
}

// runnable is mostly one of both.
func (h hand) runnable() (function, automation *api.RefInput) {
	if automation = h.automation(); automation != nil && !h.seldom("both") {
		return nil, automation
	}
	return h.function(), automation
}

func (h hand) runner() *api.RefInput {
	return maybe(h, "runner", api.RefInput{IDOrName: "ann"}, api.RefInput{IDOrName: "bob", IsID: true}, api.RefInput{IDOrName: "eve"})
}

func (h hand) data() jsontext.Value {
	if h.seldom("strange data") {
		return one(h, "data", jsontext.Value("null"), jsontext.Value("[]"), jsontext.Value("{"), jsontext.Value(`{"current_user":1}`),
			nested(command.DepthMax), nested(command.DepthMax+1), jsontext.Value(`{"k":"`+strings.Repeat("x", api.DataBytesMax)+`"}`),
			jsontext.Value(`{"s":"\ud83d\ude00\u0000\u2028","n":-0.0e+99,"big":123456789012345678901234567890}`), jsontext.Value(`{"s":"\ud83d"}`),
			jsontext.Value(`{"s":"\u00fc\/"}`), jsontext.Value(`{"k":1,"\u006b":2}`), jsontext.Value("{\"s\":\"\xff\"}"))
	}
	return one(h, "data", nil, jsontext.Value(`{}`), jsontext.Value(`{"k": 1}`), jsontext.Value(`{ "list":[1, 2.50, {"x":null}]}`))
}

// nested is an object that nests as deep.
func nested(depth int) jsontext.Value {
	return jsontext.Value(strings.Repeat(`{"k":`, depth-1) + "{}" + strings.Repeat("}", depth-1))
}

// moment is a time near now; now and then one at the ends of time.
func (h hand) moment(label string) string {
	if h.seldom("strange " + label) {
		return one(h, label, "9999-12-31T23:59:59.9999Z", "9999-12-31T23:59:59-12:00", "1971-01-01T00:00:00+14:00", "1970-12-31T23:59:59.9999Z",
			"0000-01-01T00:00:00+14:00", "2027-02-29T00:00:00Z", "", "tomorrow")
	}
	away := one(h, label, 0, 1, 5_000, -1_000, 61_500, 3_600_000, 86_400_000, -86_400_000, 3_000_000_000)
	return (h.w.now + eventlog.Time(away)).String()
}

func (h hand) retry() *api.RetryInput {
	if rapid.IntRange(0, 5).Draw(h.T, "retry") < 5 {
		return nil
	}
	return &api.RetryInput{
		MaxAttempts: maybe(h, "attempts", 2, 3, 1, 100, 0, 101), Backoff: maybe(h, "backoff", "1s", "0s", "10m", "30d", "-1s", "x"),
		Multiplier: maybe(h, "multiplier", 2, 1, 1.5, 100, 0.5), MaxBackoff: maybe(h, "most", "1s", "1h", "30d", "31d"),
	}
}

func (h hand) cron() string {
	if h.seldom("strange cron") {
		return one(h, "cron", "", "61 * * * *", "* * * *", "@every 0s", "@every 500ms", "@reboot", "0 0 30 2 *", "*/0 * * * *", "TZ=UTC * * * * *", strings.Repeat("1,", 400)+"1 * * * *")
	}
	return one(h, "cron", "*/5 * * * *", "* * * * * *", "@every 7s", "@every 90m", "0 12 * * *", "@hourly", "30 2 * * SUN", "0 0 31 * *", "15,45 */10 9-17 * * 1-5", "0 0 29 2 *", "0 0 1 1 1")
}

// change draws a definition's command.
func (h hand) change() builder {
	by, revision := h.by(), h.revision()
	switch rapid.IntRange(0, 8).Draw(h.T, "definition") {
	case 0, 1:
		return h.changeFunction(by)
	case 2:
		id := h.id(eventlog.PrefixFunction, 2)
		return func() (command.Command, *api.Error) {
			return command.DeleteFunction{By: by, ID: id, IfRevision: revision}, nil
		}
	case 3, 4:
		return h.changeUser(by)
	case 5:
		id := one(h, "id", "ann", "bob", "admin", "eve", "")
		return func() (command.Command, *api.Error) {
			return command.DeleteUser{By: by, ID: id, IfRevision: revision}, nil
		}
	case 6, 7:
		return h.changeAutomation(by)
	}
	id := h.id(eventlog.PrefixAutomation, 2)
	return func() (command.Command, *api.Error) {
		return command.DeleteAutomation{By: by, ID: id, IfRevision: revision}, nil
	}
}

func (h hand) changeFunction(by command.By) builder {
	in := api.FunctionInput{
		ID: h.id(eventlog.PrefixFunction, 2), Name: h.name(), Code: maybe(h, "code", "c", "d", ""), Retry: h.retry(),
		Description: maybe(h, "description", "", "long", strings.Repeat("x", api.DescriptionLengthMax+1)),
		Timeout:     maybe(h, "timeout", "5s", "1ms", "7d", "0s", "8d", "1e9h"), MemoryLimit: maybe(h, "memory", "512MiB", "16MiB", "17000001B", "1"),
		OnExecutorLoss: maybe(h, "loss", "retry", "fail", "ignore"), Pool: maybe(h, "pool", "default", "gpu", "", "A B"),
		Isolation: maybe(h, "isolation", "warm", "fresh", ""), Sandbox: maybe(h, "sandbox", "", "isolated", "jail"),
		CPULimit: maybe(h, "cpu", "0s", "100ms", "7d", "1ms"), OutputLimit: maybe(h, "output", "1KiB", "1MiB", "1GiB"),
		ProcessLimit: maybe(h, "processes", 1, 64, 4096, 0), FileLimit: maybe(h, "files", 16, 256, 65536, 1),
		Env: maybe(h, "env", []string{}, []string{"KEY"}, []string{"A", "B"}, []string{"PATH"}),
	}
	if one(h, "verb", "create", "update") == "create" {
		if in.Code == nil {
			in.Code = new("c")
		}
		return func() (command.Command, *api.Error) { return made(command.NewCreateFunction(by, in, "fun_drawn")) }
	}
	in.IfRevision = h.revision()
	return func() (command.Command, *api.Error) { return made(command.NewUpdateFunction(by, in)) }
}

// made is a command, or none with its refusal.
func made[C command.Command](c C, refused *api.Error) (command.Command, *api.Error) {
	if refused != nil {
		return nil, refused
	}
	return c, nil
}

func (h hand) changeUser(by command.By) builder {
	in := api.UserInput{ID: one(h, "id", "ann", "bob", "admin", eventlog.System, "A B", ""), Name: maybe(h, "name", "ann", "b", "Ann B", "")}
	in.Fields = map[string]jsontext.Value{}
	for range rapid.IntRange(0, 2).Draw(h.T, "fields") {
		name := one(h, "field", projection.FieldSuperuser, "email", "permissions", "age", "revision", "")
		in.Fields[name] = one(h, "value", jsontext.Value("true"), jsontext.Value("null"), jsontext.Value(`"x"`), jsontext.Value(`[ "p", "\u00fc" ]`), jsontext.Value("false"), nested(101))
	}
	if one(h, "verb", "create", "update") == "create" {
		return func() (command.Command, *api.Error) { return made(command.NewCreateUser(by, in)) }
	}
	in.IfRevision = h.revision()
	return func() (command.Command, *api.Error) { return made(command.NewUpdateUser(by, in)) }
}

func (h hand) changeAutomation(by command.By) builder {
	in := api.AutomationInput{ID: h.id(eventlog.PrefixAutomation, 2), Name: h.name(), Description: maybe(h, "description", "", "d")}
	for n := range rapid.IntRange(0, 3).Draw(h.T, "steps") {
		in.Steps = append(in.Steps, api.StepInput{
			Name: new(fmt.Sprint(n / one(h, "same name", 1, 1, 2))), Function: h.function(), Data: h.data(),
			When: maybe(h, "when", "x > 1", ""), ContinueOnError: maybe(h, "continue", true, false),
		})
	}
	if one(h, "verb", "create", "update") == "create" {
		return func() (command.Command, *api.Error) { return made(command.NewCreateAutomation(by, in, "aut_drawn")) }
	}
	in.IfRevision = h.revision()
	return func() (command.Command, *api.Error) { return made(command.NewUpdateAutomation(by, in)) }
}

// report draws what an executor says of an attempt: it may say anything, but
// for the version that ran, where the judge would take it at its word.
func (h hand) report(version int) func() command.Reported {
	started := h.w.now.Std().Add(time.Duration(one(h, "started", 0, -5_000_000_000, -1, 90_000_000_000)))
	finished := started.Add(time.Second)
	result, lines, failure := jsontext.Value(`{"ok": true}`), []eventlog.LogLine(nil), eventlog.Error{Type: "ValueError", Message: "no"}
	if h.seldom("strange report") {
		started, finished = one(h, "start", ends()...), one(h, "finish", ends()...)
		result = one(h, "result", jsontext.Value("null"), nested(9_998), nested(command.ResultDepthMax), nested(command.ResultDepthMax+1), jsontext.Value(`"`+strings.Repeat("x", api.DataBytesMax)+`"`))
		lines = []eventlog.LogLine{{Time: eventlog.TimeOf(one(h, "line", ends()...)), Stream: one(h, "stream", "stdout", strings.Repeat("s", 20_000), "", "\xff"), Text: "a\xffb\x00"}}
		failure = one(h, "failure", eventlog.Error{Type: strings.Repeat("é", 101), Message: strings.Repeat("é", 9_000), Traceback: "\u2028\x00"},
			eventlog.Error{Type: "a\xffb", Message: "\xff", Traceback: strings.Repeat("\xff", 40_000)})
	}
	sandbox := one(h, "sandbox", eventlog.SandboxRestricted, eventlog.SandboxNone, "", "jail\xff")
	stopped := one(h, "stopped", "", eventlog.StopAsked, eventlog.StopKilled, "shot")
	return func() command.Reported {
		return command.Reported{
			Sandbox: sandbox, Stopped: stopped,
			FunctionVersion: version, Started: started, Finished: finished, Result: result.Clone(), Error: failure, Logs: slices.Clone(lines),
		}
	}
}

// ends are times that JSON carries and a log may not bear.
func ends() []time.Time {
	var all []time.Time
	for _, s := range []string{"2027-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "0000-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "0000-06-01T00:00:00Z", "1970-01-01T00:00:00Z"} {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			panic(err)
		}
		all = append(all, t)
	}
	return all
}
