package client

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec/address"
	"github.com/belfryhq/belfry/node/api"
)

// Defaults of a Config.
const (
	DefaultURL     = "nats://127.0.0.1:4222"
	DefaultName    = "belfry-client"
	DefaultTimeout = 15 * time.Second
)

// reconnectWait is the pause before a server that just failed is tried again.
// A node that restarts is back within seconds; nats.go's own 2 s would be most
// of the outage.
const reconnectWait = 250 * time.Millisecond

// A server that stands still closes no connection: after the second sign of life
// that it owes it is given up, and the next of several is asked.
const (
	pingEvery = time.Second
	pingsMax  = 2
)

// Config says where Belfry is and who asks.
type Config struct {
	// URL is the NATS server's, or several with commas between them. Defaults
	// to nats://127.0.0.1:4222.
	URL string
	// User is the id of the user who asks. Defaults to admin.
	User string
	// Prefix is that of Belfry's subjects. Defaults to belfry.
	Prefix string
	// Timeout bounds one attempt of a request; the context bounds them all.
	// Defaults to 15 s.
	Timeout time.Duration
	// Name is how the connection is called where NATS lists its clients.
	// Defaults to belfry-client.
	Name string
	// Options are further ones of the NATS connection, such as credentials.
	Options []nats.Option
}

// WithDefaults fills in what is zero.
func (c Config) WithDefaults() Config {
	if c.URL == "" {
		c.URL = DefaultURL
	}
	if c.User == "" {
		c.User = api.Admin
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Name == "" {
		c.Name = DefaultName
	}
	return c
}

// Client asks Belfry as one user.
type Client struct {
	nc      *nats.Conn
	user    string
	prefix  api.SubjectPrefix
	timeout time.Duration
	owned   bool // Close closes nc
	under   *attempts
}

// Connect connects to NATS. It fails at once when nothing answers, and within
// seconds, or at ctx's deadline, when the network swallows the question; later
// the connection mends itself for as long as the Client is open. The error is
// an *api.Error. What happens to ctx afterwards does not matter.
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	cfg = cfg.WithDefaults()
	if err := checkUser(cfg.User); err != nil {
		return nil, err
	}
	if p := api.SubjectPrefix(cfg.Prefix); !p.Valid() {
		return nil, api.Errorf(api.Invalid, "prefix", "%q is no prefix of subjects: use 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit", cfg.Prefix)
	}
	under := &attempts{under: map[*attempt]struct{}{}}
	options := append([]nats.Option{
		nats.Name(cfg.Name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(pingsMax),
		// What was not sent is refused at once and asked again by us, with
		// its request id, rather than sent by nats.go after we gave up.
		nats.ReconnectBufSize(-1),
		nats.Timeout(dialTimeout(ctx)),
		nats.DisconnectErrHandler(under.lost),
		nats.ErrorHandler(under.refused),
	}, cfg.Options...)
	nc, err := nats.Connect(cfg.URL, options...)
	if err != nil {
		return nil, unconnected(cfg.URL, err)
	}
	return &Client{nc: nc, user: cfg.User, prefix: api.SubjectPrefix(cfg.Prefix), timeout: cfg.Timeout, owned: true, under: under}, nil
}

// New is a Client on a connection that the caller owns, and closes. Since its
// handlers are the caller's too, a request that is lost with the connection is
// asked again only after DefaultTimeout.
func New(nc *nats.Conn, user string) *Client {
	return &Client{nc: nc, user: user, timeout: DefaultTimeout, under: &attempts{under: map[*attempt]struct{}{}}}
}

// WithPrefix is this client for a Belfry whose subjects begin with another
// prefix, on the same connection, which stays this one's to close.
func (c *Client) WithPrefix(prefix string) *Client {
	other := *c
	other.prefix, other.owned = api.SubjectPrefix(prefix), false
	return &other
}

// Close ends the connection, if Connect made it.
func (c *Client) Close() {
	if c.owned {
		c.nc.Close()
	}
}

func dialTimeout(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(time.Until(deadline), nats.DefaultTimeout)
	}
	return nats.DefaultTimeout
}

func checkUser(id string) error {
	if api.ValidUserID(id) {
		return nil
	}
	return api.Errorf(api.Invalid, "user", "%q is no id of a user: use lower-case letters, digits, - and _, at most 63", id)
}

func unconnected(addresses string, err error) *api.Error {
	var unreachable *net.OpError
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		return api.Errorf(api.Forbidden, "", "NATS at %s refuses these credentials: check them", address.Shown(addresses))
	case errors.Is(err, nats.ErrNoServers), errors.As(err, &unreachable):
		return silent(address.Shown(addresses))
	}
	return api.Errorf(api.Unavailable, "", "cannot connect to %s: %v: check the address", address.Shown(addresses), address.Failure(err))
}
