package node

import (
	"errors"
	"fmt"
	"net"
	"regexp"
)

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)

var errSayAdvertise = errors.New("others cannot call this address: say with --advertise under which host they reach this node")

// validateAdvertise reports what cannot be called, or must not be.
func (c *ClusterConfig) validateAdvertise() error {
	if c == nil || c.Advertise == "" {
		return nil
	}
	if net.ParseIP(c.Advertise) == nil && !hostPattern.MatchString(c.Advertise) {
		return fmt.Errorf("--advertise %s: give a host without a port, such as 10.0.0.1: the ports are those of the addresses", c.Advertise)
	}
	addr := net.JoinHostPort(c.Advertise, "1")
	if err := loopback(addr); errors.Is(err, errNotLoopback) && !c.Insecure {
		return fmt.Errorf("--advertise %s: %w", c.Advertise, errSayInsecure)
	}
	return nil
}

// call is the address under which others reach what listens on addr.
func (c Config) call(addr string) string {
	if c.Cluster == nil || c.Cluster.Advertise == "" {
		return addr
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr // Validate says so
	}
	return net.JoinHostPort(c.Cluster.Advertise, port)
}

// callHTTP is as call, for what the others only tell of: where HTTP keeps to
// one address, that is the one.
func (c Config) callHTTP() string {
	if everywhere(c.HTTPAddr) {
		return c.call(c.HTTPAddr)
	}
	return c.HTTPAddr
}

// everywhere says that an address stands for all that the machine has.
func everywhere(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "" || ip != nil && ip.IsUnspecified())
}
