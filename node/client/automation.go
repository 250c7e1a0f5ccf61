package client

import (
	"context"

	"github.com/belfryhq/belfry/node/api"
)

// CreateAutomation stores steps under a name.
func (c *Client) CreateAutomation(ctx context.Context, in api.AutomationInput) (api.Automation, error) {
	return call[api.Automation](ctx, c, "automation", "create", in)
}

// GetAutomation reads an automation.
func (c *Client) GetAutomation(ctx context.Context, idOrName string) (api.Automation, error) {
	return call[api.Automation](ctx, c, "automation", "get", api.GetOf("automation", idOrName))
}

// ListAutomations reads a page of automations, newest first.
func (c *Client) ListAutomations(ctx context.Context, in api.List) (api.Page[api.Automation], error) {
	return call[api.Page[api.Automation]](ctx, c, "automation", "list", in)
}

// UpdateAutomation changes the fields that are set of the automation in.ID.
func (c *Client) UpdateAutomation(ctx context.Context, in api.AutomationInput) (api.Automation, error) {
	return call[api.Automation](ctx, c, "automation", "update", in)
}

// DeleteAutomation deletes an automation that nothing open refers to.
func (c *Client) DeleteAutomation(ctx context.Context, in api.Delete) (api.Deleted, error) {
	return call[api.Deleted](ctx, c, "automation", "delete", in)
}

// RunAutomation makes a run of an automation now, as RunFunction does.
func (c *Client) RunAutomation(ctx context.Context, in api.Call) (api.Run, error) {
	return call[api.Run](ctx, c, "automation", "run", in)
}
