package client

import (
	"context"

	"github.com/belfryhq/belfry/node/api"
)

// ClusterStatus reads who runs Belfry, and the limits of requests.
func (c *Client) ClusterStatus(ctx context.Context) (api.ClusterStatus, error) {
	return call[api.ClusterStatus](ctx, c, "cluster", "status", struct{}{})
}
