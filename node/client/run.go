package client

import (
	"context"

	"github.com/belfryhq/belfry/node/api"
)

// GetRun reads a run, with the beginning of its output.
func (c *Client) GetRun(ctx context.Context, id string) (api.Run, error) {
	return call[api.Run](ctx, c, "run", "get", api.GetOf("run", id))
}

// ListRuns reads a page of runs, newest first.
func (c *Client) ListRuns(ctx context.Context, in api.RunList) (api.Page[api.Run], error) {
	return call[api.Page[api.Run]](ctx, c, "run", "list", in)
}

// RunLogs reads what the code of a run printed and logged.
func (c *Client) RunLogs(ctx context.Context, id string) (api.RunLogs, error) {
	return call[api.RunLogs](ctx, c, "run", "logs", api.GetOf("run", id))
}

// followWait is how long one request of FollowRun waits for more.
const followWait = "10s"

// FollowRun calls each with what a run has printed, and then with what it prints,
// until the run has ended; with in.Attempt, that attempt. It goes on through
// retries and outages, and waits for a run that has not begun. It ends with
// each's error, with a refusal, or with ctx's cause.
func (c *Client) FollowRun(ctx context.Context, in api.RunLogsInput, each func(api.RunLogs) error) error {
	in.Wait = followWait
	for {
		logs, err := call[api.RunLogs](ctx, c, "run", "logs", in)
		switch {
		case err == nil:
		case outage(err) == nil:
			return err
		case !sleep(ctx, longestPause):
			return context.Cause(ctx)
		default:
			continue
		}
		if err := each(logs); err != nil || logs.Ended {
			return err
		}
		in.After = logs.Next
	}
}

// CancelRun stops a run.
func (c *Client) CancelRun(ctx context.Context, in api.Cancel) (api.Run, error) {
	return call[api.Run](ctx, c, "run", "cancel", in)
}

// WaitRun is WaitItem for any run.
func (c *Client) WaitRun(ctx context.Context, id string) (api.Run, error) {
	return wait(ctx, func(ctx context.Context) (api.Run, error) { return c.GetRun(ctx, id) },
		func(r api.Run) bool { return r.Status.Final() })
}
