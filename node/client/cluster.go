package client

import (
	"context"

	"github.com/belfryhq/belfry/node/api"
)

// ClusterStatus reads who runs Belfry, and the limits of requests.
func (c *Client) ClusterStatus(ctx context.Context) (api.ClusterStatus, error) {
	return call[api.ClusterStatus](ctx, c, "cluster", "status", struct{}{})
}

// RemoveNode has a node leave the cluster for good, and returns when that is
// agreed on; the rest goes on by itself. Repeated, it tells how far it is. It is
// done when ClusterStatus does not list the node any more.
func (c *Client) RemoveNode(ctx context.Context, name string) (api.Removal, error) {
	return call[api.Removal](ctx, c, "cluster", "remove", api.ClusterRemove{Name: name})
}

// TransferLead has another node lead Raft, any for "", and tells which one does.
func (c *Client) TransferLead(ctx context.Context, to string) (api.Transferred, error) {
	return call[api.Transferred](ctx, c, "cluster", "transfer", api.ClusterTransfer{To: to})
}
