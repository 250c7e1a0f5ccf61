package client

import (
	"context"

	"github.com/belfryhq/belfry/node/api"
)

// CreateTrigger stores a schedule.
func (c *Client) CreateTrigger(ctx context.Context, in api.TriggerInput) (api.Trigger, error) {
	return call[api.Trigger](ctx, c, "trigger", "create", in)
}

// GetTrigger reads a trigger. A name that several triggers bear is refused as
// ambiguous.
func (c *Client) GetTrigger(ctx context.Context, idOrName string) (api.Trigger, error) {
	return call[api.Trigger](ctx, c, "trigger", "get", api.GetOf("trigger", idOrName))
}

// ListTriggers reads a page of triggers, newest first.
func (c *Client) ListTriggers(ctx context.Context, in api.TriggerList) (api.Page[api.Trigger], error) {
	return call[api.Page[api.Trigger]](ctx, c, "trigger", "list", in)
}

// UpdateTrigger changes the fields that are set of the trigger in.ID.
func (c *Client) UpdateTrigger(ctx context.Context, in api.TriggerInput) (api.Trigger, error) {
	return call[api.Trigger](ctx, c, "trigger", "update", in)
}

// DeleteTrigger deletes a trigger; what of it waits is canceled.
func (c *Client) DeleteTrigger(ctx context.Context, in api.Delete) (api.Deleted, error) {
	return call[api.Deleted](ctx, c, "trigger", "delete", in)
}

// PauseTrigger stops a schedule: once it has answered, no run starts from it.
func (c *Client) PauseTrigger(ctx context.Context, in api.Pause) (api.Trigger, error) {
	return call[api.Trigger](ctx, c, "trigger", "pause", in)
}

// ResumeTrigger goes on with a schedule, from now.
func (c *Client) ResumeTrigger(ctx context.Context, in api.Pause) (api.Trigger, error) {
	return call[api.Trigger](ctx, c, "trigger", "resume", in)
}

// RunTrigger makes a run of a trigger now, besides its schedule. With in.Wait
// it answers when the run has ended, or when the wait is over.
func (c *Client) RunTrigger(ctx context.Context, in api.TriggerRun) (api.Run, error) {
	return call[api.Run](ctx, c, "trigger", "run", in)
}

// PreviewTrigger tells the next times of a trigger or of an expression.
func (c *Client) PreviewTrigger(ctx context.Context, in api.Preview) (api.Previewed, error) {
	return call[api.Previewed](ctx, c, "trigger", "preview", in)
}
