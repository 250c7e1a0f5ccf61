package cli

import (
	"context"

	"github.com/go-json-experiment/json"
	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
)

// follow is the flag that has output shown live.
func follow(usage string) cli.Flag {
	return &cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: usage}
}

// followWaiting is the flag of commands that can wait for an end.
func followWaiting() cli.Flag {
	return follow("wait, and show what it prints while it runs")
}

// follow prints what a run prints until it has ended: as JSON, each line as an
// object with its attempt. What becomes of attempts goes to standard error.
func (s *session) follow(ctx context.Context, in api.RunLogsInput, print func(eventlog.LogLine) error) error {
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	truncated := false
	seen, told := 0, 0 // the last attempt, and the last whose end was told
	err = c.FollowRun(ctx, in, func(logs api.RunLogs) error {
		if s.json() {
			print = func(line eventlog.LogLine) error { return s.printLineJSON(logs.Attempt, line) }
		}
		if logs.Attempt > seen && seen > told {
			s.note("attempt %d has ended: attempt %d follows", seen, logs.Attempt)
			told = seen
		}
		seen = logs.Attempt
		for _, line := range logs.Lines {
			if err := print(line); err != nil {
				return err
			}
		}
		if logs.Status == api.Queued && seen > told {
			s.note("attempt %d has ended: the run waits for the next one", seen)
			told = seen
		}
		truncated = truncated || logs.Truncated
		return nil
	})
	if err == nil {
		s.noteTruncated(api.RunLogs{Truncated: truncated})
	}
	return err
}

// printLineJSON writes a line of output as an object.
func (s *session) printLineJSON(attempt int, line eventlog.LogLine) error {
	b, err := json.Marshal(struct {
		Attempt int `json:"attempt"`
		eventlog.LogLine
	}{attempt, line})
	if err != nil {
		return err
	}
	return s.printJSON(b)
}
