package external

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/exec/address"
)

const (
	// payloadMin is what the largest message needs, a run with its code and data:
	// NATS's own default.
	payloadMin = 1 << 20
	// patience is how long JetStream may give no answer before that is an error:
	// its servers may be electing who leads them.
	patience = 30 * time.Second
	// tryTimeout bounds one question, and againAfter is the pause before the next.
	tryTimeout = 2 * time.Second
	againAfter = 250 * time.Millisecond
	// replicasMost is what is wanted where there are servers enough.
	replicasMost = 3
	// unlimited stands for the store of an account without a limit, whose real one
	// a client cannot see.
	unlimited = 8 << 30
)

// NATS is one that others run.
type NATS struct {
	cfg      Config
	replicas int
	maxStore int64

	mu      sync.Mutex
	stopped bool
	conns   map[*nats.Conn]struct{}
}

// Connect finds the NATS and looks whether it can keep the log: that it takes the
// credentials, has JetStream for the account, and lets messages through that are
// large enough. What it cannot see, or what is less than it could be, is logged as
// a warning. The caller stops what it gets.
func Connect(ctx context.Context, cfg Config) (*NATS, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &NATS{cfg: cfg, conns: map[*nats.Conn]struct{}{}}
	nc, err := n.connect("check", inboxNode)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	if err := n.check(ctx, nc); err != nil {
		return nil, err
	}
	cfg.Logger.Info("NATS found", "nats", n.ClientURL(), "version", nc.ConnectedServerVersion(), "cluster", nc.ConnectedClusterName(), "replicas", n.replicas)
	n.warn(nc.ConnectedClusterName())
	return n, nil
}

// check says why the NATS cannot keep the log.
func (n *NATS) check(ctx context.Context, nc *nats.Conn) error {
	if most := nc.MaxPayload(); most < payloadMin {
		return fmt.Errorf("NATS at %s takes messages of %d bytes and Belfry sends up to %d: set max_payload there", n.ClientURL(), most, payloadMin)
	}
	account, err := n.account(ctx, nc)
	if err != nil {
		return err
	}
	if n.maxStore = account.Limits.MaxStore; n.maxStore <= 0 {
		n.maxStore = unlimited
	}
	alone := nc.ConnectedClusterName() == ""
	switch n.replicas = n.cfg.Replicas; {
	case n.replicas > 1 && alone:
		return fmt.Errorf("the NATS server at %s stands alone and holds no %d replicas: leave --nats-replicas out, or name a cluster with --nats", n.ClientURL(), n.replicas)
	case n.replicas == 0 && alone:
		n.replicas = 1
	case n.replicas == 0:
		n.replicas = replicasMost
	}
	return nil
}

// account asks JetStream about the account, again while nobody leads it.
func (n *NATS) account(ctx context.Context, nc *nats.Conn) (*jetstream.AccountInfo, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(patience)
	for {
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		info, err := js.AccountInfo(try)
		cancel()
		switch {
		case err == nil:
			return info, nil
		case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
			return nil, fmt.Errorf("NATS at %s has no JetStream for this account: enable it there, or name another NATS with --nats", n.ClientURL())
		case time.Now().After(until) || ctx.Err() != nil:
			return nil, fmt.Errorf("JetStream at %s gives no answer (%w): see that most of its servers run, and that this user may ask $JS.API", n.ClientURL(), err)
		}
		n.cfg.Logger.Info("JetStream does not answer yet; trying again", "nats", n.ClientURL(), "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(againAfter):
		}
	}
}

// warn says what an operator should know of this NATS.
func (n *NATS) warn(cluster string) {
	n.cfg.Logger.Warn("whether this NATS syncs to disk what it acknowledges cannot be seen: without sync_interval: always in its jetstream block, a power cut loses acknowledged changes", "nats", n.ClientURL())
	switch {
	case n.replicas > 1:
	case cluster == "":
		n.cfg.Logger.Warn("this NATS server stands alone: the streams have one replica and are lost with its disk; a cluster of three keeps three", "nats", n.ClientURL())
	default:
		n.cfg.Logger.Warn("the streams have one replica, as --nats-replicas says, and are lost with that server's disk", "nats", n.ClientURL(), "cluster", cluster)
	}
}

// Replicas is how many servers are to hold a stream.
func (n *NATS) Replicas() int { return n.replicas }

// MaxStore is how many bytes the account may hold on disk, as far as can be seen.
func (n *NATS) MaxStore() int64 { return n.maxStore }

// ClientURL is where the NATS is, without users and passwords.
func (n *NATS) ClientURL() string { return address.Shown(n.cfg.URL) }

// Stop closes all connections. It may be called again.
func (n *NATS) Stop() {
	n.mu.Lock()
	n.stopped = true
	conns := n.conns
	n.conns = nil
	n.mu.Unlock()
	for nc := range conns {
		nc.Close()
	}
}
