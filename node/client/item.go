package client

import (
	"context"

	"github.com/belfryhq/belfry/node/api"
)

// CreateItem schedules one run.
func (c *Client) CreateItem(ctx context.Context, in api.ItemInput) (api.Item, error) {
	return call[api.Item](ctx, c, "item", "create", in)
}

// CreateItems schedules up to api.ManyMax runs. Each item stands for itself:
// the results are in order, and each is a record or an error.
func (c *Client) CreateItems(ctx context.Context, in api.ItemsInput) (api.ItemResults, error) {
	return call[api.ItemResults](ctx, c, "item", "create_many", in)
}

// GetItem reads an item. A name that several items bear is refused as
// ambiguous.
func (c *Client) GetItem(ctx context.Context, idOrName string) (api.Item, error) {
	return call[api.Item](ctx, c, "item", "get", api.GetOf("item", idOrName))
}

// ListItems reads a page of items, newest first.
func (c *Client) ListItems(ctx context.Context, in api.ItemList) (api.Page[api.Item], error) {
	return call[api.Page[api.Item]](ctx, c, "item", "list", in)
}

// UpdateItem changes the fields that are set of the item in.ID.
func (c *Client) UpdateItem(ctx context.Context, in api.ItemInput) (api.Item, error) {
	return call[api.Item](ctx, c, "item", "update", in)
}

// CancelItem takes back an item whose run has not begun; a run that has is
// stopped by CancelRun.
func (c *Client) CancelItem(ctx context.Context, in api.Cancel) (api.Item, error) {
	return call[api.Item](ctx, c, "item", "cancel", in)
}

// WaitItem waits until an item has ended, through outages too, and gives the
// ended item. When ctx ends first, it gives the item as it was last seen and
// an error. Belfry does not tell callers of ends, so this asks again and again.
func (c *Client) WaitItem(ctx context.Context, id string) (api.Item, error) {
	return wait(ctx, func(ctx context.Context) (api.Item, error) { return c.GetItem(ctx, id) },
		func(i api.Item) bool { return i.Status.Final() })
}

// wait reads until the record has ended.
func wait[R any](ctx context.Context, get func(context.Context) (R, error), ended func(R) bool) (R, error) {
	var seen R
	for pause := shortestPause; ; pause = longer(pause) {
		record, err := get(ctx)
		switch {
		case err == nil:
			seen = record
		case outage(err) == nil:
			return seen, err
		}
		if ended(seen) {
			return seen, nil
		}
		if !sleep(ctx, pause) {
			return seen, context.Cause(ctx)
		}
	}
}
