package client

import (
	"context"

	"github.com/belfryhq/belfry/node/api"
)

// CreateUser makes a user with the id in.ID.
func (c *Client) CreateUser(ctx context.Context, in api.UserInput) (api.User, error) {
	return call[api.User](ctx, c, "user", "create", in)
}

// GetUser reads a user.
func (c *Client) GetUser(ctx context.Context, id string) (api.User, error) {
	return call[api.User](ctx, c, "user", "get", api.GetOf("user", id))
}

// ListUsers reads a page of users, newest first.
func (c *Client) ListUsers(ctx context.Context, in api.List) (api.Page[api.User], error) {
	return call[api.Page[api.User]](ctx, c, "user", "list", in)
}

// UpdateUser changes the fields that are set of the user in.ID.
func (c *Client) UpdateUser(ctx context.Context, in api.UserInput) (api.User, error) {
	return call[api.User](ctx, c, "user", "update", in)
}

// DeleteUser deletes a user who is not the last superuser.
func (c *Client) DeleteUser(ctx context.Context, in api.Delete) (api.Deleted, error) {
	return call[api.Deleted](ctx, c, "user", "delete", in)
}
