package cli

import (
	"context"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node/api"
)

func (t *terminal) itemCommand() *cli.Command {
	n := itemNoun()
	return t.group("item", "one run of a function at one time",
		createItem(n),
		createItems(),
		n.get("belfry item get greet"),
		n.list("belfry item list --status Queued --due-before 2026-12-24T00:00:00Z", []cli.Flag{
			text("status", "`STATUS`: Queued, Processing, Completed, Failed or Canceled"),
			text("function", "of the function `NAME_OR_ID`"),
			text("due-after", "due after `TIME`"),
			text("due-before", "due before `TIME`"),
		}, func(_ context.Context, s *session, page api.List) (any, error) {
			return api.ItemList{
				List: page, Status: s.status(), Function: s.ref("function"),
				DueAfter: s.line.String("due-after"), DueBefore: s.line.String("due-before"),
			}, nil
		}),
		n.update("belfry item update greet --at 2026-12-24T18:00:00Z", itemFlags(), func(s *session) (func(string) any, error) {
			in, err := itemInput(s)
			in.IfRevision = s.ifRevision()
			return func(id string) any { in.ID = id; return in }, err
		}),
		n.cancel("take back one item before its run", `belfry item cancel greet --reason "sent by hand"`),
	)
}

func itemNoun() noun[api.Item] {
	return noun[api.Item]{"item", "NAME_OR_ID", []column[api.Item]{
		{"ID", func(i api.Item) string { return i.ID }},
		{"NAME", func(i api.Item) string { return i.Name }},
		{"STATUS", func(i api.Item) string { return string(i.Status) }},
		{"DUE", func(i api.Item) string { return second(i.RunDateTime) }},
		{"FUNCTION", func(i api.Item) string { return target(i.Function, i.Automation) }},
		{"PRIORITY", func(i api.Item) string { return strconv.Itoa(i.Priority) }},
		{"FINISHED", func(i api.Item) string { return second(i.Finished) }},
		{"ERROR", func(i api.Item) string {
			if i.Error == nil {
				return ""
			}
			return i.Error.Type + ": " + i.Error.Message
		}},
	}}
}

func itemFlags() []cli.Flag {
	return []cli.Flag{
		text("name", "its `NAME`"),
		text("at", "when to run: a `TIME` such as 2026-12-24T18:00:00Z, in UTC unless it has an offset"),
		text("in", "when to run, from now: a `DURATION` such as 90s, 1h30m or 3d"),
		text("function", "the function to run, by `NAME_OR_ID`"),
		text("automation", "the automation to run, by `NAME_OR_ID`"),
		text("data", "its arguments, a `JSON` object; @FILE reads a file"),
		text("running-user", "who it runs as: the `ID` of a user (default: who creates it)"),
		whole("priority", "higher `NUMBER`s first among those that are due", "0"),
		text("retry", "attempts when the code raises or times out: a `NUMBER`, or {\"max_attempts\": 3, \"backoff\": \"10s\"} (default: the function's)"),
	}
}

func itemInput(s *session) (api.ItemInput, error) {
	in := api.ItemInput{
		Name:        s.text("name"),
		RunDateTime: s.text("at"),
		Function:    s.ref("function"),
		Automation:  s.ref("automation"),
		RunningUser: s.ref("running-user"),
		Priority:    given(s, "priority", s.line.Int),
	}
	if s.line.IsSet("in") {
		if in.RunDateTime != nil {
			return in, usagef("--at and --in say the same: give one of them")
		}
		at, err := s.later("in")
		if err != nil {
			return in, err
		}
		in.RunDateTime = &at
	}
	var err error
	if in.Retry, err = s.retry(); err != nil {
		return in, err
	}
	in.Data, err = s.value("data")
	return in, err
}

func createItem(n noun[api.Item]) verb {
	return verb{
		name: "create", usage: "schedule one run",
		example: `belfry item create --name greet --in 3d --function hello --data '{"to": "Ann"}'
belfry item create --name greet --at 2026-12-24T18:00:00Z --function hello
belfry item create --name now --in 0s --function hello --wait --follow`,
		flags: append(itemFlags(),
			text("id", "an `ID` of your own: sci_ and 16 to 36 letters and digits"),
			yes("wait", "wait until it has ended, then show what it printed and its result"),
			followWaiting(),
			text("wait-timeout", "wait for this `DURATION` at most"),
		),
		needs: []string{"name"},
		do: func(ctx context.Context, s *session) error {
			in, err := itemInput(s)
			if err != nil {
				return err
			}
			if in.Function == nil && in.Automation == nil {
				return usagef("create needs --function or --automation: see belfry item create --help")
			}
			if in.RunDateTime == nil {
				return usagef("create needs --at or --in: see belfry item create --help")
			}
			in.ID = s.line.String("id")
			patience, err := s.patience()
			if err != nil {
				return err
			}
			raw, err := s.ask(ctx, "item", "create", in)
			if err != nil {
				return err
			}
			if patience == 0 {
				return n.row(s, raw)
			}
			item, err := read[api.Item](raw)
			if err != nil {
				return err
			}
			return s.await(ctx, item, patience)
		},
	}
}
