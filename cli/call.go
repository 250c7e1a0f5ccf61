package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
)

// runNow is the command that makes a run of a function, a trigger or an
// automation.
func runNow(entity, takes, usage, example string, flags []cli.Flag, build func(context.Context, *session) (any, error)) verb {
	return verb{
		name: "run", usage: usage, takes: takes, example: example,
		flags: append(flags,
			yes("wait", "wait until it has ended, then show what it printed and its result"),
			followWaiting(),
			text("wait-timeout", "wait for this `DURATION` at most"),
		),
		do: func(ctx context.Context, s *session) error {
			req, err := build(ctx, s)
			if err != nil {
				return err
			}
			patience, err := s.patience()
			if err != nil {
				return err
			}
			raw, err := s.ask(ctx, entity, "run", req)
			if err != nil {
				return err
			}
			if patience == 0 {
				return runNoun().row(s, raw)
			}
			run, err := read[api.Run](raw)
			if err != nil {
				return err
			}
			return s.awaitRun(ctx, run.ID, patience)
		},
	}
}

func callData() cli.Flag { return text("data", "its arguments, a `JSON` object; @FILE reads a file") }

// callRequest is the request to run what the argument names.
func callRequest(_ context.Context, s *session) (any, error) {
	data, err := s.value("data")
	return api.Call{ID: s.arg(), Data: data}, err
}

func runFunction(takes string) verb {
	return runNow("function", takes, "run it now", `belfry function run hello --data '{"to": "Ann"}' --wait`, []cli.Flag{callData()}, callRequest)
}

// target is what an item, a trigger or a run runs, as people call it.
func target(function, automation *eventlog.Ref) string {
	switch {
	case function != nil:
		return called(*function)
	case automation != nil:
		return called(*automation)
	}
	return ""
}

// awaitRun waits until a run has ended and shows what came of it, as await does
// for an item.
func (s *session) awaitRun(ctx context.Context, id string, patience time.Duration) error {
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	waiting, stop := context.WithTimeoutCause(ctx, patience, errImpatient)
	defer stop()
	var run api.Run
	if err = s.showLive(waiting, id); err == nil {
		run, err = c.WaitRun(waiting, id)
	}
	switch {
	case errors.Is(err, errImpatient):
		return fmt.Errorf("run %s has not ended within %v: it goes on, see belfry run get %s", id, patience, id)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: run %s goes on, see belfry run get %s", id, id)
	case err != nil:
		return err
	}
	end := outcome{"run", id, id, run.Status, run.Started, run.Result, run.Error}
	return s.showOutcome(ctx, end)
}
