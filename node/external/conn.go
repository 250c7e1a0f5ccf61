package external

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec/address"
)

const (
	// dialTimeout bounds one attempt to connect.
	dialTimeout = 5 * time.Second
	// pingEvery and pingsMax say when a silent connection is given up: a server
	// whose machine vanished closes none.
	pingEvery = 2 * time.Second
	pingsMax  = 2
	// reconnectWait is the pause before a server is tried again.
	reconnectWait = 250 * time.Millisecond
	// reconnectBytesMax is what a connection keeps while it reconnects.
	reconnectBytesMax = 32 << 20
)

// Inbox prefixes, those of the embedded server, so that an executor in an account
// of its own can be allowed to answer _INBOX_NODE.> and nothing else.
const (
	inboxNode     = "_INBOX_NODE"
	inboxExecutor = "_INBOX_"
	inboxCaller   = "_INBOX"
)

// errStopped is what a stopped NATS says.
var errStopped = errors.New("the connections to NATS are closed")

// NodeConn connects for what a node does with streams, executors and other nodes.
//
// Like all connections of a NATS it has the one set of credentials, reconnects for
// ever, tells its troubles to the log and is closed by Stop; name is what lists of
// connections show.
func (n *NATS) NodeConn(name string) (*nats.Conn, error) { return n.connect(name, inboxNode) }

// ServiceConn connects for answering callers.
func (n *NATS) ServiceConn(name string) (*nats.Conn, error) { return n.connect(name, inboxCaller) }

// ExecutorConn connects a node's own executor.
func (n *NATS) ExecutorConn(executor string) (*nats.Conn, error) {
	return n.connect(executor, inboxExecutor+executor)
}

// CallerConn connects a caller within this process.
func (n *NATS) CallerConn(name string) (*nats.Conn, error) { return n.connect(name, inboxCaller) }

func (n *NATS) connect(name, inbox string) (*nats.Conn, error) {
	log := n.cfg.Logger.With("conn", name)
	options := []nats.Option{
		nats.Name("belfry " + name),
		nats.CustomInboxPrefix(inbox),
		nats.Timeout(dialTimeout),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(pingsMax),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectBufSize(reconnectBytesMax),
		nats.IgnoreAuthErrorAbort(), // the servers' configuration may be in between
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Warn("nats connection reports an error", "error", err, "subject", subject)
		}),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if err != nil && !nc.IsClosed() {
				log.Warn("nats connection ended", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { log.Info("nats connection is back", "nats", address.Shown(nc.ConnectedUrl())) }),
		nats.ClosedHandler(n.forget),
	}
	if n.cfg.Creds != "" {
		options = append(options, nats.UserCredentials(n.cfg.Creds))
	}
	nc, err := nats.Connect(n.cfg.URL, options...)
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return nil, fmt.Errorf("NATS at %s refuses these credentials: give others in the URL of --nats or with --nats-creds", n.ClientURL())
	case errors.Is(err, nats.ErrNoServers):
		return nil, fmt.Errorf("no NATS answers at %s: start it, or name another with --nats", n.ClientURL())
	case err != nil:
		return nil, fmt.Errorf("cannot connect to NATS at %s: %w: check --nats and --nats-creds", n.ClientURL(), err)
	case !n.remember(nc):
		nc.Close()
		return nil, errStopped
	}
	return nc, nil
}

// remember reports false when n is stopped.
func (n *NATS) remember(nc *nats.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped {
		return false
	}
	n.conns[nc] = struct{}{}
	return true
}

func (n *NATS) forget(nc *nats.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, nc)
}
