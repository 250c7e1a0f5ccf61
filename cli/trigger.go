package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node/api"
)

func (t *terminal) triggerCommand() *cli.Command {
	n := triggerNoun()
	g := t.group("trigger", "cron schedules that run a function again and again",
		createTrigger(n),
		n.get("belfry trigger get 'Weekly Report'"),
		n.list("belfry trigger list --active --function hello", []cli.Flag{
			yes("active", "those that are active; --active=false: those that are paused"),
			text("function", "of the function `NAME_OR_ID`"),
		}, func(_ context.Context, s *session, page api.List) (any, error) {
			return api.TriggerList{List: page, Active: given(s, "active", s.line.Bool), Function: s.ref("function")}, nil
		}),
		n.update("belfry trigger update 'Weekly Report' --cron '0 9 * * 1'\nbelfry trigger update 'Weekly Report' --active=false", triggerFlags(), func(s *session) (func(string) any, error) {
			in, err := triggerInput(s)
			in.IfRevision = s.ifRevision()
			return func(id string) any { in.ID = id; return in }, err
		}),
		n.delete("belfry trigger delete 'Weekly Report'"),
		pause(n, "pause", "stop the schedule until it is resumed; a run that has begun goes on", "belfry trigger pause 'Weekly Report' --reason holidays"),
		pause(n, "resume", "go on with the schedule from now", "belfry trigger resume 'Weekly Report'"),
		runNow("trigger", n.takes, "run it now, besides its schedule", "belfry trigger run 'Weekly Report' --wait", nil,
			func(ctx context.Context, s *session) (any, error) {
				id, err := s.id(ctx, "trigger", s.arg())
				return api.TriggerRun{ID: id}, err
			}),
		previewTrigger(),
	)
	g.Aliases = []string{"schedule"}
	return g
}

func triggerNoun() noun[api.Trigger] {
	return noun[api.Trigger]{"trigger", "NAME_OR_ID", []column[api.Trigger]{
		{"ID", func(t api.Trigger) string { return t.ID }},
		{"NAME", func(t api.Trigger) string { return t.Name }},
		{"SCHEDULE", func(t api.Trigger) string { return t.CronSchedule }},
		{"ACTIVE", func(t api.Trigger) string { return yesNo(t.Active) }},
		{"RUNS", func(t api.Trigger) string { return target(t.Function, t.Automation) }},
		{"NEXT", func(t api.Trigger) string { return second(t.NextRun) }},
		{"LAST", func(t api.Trigger) string {
			if t.LastRun == nil {
				return ""
			}
			return second(t.LastRun.ScheduledFor) + " " + string(t.LastRun.Status)
		}},
	}}
}

func triggerFlags() []cli.Flag {
	return []cli.Flag{
		text("name", "its `NAME`"),
		text("cron", "when, in UTC: an `EXPRESSION` such as '0 12 * * 5', '@daily' or '@every 90s'"),
		text("function", "the function to run, by `NAME_OR_ID`"),
		text("automation", "the automation to run, by `NAME_OR_ID`"),
		text("data", "its arguments, a `JSON` object; @FILE reads a file"),
		yes("active", "whether the schedule goes on; --active=false pauses it"),
		text("running-user", "who it runs as: the `ID` of a user (default: who creates it)"),
		text("overlap", "`WHAT` to do while an earlier run has not ended: skip or allow (default: skip)"),
		text("catch-up", "`WHAT` to do after missed times: latest or none (default: latest)"),
		text("catch-up-window", "how long a missed time counts: a `DURATION` (default: 24h)"),
		text("jitter", "spread the starts over a `DURATION`"),
		text("starts-at", "no run before `TIME`; '' takes it away"),
		text("ends-at", "no run after `TIME`; '' takes it away"),
		text("retry", "attempts when the code raises or times out: a `NUMBER`, or {\"max_attempts\": 3, \"backoff\": \"10s\"} (default: the function's)"),
	}
}

func triggerInput(s *session) (api.TriggerInput, error) {
	in := api.TriggerInput{
		Name: s.text("name"), CronSchedule: s.text("cron"),
		Function: s.ref("function"), Automation: s.ref("automation"),
		Active: given(s, "active", s.line.Bool), RunningUser: s.ref("running-user"),
		Overlap: s.text("overlap"), CatchUp: s.text("catch-up"), CatchUpWindow: s.text("catch-up-window"),
		Jitter: s.text("jitter"), StartsAt: s.text("starts-at"), EndsAt: s.text("ends-at"),
	}
	var err error
	if in.Retry, err = s.retry(); err != nil {
		return in, err
	}
	in.Data, err = s.value("data")
	return in, err
}

func createTrigger(n noun[api.Trigger]) verb {
	return n.asks(verb{
		name: "create", usage: "run a function on a schedule",
		example: `belfry trigger create --name 'Weekly Report' --cron '0 12 * * 5' --function hello --data '{"report_type": "summary"}'`,
		flags:   append(triggerFlags(), text("id", "an `ID` of your own: sts_ and 16 to 36 letters and digits")),
		needs:   []string{"name", "cron"},
	}, func(_ context.Context, s *session) (any, error) {
		in, err := triggerInput(s)
		if in.Function == nil && in.Automation == nil {
			return nil, usagef("create needs --function or --automation: see belfry trigger create --help")
		}
		in.ID = s.line.String("id")
		return in, err
	})
}

// pause is the command that pauses, or resumes, a trigger.
func pause(n noun[api.Trigger], name, usage, example string) verb {
	return n.asks(verb{
		name: name, usage: usage, takes: n.takes, example: example,
		flags: []cli.Flag{text("reason", "`TEXT` for the history"), ifRevision()},
	}, func(ctx context.Context, s *session) (any, error) {
		id, err := s.id(ctx, n.name, s.arg())
		return api.Pause{ID: id, Reason: s.line.String("reason"), IfRevision: s.ifRevision()}, err
	})
}

func previewTrigger() verb {
	return verb{
		name: "preview", usage: "show the next times of a trigger, or of an expression, in UTC",
		takes:   "NAME_OR_ID_OR_EXPRESSION",
		example: "belfry trigger preview 'Weekly Report'\nbelfry trigger preview '*/15 * * * *' --count 3",
		flags: []cli.Flag{
			whole("count", "`N` times, up to 1000", strconv.Itoa(api.PreviewDefault)),
			text("from", "those after `TIME` (default: now)"),
		},
		do: func(ctx context.Context, s *session) error {
			in := api.Preview{Count: given(s, "count", s.line.Int), From: s.line.String("from")}
			if isExpression(s.arg()) {
				in.CronSchedule = s.arg()
			} else {
				var err error
				if in.ID, err = s.id(ctx, "trigger", s.arg()); err != nil {
					return err
				}
			}
			raw, err := s.ask(ctx, "trigger", "preview", in)
			if err != nil {
				return err
			}
			if s.json() {
				return s.printJSON(raw)
			}
			answer, err := read[api.Previewed](raw)
			if err != nil {
				return err
			}
			if len(answer.Times) == 0 {
				s.note("no times")
			}
			for _, at := range answer.Times {
				if _, err := fmt.Fprintln(s.out, second(at)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// isExpression tells an expression from the name of a trigger: a macro, or
// five fields or more that begin as fields do.
func isExpression(s string) bool {
	if len(s) == 0 || s[0] == '@' {
		return len(s) > 0
	}
	fields := 1
	for n := range len(s) {
		if s[n] == ' ' {
			fields++
		}
	}
	return fields >= 5 && (s[0] == '*' || s[0] >= '0' && s[0] <= '9')
}
