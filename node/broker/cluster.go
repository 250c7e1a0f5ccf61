package broker

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	clusterName = "belfry"
	// routeUser is the name that goes with Config.RoutePassword.
	routeUser = "belfry"
	// routeRetries is how often, a second apart, a server that is not among
	// Routes is called again. It calls back itself when it has Routes.
	routeRetries = 60
	// routePing finds a route whose other end vanished without a word. Two are
	// missed before the route is made anew.
	routePing = 5 * time.Second
)

// validateCluster reports the first thing that cannot work between servers.
func (c Config) validateCluster() error {
	if c.ClusterAddr == "" {
		if len(c.Routes) > 0 || c.ClusterSize != 0 || c.RoutePassword != "" {
			return errors.New("routes, cluster size or route password without a cluster address: set ClusterAddr")
		}
		return nil
	}
	if _, _, err := clusterPlace.split(c.ClusterAddr, c.Insecure); err != nil {
		return err
	}
	for _, route := range c.Routes {
		switch _, port, err := routePlace.split(route, c.Insecure); {
		case err != nil:
			return err
		case port <= 0:
			return fmt.Errorf("%s %q has no port: %s", routePlace.what, route, routePlace.give)
		}
	}
	switch {
	case c.DontListen:
		return errors.New("a server of a cluster listens for clients: the nats server takes no routes before; leave DontListen out")
	case c.ClusterSize < clusterSizeMin:
		return fmt.Errorf("cluster size of %d: give at least %d, or no ClusterAddr for a server alone", c.ClusterSize, clusterSizeMin)
	}
	return nil
}

// settleClusterAddr is ClusterAddr with a port, which can be listened on.
func settleClusterAddr(cfg Config) (string, error) {
	if cfg.ClusterAddr == "" {
		return "", nil
	}
	host, port, err := clusterPlace.split(cfg.ClusterAddr, cfg.Insecure)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(max(port, 0))))
	if err != nil {
		return "", clusterPlace.listenError(host, port, err)
	}
	if addr, ok := listener.Addr().(*net.TCPAddr); ok {
		port = addr.Port
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), listener.Close()
}

// joinCluster makes the server one of several. It has no field for how many
// they begin with: it takes the number of configured routes for it, counting its
// own, and needs at least one. So routes are filled up with the server's own
// address, which it recognizes at the first call and never calls again.
func joinCluster(opts *server.Options, cfg Config) error {
	host, port, err := clusterPlace.split(cfg.ClusterAddr, cfg.Insecure)
	if err != nil {
		return err
	}
	opts.Cluster = server.ClusterOpts{
		Name: clusterName,
		Host: host,
		Port: port,
		// Clients know their servers by their own settings: what a server takes
		// for its address need not be one for them.
		NoAdvertise:    true,
		ConnectRetries: routeRetries,
		PingInterval:   routePing,
	}
	if cfg.RoutePassword != "" {
		opts.Cluster.Username, opts.Cluster.Password = routeUser, cfg.RoutePassword
	}
	routes := slices.Clone(cfg.Routes)
	slices.Sort(routes)
	routes = slices.Compact(routes)
	// The own address stands for the server itself, so it is counted once.
	if !slices.Contains(routes, cfg.ClusterAddr) {
		routes = append(routes, cfg.ClusterAddr)
	}
	for len(routes) < cfg.ClusterSize {
		routes = append(routes, cfg.ClusterAddr)
	}
	for _, route := range routes {
		if opts.Routes, err = appendRoute(opts.Routes, route, cfg); err != nil {
			return err
		}
	}
	return nil
}

func appendRoute(routes []*url.URL, addr string, cfg Config) ([]*url.URL, error) {
	host, port, err := routePlace.split(addr, cfg.Insecure)
	if err != nil {
		return nil, err
	}
	if host == "" {
		host = "127.0.0.1" // only the own address may mean all
	}
	route := &url.URL{Scheme: "nats", Host: net.JoinHostPort(host, strconv.Itoa(port))}
	if cfg.RoutePassword != "" {
		route.User = url.UserPassword(routeUser, cfg.RoutePassword)
	}
	return append(routes, route), nil
}

// ClusterAddr is where other servers connect, with the port that was really
// taken. It is empty for a server alone.
func (b *Broker) ClusterAddr() string { return b.cfg.ClusterAddr }
