package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/hashicorp/raft"
)

// Config says who this node is in the cluster, and how it takes part.
type Config struct {
	// Name of the node, unique in the cluster for all time: the name of a node
	// that was wiped is never used again. Required.
	Name string
	// Addr is host:port on which the members talk Raft, and under which the
	// others reach this node. The host is a loopback address or "localhost";
	// port 0 takes any free one. Defaults to 127.0.0.1:7420.
	Addr string
	// DontListen leaves the listener out: nobody can join, which is for a group
	// of this node alone. Defaults to false.
	DontListen bool
	// Dir is the node's data directory; Raft keeps its log and snapshots in
	// the folder "raft" there. Required.
	Dir string
	// Bootstrap forms a new cluster of this node alone, if Raft's log is empty.
	// Where it is not, Bootstrap means nothing. Defaults to false.
	Bootstrap bool
	// HeartbeatTimeout is the silence of a leader after which the others elect
	// a new one. A group of one does not wait for it. Defaults to 1 s.
	HeartbeatTimeout time.Duration
	// CommandTimeout bounds each command, besides its context. Defaults to 5 s.
	CommandTimeout time.Duration
	// Transport carries Raft's messages. Defaults to TCP on Addr; simulations
	// bring their own.
	Transport raft.Transport
	// Logger receives Raft's log. Defaults to discarding it.
	Logger *slog.Logger
}

const (
	defaultAddr             = "127.0.0.1:7420"
	defaultHeartbeatTimeout = time.Second
	defaultCommandTimeout   = 5 * time.Second
)

// WithDefaults returns c with its empty fields set, but for Transport, which
// Start opens.
func (c Config) WithDefaults() Config {
	if c.Addr == "" {
		c.Addr = defaultAddr
	}
	if c.HeartbeatTimeout == 0 {
		c.HeartbeatTimeout = defaultHeartbeatTimeout
	}
	if c.CommandTimeout == 0 {
		c.CommandTimeout = defaultCommandTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports the first thing in c that cannot work.
func (c Config) Validate() error {
	if !validName(c.Name) {
		return fmt.Errorf("node name %q: use 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit", c.Name)
	}
	if c.Transport == nil && !c.DontListen {
		if _, err := loopback(c.Addr); err != nil {
			return err
		}
	}
	if c.Dir == "" {
		return errors.New("the raft store has no directory: set Dir")
	}
	if c.HeartbeatTimeout < 10*time.Millisecond {
		return fmt.Errorf("raft heartbeat timeout of %s is too short: give 10ms or more", c.HeartbeatTimeout)
	}
	if c.CommandTimeout < 0 {
		return fmt.Errorf("command timeout of %s: give a positive one", c.CommandTimeout)
	}
	return nil
}

// loopback returns addr as it is listened on. A host name other than
// "localhost" is not looked up: what a resolver says today it may not say
// tomorrow.
func loopback(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("raft address %q is not host:port: give one like %s with --raft-addr", addr, defaultAddr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", fmt.Errorf("raft address %q has no valid port: give one like %s with --raft-addr", addr, defaultAddr)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return "", fmt.Errorf("raft address %q is not a loopback address: Belfry has no security yet, so only loopback is served; give one like %s with --raft-addr", addr, defaultAddr)
	}
	return net.JoinHostPort(host, port), nil
}
