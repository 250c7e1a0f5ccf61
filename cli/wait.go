package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
)

// forever is how long --wait waits unless --wait-timeout says otherwise.
const forever = time.Duration(math.MaxInt64)

var errImpatient = errors.New("it took too long")

// patience is how long to wait for the end of an item; 0 is not at all.
func (s *session) patience() (time.Duration, error) {
	switch {
	case s.line.IsSet("wait-timeout"):
		d, err := duration(s, "wait-timeout")
		return max(d, time.Millisecond), err
	case s.line.Bool("wait"), s.line.Bool("follow"):
		return forever, nil
	}
	return 0, nil
}

// await waits until an item has ended and shows what came of it: what it
// printed and its result; as JSON, the item. It is an error that it failed.
func (s *session) await(ctx context.Context, item api.Item, patience time.Duration) error {
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	waiting, stop := context.WithTimeoutCause(ctx, patience, errImpatient)
	defer stop()
	ended := item
	if err = s.showLive(waiting, eventlog.RunOfItem(item.ID)); err == nil {
		ended, err = c.WaitItem(waiting, item.ID)
	}
	switch {
	case errors.Is(err, errImpatient):
		return fmt.Errorf("item %s has not ended within %v: it goes on, see belfry item get %s", item.ID, patience, item.ID)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: item %s goes on, see belfry item get %s", item.ID, item.ID)
	case err != nil:
		return err
	}
	return s.showOutcome(ctx, outcome{"item", ended.ID, ended.Run, ended.Status, ended.Started, ended.Result, ended.Error})
}

// showLive shows what a run prints until it has ended, with --follow.
func (s *session) showLive(ctx context.Context, run string) error {
	if !s.line.Bool("follow") {
		return nil
	}
	return s.follow(ctx, api.RunLogsInput{ID: run, After: api.FirstOutput}, func(line eventlog.LogLine) error {
		_, err := fmt.Fprintln(s.out, line.Text)
		return err
	})
}

// outcome is how an item or a run has ended.
type outcome struct {
	entity, id, run string
	status          api.Status
	started         eventlog.Time
	result          jsontext.Value
	failed          *eventlog.Error
}

// showOutcome shows what the code printed and its result; as JSON, the record.
// It is an error that it did not succeed.
func (s *session) showOutcome(ctx context.Context, o outcome) error {
	if s.json() {
		raw, err := s.ask(ctx, o.entity, "get", api.GetOf(o.entity, o.id))
		if err != nil {
			return err
		}
		if err := s.printJSON(raw); err != nil {
			return err
		}
	} else if err := s.printOutcome(ctx, o); err != nil {
		return err
	}
	return o.failure()
}

// printOutcome shows what the code printed, and its result.
func (s *session) printOutcome(ctx context.Context, o outcome) error {
	if o.run != "" && o.started != 0 && !s.line.Bool("follow") {
		raw, err := s.ask(ctx, "run", "logs", api.GetOf("run", o.run))
		if err != nil {
			return err
		}
		logs, err := read[api.RunLogs](raw)
		if err != nil {
			return err
		}
		for _, line := range logs.Lines {
			if _, err := fmt.Fprintln(s.out, line.Text); err != nil {
				return err
			}
		}
		s.noteTruncated(logs)
	}
	if o.status != api.Completed || len(o.result) == 0 {
		return nil
	}
	return s.printJSON(o.result)
}

// failure is the error of what has ended without success.
func (o outcome) failure() error {
	switch {
	case o.status == api.Completed:
		return nil
	case o.failed != nil:
		return fmt.Errorf("%s %s has ended %s: %s: %s: see belfry %s get %s", o.entity, o.id, o.status, o.failed.Type, o.failed.Message, o.entity, o.id)
	}
	return fmt.Errorf("%s %s has ended %s: see belfry %s get %s", o.entity, o.id, o.status, o.entity, o.id)
}
