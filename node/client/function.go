package client

import (
	"context"

	"github.com/belfryhq/belfry/node/api"
)

// CreateFunction stores a function; its code is checked by Python first.
func (c *Client) CreateFunction(ctx context.Context, in api.FunctionInput) (api.Function, error) {
	return call[api.Function](ctx, c, "function", "create", in)
}

// GetFunction reads a function, with the newest version of its code.
func (c *Client) GetFunction(ctx context.Context, idOrName string) (api.Function, error) {
	return call[api.Function](ctx, c, "function", "get", api.GetOf("function", idOrName))
}

// ListFunctions reads a page of functions, newest first.
func (c *Client) ListFunctions(ctx context.Context, in api.List) (api.Page[api.Function], error) {
	return call[api.Page[api.Function]](ctx, c, "function", "list", in)
}

// UpdateFunction changes the fields that are set of the function in.ID.
func (c *Client) UpdateFunction(ctx context.Context, in api.FunctionInput) (api.Function, error) {
	return call[api.Function](ctx, c, "function", "update", in)
}

// DeleteFunction deletes a function that nothing open refers to.
func (c *Client) DeleteFunction(ctx context.Context, in api.Delete) (api.Deleted, error) {
	return call[api.Deleted](ctx, c, "function", "delete", in)
}

// FunctionVersions reads all versions of a function's code, oldest first.
func (c *Client) FunctionVersions(ctx context.Context, idOrName string) (api.FunctionVersions, error) {
	return call[api.FunctionVersions](ctx, c, "function", "versions", api.GetOf("function", idOrName))
}

// RunFunction runs a function now, besides any schedule. With in.Wait it
// answers when the run has ended, or when the wait is over.
func (c *Client) RunFunction(ctx context.Context, in api.Call) (api.Run, error) {
	return call[api.Run](ctx, c, "function", "run", in)
}
