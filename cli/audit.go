package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
)

func (t *terminal) auditCommand() *cli.Command {
	return t.group("audit", "everything that happened, event by event", auditEvents(), auditTail(), auditAt(), auditVerify())
}

func auditFlags() []cli.Flag {
	return []cli.Flag{
		text("entity", "of this `KIND`: function, item, user, …"),
		text("id", "of the record `ID`"),
		text("since", "since `TIME`, or a duration ago such as 2h"),
	}
}

func auditInput(s *session) api.AuditEvents {
	return api.AuditEvents{
		Entity: s.line.String("entity"), ID: s.line.String("id"), Since: s.since("since"),
	}
}

func auditEvents() verb {
	return verb{
		name: "events", usage: "list events in the order in which they happened; -o json writes one to a line",
		example: "belfry audit events --entity item --since 2h",
		flags: append(auditFlags(),
			text("until", "until `TIME`, or a duration ago such as 2h"),
			text("after", "go on after `WHERE` the page before ended"),
			whole("limit", "at most `N` events on a page, up to 1000", "100"),
			yes("all", "all pages")),
		do: func(ctx context.Context, s *session) error {
			in := auditInput(s)
			in.Until, in.After = s.since("until"), s.line.String("after")
			in.Limit = given(s, "limit", s.line.Int)
			for shown := 0; ; {
				raw, err := s.ask(ctx, "audit", "events", in)
				if err != nil {
					return err
				}
				page, err := read[api.AuditPage](raw)
				if err != nil {
					return err
				}
				for _, event := range page.Events {
					if err := s.printEvent(event); err != nil {
						return err
					}
				}
				shown += len(page.Events)
				switch {
				case page.Next == "" || page.Next == in.After:
					if shown == 0 {
						s.note("no events")
					}
					return nil
				case !s.line.Bool("all"):
					s.note("there are more: add --all, or --after %s", page.Next)
					return nil
				}
				in.After = page.Next
			}
		},
	}
}

func auditAt() verb {
	return verb{
		name: "at", usage: "show one record as it stood at a time, or after a commit", takes: "ID",
		example: "belfry audit at sts_01KAQ3V9M2Z8Y4T6R1W5X7WEEK --time 2026-11-24T12:00:00Z\nbelfry audit at sci_01KAQ3V9M2Z8Y4T6R1W5X7GRT0 --seq 41",
		flags: []cli.Flag{
			text("time", "as it stood at `TIME`, or a duration ago such as 2h"),
			&cli.Uint64Flag{Name: "seq", Usage: "as it stood after the commit at sequence `N`", DefaultText: "none"},
		},
		do: func(ctx context.Context, s *session) error {
			if !s.line.IsSet("time") && !s.line.IsSet("seq") {
				return usagef("at needs --time or --seq: see belfry audit at --help")
			}
			raw, err := s.ask(ctx, "audit", "at", api.AuditAt{ID: s.arg(), Time: s.since("time"), Seq: s.line.Uint64("seq")})
			if err != nil {
				return err
			}
			if s.json() {
				return s.printJSON(raw)
			}
			return sheet(s.out, raw)
		},
	}
}

func auditTail() verb {
	return verb{
		name: "tail", usage: "show events as they happen, until interrupted",
		example: "belfry audit tail --entity item",
		flags:   auditFlags(),
		do: func(ctx context.Context, s *session) error {
			c, err := s.client(ctx)
			if err != nil {
				return err
			}
			in := auditInput(s)
			if in.Since == "" { // from now on: by the log, not by our clock
				status, err := c.ClusterStatus(ctx)
				if err != nil {
					return err
				}
				in.After = strconv.FormatUint(status.Stream.LastSeq, 10)
			}
			err = c.FollowAudit(ctx, in, s.printEvent)
			if errors.Is(err, context.Canceled) {
				return nil // this is how one leaves
			}
			return err
		},
	}
}

// dataWidthMax bounds what a line shows of an event's data, in characters.
const dataWidthMax = 80

// printEvent writes one event on one line.
func (s *session) printEvent(raw jsontext.Value) error {
	if s.json() {
		if err := raw.Compact(lenient()); err != nil {
			return err
		}
		return s.printJSON(raw)
	}
	e, err := read[struct {
		Seq     uint64         `json:"seq"`
		Type    string         `json:"type"`
		Subject string         `json:"subject"`
		Time    eventlog.Time  `json:"time"`
		Actor   string         `json:"actor"`
		Data    jsontext.Value `json:"data"`
	}](raw)
	if err != nil {
		return err
	}
	// Fixed widths: the lines come one by one.
	_, err = fmt.Fprintf(s.out, "%s  %8d  %-22s  %-30s  %-12s  %s\n",
		e.Time, e.Seq, clean(strings.TrimPrefix(e.Type, "belfry.")), short(e.Subject, cellWidthMax),
		short(e.Actor, cellWidthMax), short(string(e.Data), dataWidthMax))
	return err
}
