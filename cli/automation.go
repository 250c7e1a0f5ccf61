package cli

import (
	"context"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node/api"
)

func (t *terminal) automationCommand() *cli.Command {
	n := noun[api.Automation]{"automation", "NAME_OR_ID", []column[api.Automation]{
		{"ID", func(a api.Automation) string { return a.ID }},
		{"NAME", func(a api.Automation) string { return a.Name }},
		{"STEPS", func(a api.Automation) string { return strconv.Itoa(len(a.Steps)) }},
		{"MODIFIED", func(a api.Automation) string { return second(a.ModifiedDate) }},
	}}
	return t.group("automation", "sequences of steps, kept as records: they do not run yet",
		n.asks(verb{
			name: "create", usage: "store steps under a name",
			example: `belfry automation create --name welcome --steps '[{"name": "greet", "function": "hello", "data": {"to": "Ann"}}]'`,
			flags:   append(automationFlags(), text("id", "an `ID` of your own: aut_ and 16 to 36 letters and digits")),
			needs:   []string{"name", "steps"},
		}, func(_ context.Context, s *session) (any, error) {
			in, err := automationInput(s)
			in.ID = s.line.String("id")
			return in, err
		}),
		n.get("belfry automation get welcome"),
		n.list("belfry automation list", nil, func(_ context.Context, _ *session, page api.List) (any, error) { return page, nil }),
		n.update("belfry automation update welcome --steps @steps.json", automationFlags(), func(s *session) (func(string) any, error) {
			in, err := automationInput(s)
			in.IfRevision = s.ifRevision()
			return func(id string) any { in.ID = id; return in }, err
		}),
		n.delete("belfry automation delete welcome"),
		runNow("automation", n.takes, "run it now (its run fails: automations do not run yet)", "belfry automation run welcome --wait",
			[]cli.Flag{callData()}, callRequest),
	)
}

func automationFlags() []cli.Flag {
	return []cli.Flag{
		text("name", "its `NAME`, which no other automation has"),
		text("description", "`TEXT` for people"),
		text("steps", "a `JSON` list of {\"name\", \"function\", \"data\", \"when\", \"continue_on_error\"}; @FILE reads a file"),
	}
}

func automationInput(s *session) (api.AutomationInput, error) {
	in := api.AutomationInput{Name: s.text("name"), Description: s.text("description")}
	steps, err := s.value("steps")
	if err != nil || steps == nil {
		return in, err
	}
	if err := json.Unmarshal(steps, &in.Steps, json.RejectUnknownMembers(true)); err != nil || in.Steps == nil {
		return in, usagef(`--steps is not a list of steps: write it like '[{"name": "greet", "function": "hello"}]'`)
	}
	return in, nil
}
