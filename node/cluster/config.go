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
	// Addr is host:port on which the members talk Raft. The host is a loopback
	// address or "localhost" unless Insecure is set; port 0 takes any free one.
	// Defaults to 127.0.0.1:7420.
	Addr string
	// Advertise is the host under which the others reach this node, at the port
	// of Addr. It is needed where Addr stands for every address of the machine.
	// Defaults to the host of Addr.
	Advertise string
	// Insecure allows addresses that are not loopback. Whoever reaches such a
	// port can do what a member can. Defaults to false.
	Insecure bool
	// Self is what the other members are to know of this node. Start fills Name
	// and Raft in. Instance names the data directory and is required with Join
	// or Expect; without it the others can't join this node. The rest may be told later, by PutMember.
	Self Member
	// Speaks is what this release writes and reads besides the cluster's own.
	// Defaults to nothing, which goes together with itself.
	Speaks Speaks
	// Join are the raft addresses of nodes to meet; this node's own may be among
	// them. Where this node belongs to a cluster already, they help to find its
	// leader and mean nothing else. Defaults to none.
	Join []string
	// Expect is the number of nodes that form a new cluster once all of them
	// have met and none belongs to one: exactly those that Join names, and this
	// one. Defaults to 0, which only joins.
	Expect int
	// DontListen leaves the listener out: nobody can join, which is for a group
	// of this node alone. Defaults to false.
	DontListen bool
	// Dir is the node's data directory; Raft keeps its log and snapshots in
	// the folder "raft" there. Required.
	Dir string
	// Bootstrap forms a new cluster of this node alone, if Raft's log is empty.
	// Where it is not, Bootstrap means nothing. Not with Join or Expect. Defaults
	// to false.
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

	// listener is used instead of listening on Addr, by tests whose nodes must
	// know each other's ports before they start.
	listener net.Listener
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
		if _, _, err := c.addresses(); err != nil {
			return err
		}
	}
	if err := c.validateMeeting(); err != nil {
		return err
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

// validateMeeting reports what in c cannot work for meeting other nodes.
func (c Config) validateMeeting() error {
	if len(c.Join) == 0 && c.Expect == 0 {
		return nil
	}
	for _, addr := range c.Join {
		if _, err := c.address(addr); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	switch {
	case c.Bootstrap:
		return errors.New("form a cluster of this node alone or meet others: give Bootstrap, or Join and Expect")
	case c.Transport != nil || c.DontListen:
		return errors.New("a node that does not listen on TCP meets nobody: leave Join and Expect out, or let it listen")
	case c.Self.Instance == "":
		return errors.New("who meets others says which data directory it has: set Self.Instance")
	case c.Expect < 0 || c.Expect > len(c.Join)+1:
		return fmt.Errorf("%d nodes are expected and %d addresses given to meet them: name all that form the cluster with --join", c.Expect, len(c.Join))
	}
	return nil
}

// addresses returns where this node listens, and where the others call it.
func (c Config) addresses() (listen, call string, err error) {
	if c.Advertise == "" {
		listen, err = c.address(c.Addr)
		return listen, listen, err
	}
	host, port, err := c.hostPort(c.Addr)
	if err != nil {
		return "", "", err
	}
	call, err = c.address(net.JoinHostPort(c.Advertise, port))
	return net.JoinHostPort(host, port), call, err
}

// address returns addr as it is called.
func (c Config) address(addr string) (string, error) {
	host, port, err := c.hostPort(addr)
	if err != nil {
		return "", err
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return "", fmt.Errorf("raft address %q is none that others could call: give one like 10.0.0.1:7420 with --raft-addr, or the host that they call with --advertise", addr)
	}
	return net.JoinHostPort(host, port), nil
}

// hostPort takes an address apart. Without Insecure, a host
// name other than "localhost" is not looked up: what a resolver says today it
// may not say tomorrow.
func (c Config) hostPort(addr string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(addr)
	if err != nil {
		return "", "", fmt.Errorf("raft address %q is not host:port: give one like %s with --raft-addr", addr, defaultAddr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", "", fmt.Errorf("raft address %q has no valid port: give one like %s with --raft-addr", addr, defaultAddr)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); !c.Insecure && (err != nil || !ip.IsLoopback()) {
		return "", "", fmt.Errorf("raft address %q is not a loopback address: Belfry has no security yet, so only loopback is served; give one like %s with --raft-addr", addr, defaultAddr)
	}
	return host, port, nil
}
