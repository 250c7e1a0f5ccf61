package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec/address"
	"github.com/belfryhq/belfry/exec/credential"
)

const (
	// reconnectMin and reconnectMax are the first and the longest pause between
	// two attempts to connect. The longest is well below wire.LostAfter, so that
	// a node that restarts hears of us before it takes us for gone.
	reconnectMin = 50 * time.Millisecond
	reconnectMax = time.Second
	// dialMax bounds one attempt.
	dialMax = 5 * time.Second
	// pingEvery and pingsMax say when a silent connection is given up: a machine
	// that vanished closes none.
	pingEvery = 2 * time.Second
	pingsMax  = 2
	// bufferBytesMax is what is kept of output while there is no connection;
	// reports are sent again in any case.
	bufferBytesMax = 32 << 20
)

// backoff is the pause before the nth attempt, counted from 1: it doubles, and up
// to a half of it is left to chance, so that executors do not come all at once.
func backoff(n int) time.Duration {
	pause := reconnectMax
	if n < 6 { // beyond that it is more than reconnectMax
		pause = min(reconnectMin<<max(0, n-1), reconnectMax)
	}
	return pause - rand.N(pause/2)
}

// identify is how the process proves who it is: to a node by the key that the
// node's secret gives its name, to an external NATS as that wants it. What is
// missing on this machine is an error.
func (p *Process) identify() (options []nats.Option, err error) {
	if p.cfg.External {
		if p.cfg.Creds != "" {
			if _, err := os.Stat(p.cfg.Creds); err != nil {
				return nil, fmt.Errorf("--nats-creds: %w: name a file with credentials", err)
			}
			options = append(options, nats.UserCredentials(p.cfg.Creds))
		}
		return options, nil
	}
	secret, err := credential.Read(p.cfg.Credentials)
	if err != nil {
		return nil, err
	}
	key, err := secret.Key(p.cfg.Name)
	if err != nil {
		return nil, err
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return []nats.Option{nats.Nkey(public, key.Sign)}, nil
}

// connect connects to the node, trying until ctx ends; then the connection mends
// itself for as long as it is open. Credentials that are refused at the start are
// an error; later they are logged, as the node may be being restored.
func (p *Process) connect(ctx context.Context, identify []nats.Option) (*nats.Conn, error) {
	log := p.cfg.Logger.With("executor", p.cfg.Name)
	options := append([]nats.Option{
		nats.Name(p.cfg.Name), // tells the server whose key it is
		nats.CustomInboxPrefix("_INBOX_" + p.cfg.Name),
		nats.Timeout(dialMax),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(pingsMax),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(backoff),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(bufferBytesMax),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if !nc.IsClosed() && err != nil {
				log.Warn("the node is gone: runs go on, and it is tried again", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { log.Info("the node is back", "nats", address.Shown(nc.ConnectedUrl())) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrAuthorization) {
				err = p.unauthorized()
			}
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Warn("nats connection reports an error", "error", err, "subject", subject)
		}),
	}, identify...)
	for n := 1; ; n++ {
		nc, err := nats.Connect(p.cfg.URL, options...)
		switch {
		case err == nil:
			return nc, nil
		case errors.Is(err, nats.ErrAuthorization):
			return nil, p.unauthorized()
		case !unreachable(err):
			return nil, fmt.Errorf("cannot connect to %s: %w: check --nats", address.Shown(p.cfg.URL), address.Failure(err))
		case n == 1:
			log.Warn("no node answers yet, it is tried again: start one, or name another with --nats", "nats", address.Shown(p.cfg.URL), "error", err)
		}
		select {
		case <-time.After(backoff(n)):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (p *Process) unauthorized() error {
	if p.cfg.External {
		return fmt.Errorf("NATS at %s refuses executor %s: give other credentials in the URL of --nats or with --nats-creds", address.Shown(p.cfg.URL), p.cfg.Name)
	}
	return fmt.Errorf("the node at %s refuses executor %s: give the %s of its data directory with --credentials, and a --name that is not the node's own",
		address.Shown(p.cfg.URL), p.cfg.Name, credential.File)
}

// unreachable says whether trying again may help. Who accepts and says nothing is
// about to end, or passes connections on to a node that is not there.
func unreachable(err error) bool {
	var network *net.OpError
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, io.EOF) || errors.As(err, &network)
}
