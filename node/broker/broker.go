package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	// memoryBytesMax bounds memory streams. Belfry keeps none; the limit
	// stands against a mistake.
	memoryBytesMax = 64 << 20
	// pendingBytesMax is what the server holds for a client that reads slower
	// than it is written to, before it cuts the client off. A node that folds
	// a long log is one for a while.
	pendingBytesMax = 256 << 20
	// readyTimeout bounds the wait for the listener, which is open when the
	// server's start returns.
	readyTimeout = 10 * time.Second
)

// ErrStopped is what a stopped Broker says.
var ErrStopped = errors.New("the broker is stopped")

// Broker is a running NATS server.
type Broker struct {
	cfg    Config
	server *server.Server
	ids    identities
	unlock func() // gives the store back
	// maxStore is set by the start.
	maxStore int64

	stop sync.Once

	mu      sync.Mutex
	stopped bool
	// conns are those handed out and not closed yet.
	conns map[*nats.Conn]struct{}
}

// Start runs a server and returns when it takes connections and JetStream has
// recovered what the store holds. The recovery cannot be interrupted: ctx is
// looked at before and after it. The caller owns the Broker and stops it.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	host, port, err := split(cfg.Addr, flagClients, cfg.insecure())
	if err != nil {
		return nil, err
	}
	if !cfg.DontListen {
		if err := probe(host, port, flagClients); err != nil {
			return nil, err
		}
	}
	if err := cfg.Cluster.probe(); err != nil {
		return nil, err
	}
	unlock, err := openStore(cfg.StoreDir)
	if err != nil {
		return nil, err
	}
	b := &Broker{cfg: cfg, unlock: unlock, conns: make(map[*nats.Conn]struct{})}
	if err := b.run(ctx, host, port); err != nil {
		b.Stop()
		return nil, err
	}
	return b, nil
}

// run makes the server and starts it.
func (b *Broker) run(ctx context.Context, host string, port int) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if b.ids, err = newIdentities(b.cfg.Prefix, b.cfg.Executors, b.cfg.Reserved, b.cfg.ExecutorSecret); err != nil {
		return err
	}
	opts, err := b.options(host, port)
	if err != nil {
		return err
	}
	admit := &gate{ids: b.ids, log: b.cfg.Logger}
	if err := admit.install(opts); err != nil {
		return err
	}
	if b.server, err = server.NewServer(opts); err != nil {
		return fmt.Errorf("nats server: %w", err)
	}
	admit.server = b.server
	log := newServerLog(ctx, b.cfg.Logger)
	b.server.SetLoggerV2(log, log.debug, false, false)
	b.server.Start()
	if fatal := log.Fatal(); fatal != nil {
		if network := new(net.OpError); errors.As(fatal, &network) {
			return listenError(host, port, flagClients, network)
		}
		return fmt.Errorf("nats server: %w", fatal)
	}
	if !b.server.ReadyForConnections(readyTimeout) {
		return fmt.Errorf("nats server is not ready after %s: see its log", readyTimeout)
	}
	return context.Cause(ctx)
}

func (b *Broker) options(host string, port int) (*server.Options, error) {
	opts := &server.Options{
		ServerName: b.cfg.Name,
		Host:       host,
		Port:       port,
		DontListen: b.cfg.DontListen,
		NoSigs:     true,
		MaxPending: pendingBytesMax,

		PingInterval: b.cfg.PingEvery,

		JetStream:              true,
		StoreDir:               b.cfg.StoreDir,
		SyncAlways:             true,
		SyncInterval:           b.cfg.PingEvery, // nothing is left to sync then
		JetStreamMaxMemory:     memoryBytesMax,
		JetStreamMaxStore:      b.cfg.MaxStore,
		DisableJetStreamBanner: true,
	}
	if port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	if opts.JetStreamMaxStore == 0 {
		limit, err := storeLimit(b.cfg.StoreDir)
		if err != nil {
			return nil, fmt.Errorf("nats store %s: measure the disk: %w", b.cfg.StoreDir, err)
		}
		opts.JetStreamMaxStore = limit
	}
	b.maxStore = opts.JetStreamMaxStore
	if b.cfg.Cluster != nil {
		return opts, b.cfg.Cluster.join(opts)
	}
	return opts, nil
}

// MaxStore is how many bytes JetStream may hold on disk.
func (b *Broker) MaxStore() int64 { return b.maxStore }

// ErrNotStoring says that the server keeps no streams any more: see Broker.Stores.
var ErrNotStoring = errors.New("the nats server keeps no streams any more")

// Stores says whether the server keeps streams. One of a cluster ceases to when its
// disk is full or it may not write there, until the next start; and when the others
// have removed it.
func (b *Broker) Stores() bool { return b.server.JetStreamEnabled() }

// ClientURL is where callers connect, with the port that was really taken. It
// is empty when the Broker does not listen.
func (b *Broker) ClientURL() string {
	addr, ok := b.server.Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	return "nats://" + net.JoinHostPort(addr.IP.String(), strconv.Itoa(addr.Port))
}

// Server is the server itself, to look at its health and its streams.
func (b *Broker) Server() *server.Server { return b.server }

// Stop closes the connections that the Broker handed out, stops the server and
// returns when it is down and the store is free. It may be called again.
func (b *Broker) Stop() {
	b.stop.Do(func() {
		b.mu.Lock()
		b.stopped = true
		conns := b.conns
		b.conns = nil
		b.mu.Unlock()

		for conn := range conns {
			conn.Close()
		}
		if b.server != nil {
			b.server.Shutdown()
			b.server.WaitForShutdown()
		}
		b.unlock()
	})
}
