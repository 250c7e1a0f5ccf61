package node

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	eventstream "github.com/belfryhq/belfry/eventlog/jetstream"
	"github.com/belfryhq/belfry/exec/address"
	"github.com/belfryhq/belfry/exec/credential"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/broker"
	"github.com/belfryhq/belfry/node/cluster"
	"github.com/belfryhq/belfry/node/coordinator"
)

const (
	// replicas of the event stream in a cluster: one may be lost.
	replicas = 3
	// leaveTimeout bounds the giving away at a planned stop; what is left then is
	// taken by the others.
	leaveTimeout = 5 * time.Second
	// stepDownTimeout bounds the handing over of NATS's leads.
	stepDownTimeout = 3 * time.Second
	// handOnTimeout bounds the handing over of Raft's lead.
	handOnTimeout = time.Second
	// pollEvery is how often is looked at what nothing tells of.
	pollEvery = 10 * time.Millisecond
	// againAfter is the pause before what the servers did not do is asked again.
	againAfter = 250 * time.Millisecond
	// beats is how many signs of life a node gives in an Idle.
	beats = 4
)

// Names of the secrets that all members share.
const (
	secretRoutes    = "routes"
	secretExecutors = "executors"
)

// self is what the others are to know of this node.
func (n *Node) self() cluster.Member {
	m := cluster.Member{Name: n.cfg.name(), Version: n.cfg.Version, Raft: n.cfg.call(n.cfg.RaftAddr), Instance: n.dir.is.Instance}
	if n.raft != nil {
		m.Raft = n.raft.Addr()
	}
	switch {
	case n.cfg.external() != nil:
		m.NATS, m.HTTP = address.Shown(n.cfg.external().URL), n.cfg.callHTTP()
	case n.cfg.Cluster != nil:
		m.NATS, m.HTTP, m.Cluster = "nats://"+n.cfg.call(n.cfg.NATSAddr), n.cfg.callHTTP(), n.cfg.call(n.cfg.Cluster.Addr)
	default:
		m.NATS, m.HTTP = n.nats.ClientURL(), n.httpAddr()
	}
	return m
}

// meet has Raft form or join a cluster.
func (n *Node) meet(cfg *cluster.Config) {
	cfg.Bootstrap = false
	cfg.Speaks = cluster.Speaks{Events: cluster.Both(eventlog.Schema()), Executors: cluster.Both(wire.Version)}
	cfg.Self, cfg.Join, cfg.Expect = n.self(), n.cfg.Cluster.Join, n.cfg.Cluster.Expect
	cfg.Advertise, cfg.Insecure = n.cfg.Cluster.Advertise, n.cfg.Cluster.Insecure
	cfg.Self.Brings = n.brings
	if cfg.Expect == 1 {
		cfg.Join = []string{n.cfg.call(n.cfg.RaftAddr)} // it meets itself
	}
}

// route makes the NATS server one of the cluster's. It begins when Raft has
// formed, so that the servers find each other at once: JetStream's first group
// wants all of them.
func (n *Node) route(ctx context.Context, cfg *broker.Config) error {
	drawn := make([]byte, 32)
	_, _ = rand.Read(drawn) // it never fails
	password, err := n.raft.PutSecret(ctx, secretRoutes, cluster.Secret(base64.StdEncoding.EncodeToString(drawn)))
	if err != nil {
		return fmt.Errorf("agree on a password of the nats servers: %w", err)
	}
	if err := n.waitOffer(ctx); err != nil {
		return err
	}
	if cfg.ExecutorSecret, err = n.shareExecutors(ctx); err != nil {
		return err
	}
	// What the leader has agreed to we know a moment later, and with it who the
	// members are.
	for n.raft.State().Secrets[secretExecutors] == "" {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollEvery):
		}
	}
	own := n.cfg.name()
	cfg.Reserved = func(name string) bool {
		_, member := n.raft.State().Members[name]
		return member && name != own
	}
	cfg.Cluster = &broker.Cluster{Addr: n.cfg.Cluster.Addr, Advertise: n.cfg.Cluster.Advertise, Password: routePassword(password), Insecure: n.cfg.Cluster.Insecure}
	for _, m := range n.raft.State().Members {
		if m.Cluster != "" {
			cfg.Cluster.Members = append(cfg.Cluster.Members, m.Cluster)
		}
	}
	slices.Sort(cfg.Cluster.Members)
	return nil
}

// routePassword is the secret as a part of a URL: a Secret prints as nothing.
func routePassword(s cluster.Secret) string {
	raw, err := base64.StdEncoding.DecodeString(string(s))
	if err != nil {
		return string(s)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// shareExecutors has all nodes admit executors by the same secret: that of the
// node which offered it first. Each keeps it in its directory, where executors
// look for it.
func (n *Node) shareExecutors(ctx context.Context) (credential.Secret, error) {
	path := n.dir.join(credential.File)
	own, err := os.ReadFile(path)
	if err != nil {
		return credential.Secret{}, err
	}
	shared, err := n.raft.PutSecret(ctx, secretExecutors, cluster.Secret(base64.StdEncoding.EncodeToString(own)))
	if err != nil {
		return credential.Secret{}, fmt.Errorf("agree on the secret of executors: %w", err)
	}
	file, err := base64.StdEncoding.DecodeString(string(shared))
	if err != nil {
		return credential.Secret{}, fmt.Errorf("the secret of executors that the cluster has is none: %w", err)
	}
	if string(file) != string(own) {
		if err := n.dir.replace(credential.File, file); err != nil {
			return credential.Secret{}, err
		}
	}
	return credential.Read(path)
}

// waitServers returns when the NATS servers have found together.
func (n *Node) waitServers(ctx context.Context) error {
	n.cfg.Logger.Info("waiting for the nats servers of the other nodes")
	return n.whyNot(n.broker.WaitCluster(ctx))
}

// waitCurrent returns when this node's copies of the streams, if it has any, are as
// far as others.
func (n *Node) waitCurrent(ctx context.Context) error {
	if n.broker == nil {
		return nil
	}
	return n.whyNot(n.broker.WaitCurrent(ctx, n.streams()...))
}

func (n *Node) replicas() int {
	switch {
	case n.cfg.external() != nil:
		return n.external.Replicas()
	case n.cfg.Cluster == nil:
		return 1
	}
	return replicas
}

func (n *Node) streamConfig() eventstream.Config {
	cfg := eventstream.Config{Prefix: n.prefix(), Logger: n.cfg.Logger, Replicas: n.replicas()}
	if n.cfg.Cluster != nil {
		// The same again costs nothing, and a leader that has just died costs no
		// more than its successor's election.
		cfg.AppendTimeout = 500 * time.Millisecond
	}
	return cfg
}

// createStream makes the event stream, or waits for the node that brings it.
func (n *Node) createStream(ctx context.Context, cfg eventstream.Config, stream cluster.Stream) (cluster.Stream, error) {
	if stream.From != "" {
		return n.waitBrought(ctx, stream)
	}
	begun := time.Now()
	return stream, n.patiently(ctx, "make the event stream", func() error {
		err := eventstream.Create(ctx, n.nc, cfg)
		if errors.Is(err, eventstream.ErrNoServers) && n.external != nil && time.Since(begun) > gonePatience {
			return final{fmt.Errorf("%w: start %d NATS servers with JetStream, or say --nats-replicas 1", err, cfg.Replicas)}
		}
		return err
	})
}

// patiently does what needs most of the cluster's servers, again until it is
// done: while they elect who leads, nothing answers. A node alone tries once,
// and neither damage nor settings get better.
func (n *Node) patiently(ctx context.Context, what string, do func() error) error {
	for said := ""; ; {
		err := do()
		if err == nil || n.cfg.Cluster == nil || isFinal(err) || ctx.Err() != nil {
			return err
		}
		if err.Error() != said { // it may be so for hours
			said = err.Error()
			n.cfg.Logger.Info("the cluster does not do it yet; trying again", "what", what, "error", err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(againAfter):
		}
	}
}

// final is an error that was waited for long enough.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

func isFinal(err error) bool {
	_, waited := errors.AsType[final](err)
	return waited || errors.Is(err, eventlog.ErrDamaged) || errors.Is(err, eventstream.ErrSettings)
}

// newCoordinator makes this node's part in who owns what, before anybody may ask
// for it.
func (n *Node) newCoordinator() (err error) {
	if n.cfg.Cluster == nil {
		return nil
	}
	n.coordinator, err = coordinator.New(coordinator.Config{
		Node: n.cfg.name(), Process: n.process, Bus: bus{n.nc}, Prefix: n.cfg.Prefix, Agreement: n.raft, Mover: n.scheduler,
		Beat: n.cfg.Idle / beats, Ready: n.sound, Gone: n.raft.Gone, Hold: n.scheduler.HoldClaims, Logger: n.cfg.Logger,
	})
	return err
}

// sound is an error when this node should own nothing.
func (n *Node) sound() error {
	if err := n.storing(); err != nil {
		return err
	}
	return n.scheduler.Sound()
}

// startCoordinator takes part. Its end is the first thing that Stop does.
func (n *Node) startCoordinator() error {
	if n.coordinator == nil {
		return nil
	}
	n.later(func() { n.stepDown() })
	if err := n.coordinator.Start(); err != nil {
		return err
	}
	n.later(n.coordinator.Stop)
	n.beside(func(ctx context.Context) { n.raft.Lead(ctx, n.coordinator.Duty) })
	n.beside(func(ctx context.Context) { n.raft.Lead(ctx, n.remove) })
	n.beside(n.watchRemoval)
	n.later(n.handOn)
	n.later(n.leave)
	return nil
}

// handOn has another node lead Raft, while this one still answers: what only the
// leader does goes on there during the rest of a stop.
func (n *Node) handOn() {
	able := n.able()
	if n.expulsion() != nil || !n.raft.IsLeader() || len(able) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), handOnTimeout)
	defer cancel()
	if err := n.raftTo(ctx, able...); err != nil {
		n.cfg.Logger.Info("raft's lead is handed on when this node has ended", "error", err)
	}
}

// able are the other members that live and stay, sorted.
func (n *Node) able() (names []string) {
	state := n.raft.State()
	for _, other := range n.coordinator.Status().Nodes {
		_, member := state.Members[other.Name]
		if member && other.Name != n.cfg.name() && other.Alive && !other.Leaving && !state.Leaving[other.Name] {
			names = append(names, other.Name)
		}
	}
	return names
}

// raftTo has the first of the named that can lead Raft do so. One that has just
// joined has no vote yet.
func (n *Node) raftTo(ctx context.Context, able ...string) error {
	err := errors.New("no other node is alive")
	for _, name := range able {
		if err = n.raft.Transfer(ctx, name); !errors.Is(err, cluster.ErrRefused) {
			break
		}
	}
	return err
}

// leave gives everything to the others.
func (n *Node) leave() {
	if n.expulsion() != nil {
		return // they have it
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if err := n.coordinator.Leave(ctx); err != nil {
		n.cfg.Logger.Warn("not all partitions were given away: the others take them", "error", err)
	}
}

// stepDown has other servers lead what this one leads.
func (n *Node) stepDown() {
	if n.expulsion() != nil || n.broker == nil || !n.broker.Stores() {
		return // it leads nothing any more, or never did
	}
	ctx, cancel := context.WithTimeout(context.Background(), stepDownTimeout)
	defer cancel()
	if err := n.broker.StepDown(ctx, n.streams()...); err != nil {
		n.cfg.Logger.Warn("nats hands over by itself", "error", err)
	}
}

// status fills what only the cluster knows of cluster.status.
func (n *Node) status(_ context.Context, st *api.ClusterStatus) {
	st.Leader, st.ExternalNATS = n.raft.Leader(), n.external != nil
	if n.broker != nil {
		st.Stream.MetaLeader, _ = n.broker.MetaLeader() // "" while there is none
	}
	state := n.raft.State()
	st.Removed = slices.Sorted(maps.Keys(state.Removed))
	for _, name := range slices.Sorted(maps.Keys(state.Members)) {
		m := state.Members[name]
		role := api.RoleFollower
		switch {
		case state.Leaving[name]:
			role = api.RoleLeaving
		case name == st.Leader:
			role = api.RoleLeader
		}
		st.Nodes = append(st.Nodes, api.NodeStatus{
			Name: m.Name, Role: role, Alive: n.alive(m.Name),
			NATS: m.NATS, Raft: m.Raft, HTTP: m.HTTP, Version: m.Version,
		})
	}
}

// short names the members that are not there, for /readyz.
func (n *Node) short() string {
	var gone []string
	for _, name := range slices.Sorted(maps.Keys(n.raft.State().Members)) {
		if !n.alive(name) {
			gone = append(gone, name)
		}
	}
	if len(gone) == 0 {
		return ""
	}
	return "not alive: " + strings.Join(gone, ", ")
}

// alive says whether a node gives signs of life; this one does.
func (n *Node) alive(name string) bool {
	if name == n.cfg.name() || n.coordinator == nil {
		return name == n.cfg.name()
	}
	for _, node := range n.coordinator.Status().Nodes {
		if node.Name == name {
			return node.Alive
		}
	}
	return false
}
