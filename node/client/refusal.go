package client

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec/address"
	"github.com/belfryhq/belfry/node/api"
)

// refusalOf reads a reply that refuses.
func refusalOf(reply *nats.Msg) *api.Error {
	var body api.ErrorBody
	if err := json.Unmarshal(reply.Data, &body); err == nil && body.Error != nil && body.Error.Code != "" {
		return body.Error
	}
	// Not Belfry's own: something between us, such as NATS micro, refused.
	code := api.Internal
	switch status, _ := strconv.Atoi(reply.Header.Get(api.HeaderErrorCode)); status {
	case api.Unavailable.Status():
		code = api.Unavailable
	case api.Timeout.Status():
		code = api.Timeout
	}
	return api.Errorf(code, "", "%s", reply.Header.Get(api.HeaderError))
}

// unanswered makes an error of an attempt that brought no reply.
func (c *Client) unanswered(ctx context.Context, q question, err error, waited time.Duration) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrReconnectBufExceeded):
		return silent(c.address())
	case errors.Is(err, nats.ErrMaxPayload):
		return api.Errorf(api.TooLarge, "", "the request %s has %d bytes, NATS takes %d: send less at once", q.what, len(q.msg.Data), c.nc.MaxPayload())
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return q.unknown("the connection was closed")
	case errors.Is(err, errForbidden):
		return api.Errorf(api.Forbidden, "", "NATS does not let this connection ask as user %q: ask as the user of its credentials", c.user)
	case errors.Is(err, errLost), errors.Is(err, nats.ErrDisconnected):
		return q.unknown("the connection was lost")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return q.unknown("no answer within " + waited.Round(time.Millisecond).String())
	}
	return api.Errorf(api.Unavailable, "", "cannot send %s: %v", q.what, err)
}

// address is where we are, or were, connected.
func (c *Client) address() string {
	if connected := c.nc.ConnectedUrl(); connected != "" {
		return address.Shown(connected)
	}
	return address.Shown(strings.Join(c.nc.Servers(), ","))
}

// silent is the refusal when nobody is there.
func silent(at string) *api.Error {
	return api.Errorf(api.Unavailable, "", `nothing answers at %s: is belfry running? start it with "belfry up", or give the address where it runs`, at)
}

// unknown is the refusal when a request may have been done.
func (q question) unknown(why string) *api.Error {
	if q.id == "" {
		return api.Errorf(api.Timeout, "", "%s: %s: ask again", q.what, why)
	}
	return api.Errorf(api.Timeout, "", "%s: %s, so its outcome is unknown: repeat it with the request id %s", q.what, why, q.id)
}
