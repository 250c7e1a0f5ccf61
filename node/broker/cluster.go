package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Cluster is what a server that is one of several has besides.
type Cluster struct {
	// Addr is host:port at which the servers meet. Required.
	Addr string
	// Advertise is the host under which other servers and clients reach this
	// one, at the ports where it listens: they hear of it from each other.
	// Defaults to what each listener has.
	Advertise string
	// Members are the addresses of all that form the cluster, this one's among
	// them: JetStream takes their number for the size of its group. Required.
	Members []string
	// Password admits another server. Required: without one anybody would be.
	Password string
	// Insecure lets the addresses be other than loopback.
	Insecure bool
}

const (
	// clusterName is that of all clusters; they know each other by Password.
	clusterName = "belfry"
	clusterUser = "belfry"
	// routePing is how often servers ask whether the other still answers. What
	// stands still without closing its connections is cut off after the third.
	routePing    = time.Second
	routePingMax = 2
	// pollEvery is how often a server is looked at that says nothing by itself.
	pollEvery = 20 * time.Millisecond
)

func (c *Cluster) validate() error {
	switch {
	case c == nil:
		return nil
	case c.Password == "":
		return errors.New("the servers of a cluster need a password, or --cluster-addr would admit anybody: set Cluster.Password")
	case len(c.Members) == 0:
		return errors.New("the servers of a cluster must know each other: set Cluster.Members")
	}
	for _, addr := range append([]string{c.Addr}, c.Members...) {
		if _, _, err := split(addr, flagRoutes, c.Insecure); err != nil {
			return err
		}
	}
	return nil
}

// probe is as that of the listener for clients.
func (c *Cluster) probe() error {
	if c == nil {
		return nil
	}
	host, port, err := split(c.Addr, flagRoutes, c.Insecure)
	if err != nil {
		return err
	}
	return probe(host, port, flagRoutes)
}

// join makes the server one of a cluster.
func (c *Cluster) join(opts *server.Options) error {
	host, port, err := split(c.Addr, flagRoutes, c.Insecure)
	if err != nil {
		return err
	}
	opts.Cluster = server.ClusterOpts{
		Name: clusterName, Host: host, Port: port,
		Username: clusterUser, Password: c.Password,
		PingInterval: routePing, MaxPingsOut: routePingMax,
	}
	if c.Advertise != "" {
		opts.Cluster.Advertise = net.JoinHostPort(c.Advertise, strconv.Itoa(port))
		opts.ClientAdvertise = net.JoinHostPort(c.Advertise, strconv.Itoa(opts.Port))
	}
	for _, member := range c.Members {
		opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: member, User: url.UserPassword(clusterUser, c.Password)})
	}
	return nil
}

// WaitCluster returns when the servers agree on who leads their streams: with
// more than half of them. The error is ErrNotStoring where this one keeps none.
func (b *Broker) WaitCluster(ctx context.Context) error {
	for {
		if leader, err := b.MetaLeader(); err == nil && leader != "" && b.server.JetStreamIsCurrent() {
			return nil
		}
		if !b.Stores() {
			return ErrNotStoring
		}
		if !pause(ctx) {
			return fmt.Errorf("the nats servers of the cluster did not find together: see that the others run, and their --cluster-addr: %w", context.Cause(ctx))
		}
	}
}

// MetaLeader is the name of the server that leads JetStream's meta group, as far
// as this one knows; "" if it knows of nobody or stands alone.
func (b *Broker) MetaLeader() (string, error) {
	info, err := b.server.Jsz(nil)
	if err != nil || info.Meta == nil {
		return "", err
	}
	return info.Meta.Leader, nil
}

// StepDown has other servers lead the streams that this one leads, and the
// group of them, and returns when others do or ctx ends: else what is asked of
// a leader that stops is lost, and waits for a time-out. A stream that the server
// knows nothing of is passed over.
func (b *Broker) StepDown(ctx context.Context, streams ...string) error {
	if b.cfg.Cluster == nil {
		return nil
	}
	system, err := b.connect("system", b.ids.system)
	if err != nil {
		return err
	}
	defer system.Close()
	// All are looked at again each time: the others may elect this one once more.
	for {
		done, err := b.stepDownStreams(streams)
		if err != nil {
			return err
		}
		if b.server.JetStreamIsLeader() {
			done = false
			if _, err := system.RequestWithContext(ctx, "$JS.API.META.LEADER.STEPDOWN", nil); err != nil {
				return fmt.Errorf("hand the lead of the nats servers over: %w", err)
			}
		}
		if leader, err := b.MetaLeader(); done && err == nil && leader != "" && leader != b.cfg.Name {
			return nil
		}
		if !pause(ctx) {
			return fmt.Errorf("hand the leads of this nats server over: %w", context.Cause(ctx))
		}
	}
}

// stepDownStreams says whether others lead all the streams, and hands over what
// this server leads.
func (b *Broker) stepDownStreams(streams []string) (done bool, err error) {
	done = true
	for _, stream := range streams {
		leader, exists, err := b.streamLeader(stream)
		if err == nil && leader == b.cfg.Name {
			err = b.server.JetStreamStepdownStream(accountNode, stream)
		}
		if err != nil {
			return false, fmt.Errorf("hand the lead of stream %s over: %w", stream, err)
		}
		if exists && (leader == "" || leader == b.cfg.Name) {
			done = false
		}
	}
	return done, nil
}

// streamLeader is who leads a stream of which this server has a replica, as far as
// it knows; "" if it knows of nobody.
func (b *Broker) streamLeader(stream string) (leader string, exists bool, err error) {
	info, err := b.server.Jsz(&server.JSzOptions{Account: accountNode, Streams: true})
	if err != nil {
		return "", false, err
	}
	for _, account := range info.AccountDetails {
		for _, detail := range account.Streams {
			if detail.Name == stream && detail.Cluster != nil {
				return detail.Cluster.Leader, true, nil
			}
		}
	}
	return "", false, nil
}

// WaitCurrent returns when what this server holds of the streams is as their
// leaders have it: until then it is one more that must not be missing. The error is
// ErrNotStoring where it keeps none.
func (b *Broker) WaitCurrent(ctx context.Context, streams ...string) error {
	if b.cfg.Cluster == nil {
		return nil
	}
	for _, stream := range streams {
		for {
			leader, exists, err := b.streamLeader(stream)
			if !b.Stores() {
				return ErrNotStoring
			}
			if err != nil {
				return fmt.Errorf("look at stream %s: %w", stream, err)
			}
			// One that has heard of no leader yet does not know what it lacks.
			if !exists || leader != "" && b.server.JetStreamIsStreamCurrent(accountNode, stream) {
				break
			}
			if !pause(ctx) {
				return fmt.Errorf("this nats server did not catch up with stream %s: %w", stream, context.Cause(ctx))
			}
		}
	}
	return nil
}

// pause waits a moment; false if ctx ended.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pollEvery):
		return true
	}
}

// split takes an address of a flag apart.
func split(addr, flag string, insecure bool) (host string, port int, err error) {
	if !insecure {
		return splitLoopback(addr, flag)
	}
	host, text, err := net.SplitHostPort(addr)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || port < -1 || port > 65535 {
		return "", 0, fmt.Errorf("nats address %q is not host:port: give one like %s with %s", addr, example(flag), flag)
	}
	return host, port, nil
}
