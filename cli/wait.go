package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

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
	case s.line.Bool("wait"):
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
	ended, err := c.WaitItem(waiting, item.ID)
	switch {
	case errors.Is(err, errImpatient):
		return fmt.Errorf("item %s has not ended within %v: it goes on, see belfry item get %s", item.ID, patience, item.ID)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: item %s goes on, see belfry item get %s", item.ID, item.ID)
	case err != nil:
		return err
	}
	if s.json() {
		raw, err := s.ask(ctx, "item", "get", api.GetOf("item", item.ID))
		if err != nil {
			return err
		}
		if err := s.printJSON(raw); err != nil {
			return err
		}
	} else if err := s.printOutcome(ctx, ended); err != nil {
		return err
	}
	return failure(ended)
}

// printOutcome shows what the code printed, and its result.
func (s *session) printOutcome(ctx context.Context, item api.Item) error {
	if item.Run != "" && !item.Started.Std().IsZero() {
		raw, err := s.ask(ctx, "run", "logs", api.GetOf("run", item.Run))
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
	if item.Status != api.Completed || len(item.Result) == 0 {
		return nil
	}
	return s.printJSON(item.Result)
}

// failure is the error of an item that has ended without success.
func failure(item api.Item) error {
	switch {
	case item.Status == api.Completed:
		return nil
	case item.Error != nil:
		return fmt.Errorf("item %s has ended %s: %s: %s: see belfry item get %s", item.ID, item.Status, item.Error.Type, item.Error.Message, item.ID)
	}
	return fmt.Errorf("item %s has ended %s: see belfry item get %s", item.ID, item.Status, item.ID)
}
