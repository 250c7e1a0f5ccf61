package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// connectTimeout is generous: a server that recovers a large store beside
	// it may keep a connection waiting.
	connectTimeout = 10 * time.Second
	// reconnectWait is short, as the server is in this very process.
	reconnectWait = 50 * time.Millisecond
	// reconnectBytesMax is what a connection keeps while it reconnects.
	reconnectBytesMax = 32 << 20
)

// NodeConn connects as the node, which may do everything with streams and
// executors. It is not seen by callers and cannot answer them: see ServiceConn.
//
// Like all connections of a Broker it lives in this process, reconnects for
// ever, tells its troubles to the log and is closed by Stop; name is what lists
// of connections show. A subscription that may gather more than 64 MiB needs
// SetPendingLimits.
func (b *Broker) NodeConn(name string) (*nats.Conn, error) {
	return b.connect(name, b.ids.node)
}

// ServiceConn connects as the one that answers callers: it may subscribe
// belfry.api.> and $SRV.>, and publish nothing but replies to inboxes.
func (b *Broker) ServiceConn(name string) (*nats.Conn, error) {
	return b.connect(name, b.ids.service)
}

// ExecutorConn connects as an executor, one that Config.Executors names.
func (b *Broker) ExecutorConn(executor string) (*nats.Conn, error) {
	id, ok := b.ids.executors[executor]
	if !ok {
		return nil, fmt.Errorf("executor %q is not known to the broker: name it in Config.Executors", executor)
	}
	return b.connect(executor, id)
}

// CallerConn connects as a caller, the same as anybody who connects to
// ClientURL without credentials.
func (b *Broker) CallerConn(name string) (*nats.Conn, error) {
	return b.connect(name, b.ids.caller)
}

// SystemConn connects to the account of the servers themselves, where they tell
// about each other and take orders about the cluster.
func (b *Broker) SystemConn(name string) (*nats.Conn, error) {
	return b.connect(name, b.ids.system)
}

func (b *Broker) connect(name string, id identity) (*nats.Conn, error) {
	log := b.cfg.Logger.With("conn", name)
	conn, err := nats.Connect("",
		nats.InProcessServer(b.server),
		nats.Nkey(id.public, id.key.Sign),
		nats.Name(name),
		nats.CustomInboxPrefix(id.inbox),
		nats.Timeout(connectTimeout),
		nats.PingInterval(b.cfg.PingEvery),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectBufSize(reconnectBytesMax),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) { logAsync(log, sub, err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { b.logDisconnect(log, err) }),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("nats connection is back") }),
		nats.ClosedHandler(b.forget),
	)
	if err != nil {
		if b.isStopped() {
			return nil, ErrStopped
		}
		return nil, fmt.Errorf("connect %s to the nats server in this process: %w", name, err)
	}
	if !b.remember(conn) {
		conn.Close()
		return nil, ErrStopped
	}
	return conn, nil
}

// remember reports false when the Broker is stopped.
func (b *Broker) remember(conn *nats.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return false
	}
	b.conns[conn] = struct{}{}
	return true
}

func (b *Broker) forget(conn *nats.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, conn)
}

func (b *Broker) isStopped() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopped
}

func (b *Broker) logDisconnect(log *slog.Logger, err error) {
	level := slog.LevelWarn
	if b.isStopped() || err == nil { // it was closed by who owned it
		level = slog.LevelDebug
	}
	log.Log(context.Background(), level, "nats connection ended", "error", err)
}

func logAsync(log *slog.Logger, sub *nats.Subscription, err error) {
	if sub != nil {
		log = log.With("subject", sub.Subject)
	}
	if errors.Is(err, nats.ErrSlowConsumer) {
		log.Error("nats subscription lost messages: it is read too slowly", "error", err)
		return
	}
	log.Warn("nats connection reports an error", "error", err)
}
