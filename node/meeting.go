package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
	eventstream "github.com/belfryhq/belfry/eventlog/jetstream"
	"github.com/belfryhq/belfry/exec/credential"
	"github.com/belfryhq/belfry/node/broker"
	"github.com/belfryhq/belfry/node/external"
	"github.com/belfryhq/belfry/node/scheduler"
)

// meeting is the NATS on which nodes, executors and callers meet: a
// broker.Broker, or an external.NATS.
type meeting interface {
	NodeConn(name string) (*nats.Conn, error)
	ServiceConn(name string) (*nats.Conn, error)
	ExecutorConn(executor string) (*nats.Conn, error)
	CallerConn(name string) (*nats.Conn, error)
	ClientURL() string
	MaxStore() int64
}

// lookAtNATS finds the NATS that others run, if this node has one, and sees that it
// can keep the log.
func (n *Node) lookAtNATS(ctx context.Context) (err error) {
	if n.cfg.external() == nil {
		return nil
	}
	if n.external, err = external.Connect(ctx, n.cfg.externalConfig()); err != nil {
		return err
	}
	n.nats = n.external
	n.later(n.external.Stop)
	return nil
}

// startNATS starts the node's own server, if it has one, and connects.
func (n *Node) startNATS(ctx context.Context) (err error) {
	if n.external == nil {
		if err := n.startBroker(ctx); err != nil {
			return err
		}
	}
	n.nc, err = n.nats.NodeConn("node")
	return err
}

func (n *Node) startBroker(ctx context.Context) error {
	var secret credential.Secret
	var err error
	if !n.cfg.DontListen { // else no executor could come from elsewhere
		if secret, err = credential.Make(n.dir.join(credential.File)); err != nil {
			return err
		}
	}
	cfg := broker.Config{
		Name: n.cfg.name(), Prefix: n.cfg.Prefix, Addr: n.cfg.NATSAddr, DontListen: n.cfg.DontListen, StoreDir: n.dir.join("nats"),
		Executors: []string{n.cfg.name()}, ExecutorSecret: secret, PingEvery: pingIdles * n.cfg.Idle, Logger: n.cfg.Logger,
	}
	if n.cfg.Cluster != nil {
		if err := n.route(ctx, &cfg); err != nil {
			return err
		}
	}
	if n.broker, err = broker.Start(ctx, cfg); err != nil {
		return err
	}
	n.nats = n.broker
	n.later(n.broker.Stop)
	if n.cfg.Cluster != nil {
		return n.waitServers(ctx)
	}
	return nil
}

func (n *Node) prefix() eventlog.Prefix { return eventlog.Prefix(n.cfg.Prefix) }

func (n *Node) streams() []string { return n.cfg.streams() }

// streams are the names of all that a Belfry has, the event stream's first.
func (c Config) streams() []string {
	return []string{eventlog.Prefix(c.Prefix).Stream(), outputStream(c.Prefix)}
}

// store is where the streams are, for whoever is to put them right.
func (n *Node) store() string {
	if n.external == nil {
		return n.dir.join("nats")
	}
	return fmt.Sprintf("%s at %s", n.prefix().Stream(), n.external.ClientURL())
}

// replicated refuses a stream of a NATS that others run if fewer servers hold it
// than should: nobody else looks.
func (n *Node) replicated(ctx context.Context, cfg eventstream.Config) error {
	if n.external == nil {
		return nil
	}
	info, err := n.log.Info(ctx)
	if err == nil && info.Replicas < cfg.Replicas {
		return fmt.Errorf("%w: stream %s has %d replicas and should have %d: give it those (nats stream edit), or say --nats-replicas %d", eventstream.ErrSettings, n.prefix().Stream(), info.Replicas, cfg.Replicas, info.Replicas)
	}
	return err
}

// foreign explains that a NATS which others run has the stream of somebody else.
func (n *Node) foreign(err error) error {
	if n.external == nil || !errors.Is(err, scheduler.ErrForeign) {
		return err
	}
	return fmt.Errorf("stream %s: %w: choose another --prefix, or give the --data that it was made with", n.store(), scheduler.ErrForeign)
}
