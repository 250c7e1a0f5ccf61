package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
)

func (t *terminal) runCommand() *cli.Command {
	n := runNoun()
	return t.group("run", "executions, with their attempts",
		n.list("belfry run list --trigger 'Weekly Report'", []cli.Flag{
			text("status", "`STATUS`: Queued, Processing, Completed, Failed or Canceled"),
			text("trigger", "of the trigger `NAME_OR_ID`"),
			text("item", "of the item `NAME_OR_ID`"),
			text("function", "of the function `NAME_OR_ID`"),
			text("since", "scheduled since `TIME`, or a duration ago such as 2h"),
			text("until", "scheduled until `TIME`, or a duration ago such as 2h"),
		}, func(ctx context.Context, s *session, page api.List) (any, error) {
			in := api.RunList{
				List: page, Status: s.status(), Function: s.ref("function"),
				Since: s.since("since"), Until: s.since("until"),
			}
			var err error
			if s.line.IsSet("trigger") {
				if in.Trigger, err = s.id(ctx, "trigger", s.line.String("trigger")); err != nil {
					return nil, err
				}
			}
			if s.line.IsSet("item") {
				in.Item, err = s.id(ctx, "item", s.line.String("item"))
			}
			return in, err
		}),
		n.get("belfry run get run_01KAQ3V9M2Z8Y4T6R1W5X7C0DE"),
		runLogs(n.takes),
		n.cancel("stop one run", `belfry run cancel run_01KAQ3V9M2Z8Y4T6R1W5X7C0DE --reason "wrong list"`),
	)
}

func runNoun() noun[api.Run] {
	return noun[api.Run]{"run", "ID", []column[api.Run]{
		{"ID", func(r api.Run) string { return r.ID }},
		{"STATUS", func(r api.Run) string { return string(r.Status) }},
		{"ATTEMPT", func(r api.Run) string { return strconv.Itoa(r.Attempt) }},
		{"FUNCTION", func(r api.Run) string { return target(r.Function, r.Automation) }},
		{"SOURCE", func(r api.Run) string { return r.Source.Kind }},
		{"SCHEDULED", func(r api.Run) string { return second(r.ScheduledFor) }},
		{"LATE", func(r api.Run) string {
			if r.LatenessMS == nil {
				return ""
			}
			return strconv.FormatFloat(*r.LatenessMS, 'f', 1, 64) + "ms"
		}},
		{"FINISHED", func(r api.Run) string { return second(r.Finished) }},
		{"EXECUTOR", func(r api.Run) string { return r.Executor }},
	}}
}

func runLogs(takes string) verb {
	return verb{
		name: "logs", usage: "show what the code of one run printed and logged; -f shows it live", takes: takes,
		example: "belfry run logs run_01KAQ3V9M2Z8Y4T6R1W5X7C0DE\nbelfry run logs run_01KAQ3V9M2Z8Y4T6R1W5X7C0DE --follow",
		flags: []cli.Flag{
			follow("go on until the run has ended; -o json writes one line of output to a line"),
			whole("attempt", "of attempt `N`", "the last"),
		},
		do: func(ctx context.Context, s *session) error {
			in := api.RunLogsInput{ID: s.arg(), Attempt: given(s, "attempt", s.line.Int)}
			if s.line.Bool("follow") {
				err := s.follow(ctx, in, s.printLine)
				if errors.Is(err, context.Canceled) {
					return nil // this is how one leaves
				}
				return err
			}
			raw, err := s.ask(ctx, "run", "logs", in)
			if err != nil {
				return err
			}
			if s.json() {
				return s.printJSON(raw)
			}
			logs, err := read[api.RunLogs](raw)
			if err != nil {
				return err
			}
			for _, line := range logs.Lines {
				if err := s.printLine(line); err != nil {
					return err
				}
			}
			s.noteTruncated(logs)
			return nil
		},
	}
}

// printLine writes a line of output with its time and stream.
func (s *session) printLine(line eventlog.LogLine) error {
	_, err := fmt.Fprintf(s.out, "%s  %-6s  %s\n", line.Time, line.Stream, line.Text)
	return err
}

// noteTruncated says that there was more output than is kept.
func (s *session) noteTruncated(logs api.RunLogs) {
	if logs.Truncated {
		s.note("the run wrote more than is kept: this is the beginning")
	}
}
