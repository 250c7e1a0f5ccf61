package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/external"
)

// Config says what a node is and where it listens.
type Config struct {
	// DataDir holds everything that is kept. Required.
	DataDir string
	// NATSAddr, HTTPAddr and RaftAddr are host:port of loopback addresses.
	// They default to 127.0.0.1:4222, 127.0.0.1:8420 and 127.0.0.1:7420.
	NATSAddr, HTTPAddr, RaftAddr string
	// Cluster makes the node a member of a cluster; nil is a node alone.
	Cluster *ClusterConfig
	// Prefix is the first token of all subjects and, in capitals, the beginning of
	// the streams' names. Defaults to belfry.
	Prefix string
	// DontListen opens no port: a program that embeds a node talks to it through
	// CallerConn. The addresses mean nothing then, and HTTP is not served.
	DontListen bool
	// NoExec runs no executor in the node, which then needs no Python: others
	// come as processes of their own, or whoever embeds it brings one of its
	// name, on ExecutorConn.
	NoExec bool
	// Idle is the interval of what a node does while nothing happens: signs of
	// life between owner and executor, Raft's heartbeats, a look at the stream;
	// other intervals are multiples of it. A machine that should sleep wants it
	// longer; an executor that is lost is noticed five of them later. What is
	// due has timers of its own and is never later for it. Defaults to 1 s.
	Idle time.Duration
	// Python is the interpreter of the node's own executor. Defaults to python3.
	Python string
	// Sandbox is the level in which functions run: none, process, restricted or
	// isolated. Defaults to restricted, or what comes next to it where the kernel
	// does not allow that.
	Sandbox string
	// FunctionEnv is what functions may be given of: each gets the variables that
	// it names. Their values are masked in all that it says.
	FunctionEnv map[string]string
	// Slots is how many runs its executor takes at a time. Defaults to what
	// suits the machine (see exec.Config).
	Slots int
	// Version of the program, a semantic version. Defaults to 0.0.0.
	Version string
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

// ClusterConfig is what a member of a cluster has besides.
type ClusterConfig struct {
	// Name of the node and of its lane, unique in the cluster for all time.
	Name string
	// Addr is host:port at which the members' NATS servers meet. Defaults to
	// 127.0.0.1:6222.
	Addr string
	// Advertise is the host under which the other nodes, and callers, reach this
	// one at the ports of its addresses for NATS, for Raft and of Addr. It is
	// needed where those stand for every address of the machine. Defaults to the
	// host of each.
	Advertise string
	// Join are Raft addresses of members; the node's own may be among them.
	Join []string
	// Expect forms a new cluster once that many nodes that belong to none have
	// met. 0 joins one that there is; 1, with External only, is this node alone.
	Expect int
	// External is the NATS that the nodes meet on in place of servers of their
	// own; nil runs those. NATSAddr and Addr mean nothing then.
	External *ExternalConfig
	// Insecure lets other machines reach the node, which anybody may then use.
	Insecure bool
}

// ExternalConfig is a NATS that others run. See external.Config.
type ExternalConfig struct {
	URL, Creds string
	Replicas   int
}

// external is the NATS that others run, nil if none is.
func (c Config) external() *ExternalConfig {
	if c.Cluster == nil {
		return nil
	}
	return c.Cluster.External
}

func (c Config) externalConfig() external.Config {
	e := c.external()
	return external.Config{URL: e.URL, Creds: e.Creds, Replicas: e.Replicas, Logger: c.Logger}
}

// Name is the name of a standalone node and of its executor.
const Name = "local"

// name is that of the node, of its lane and of its executor.
func (c Config) name() string {
	if c.Cluster == nil {
		return Name
	}
	return c.Cluster.Name
}

// Intervals, in units of Config.Idle.
const (
	// lowWaterIdles is how often the stream's low-water mark is raised.
	lowWaterIdles = 5
	// ownerIdles is how long an executor believes in a silent owner.
	ownerIdles = 5
	// pingIdles is how often idle connections within the process are tried.
	pingIdles = 120
	// idleMin keeps a node from being busy with being idle.
	idleMin = 100 * time.Millisecond
)

// WithDefaults fills what is absent.
func (c Config) WithDefaults() Config {
	for field, value := range map[*string]string{
		&c.NATSAddr: "127.0.0.1:4222", &c.HTTPAddr: "127.0.0.1:8420", &c.RaftAddr: "127.0.0.1:7420",
		&c.Python: "python3", &c.Version: "0.0.0", &c.Prefix: string(api.DefaultPrefix),
	} {
		if *field == "" {
			*field = value
		}
	}
	if c.Cluster != nil && c.Cluster.Addr == "" {
		own := *c.Cluster
		own.Addr = "127.0.0.1:6222"
		c.Cluster = &own
	}
	if c.Idle == 0 {
		c.Idle = time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Validate says what cannot work, before anything is touched.
func (c Config) Validate() error {
	if c.DataDir == "" {
		return errors.New("a data directory is needed: name one with --data")
	}
	if c.Idle < idleMin {
		return fmt.Errorf("an idle interval of %s is too short: use %s or more", c.Idle, idleMin)
	}
	if !api.SubjectPrefix(c.Prefix).Valid() {
		return fmt.Errorf("--prefix %q cannot be used: give 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit", c.Prefix)
	}
	if c.external() != nil {
		if err := c.externalConfig().Validate(); err != nil {
			return err
		}
	}
	if err := c.validateAddresses(); err != nil && !c.DontListen {
		return err
	}
	if err := c.Cluster.validate(c.call(c.RaftAddr)); err != nil {
		return err
	}
	if c.Slots < 0 {
		return fmt.Errorf("--slots %d: use 1 or more", c.Slots)
	}
	return nil
}

func (c Config) validateAddresses() error {
	type address struct{ flag, addr string }
	addresses := []address{{"--http-addr", c.HTTPAddr}, {"--raft-addr", c.RaftAddr}}
	if c.external() == nil {
		addresses = append([]address{{"--nats-addr", c.NATSAddr}}, addresses...)
	}
	insecure := false
	if c.Cluster != nil {
		insecure = c.Cluster.Insecure
		if c.external() == nil {
			addresses = append(addresses, address{"--cluster-addr", c.Cluster.Addr})
		}
	}
	for _, a := range addresses {
		err := loopback(a.addr)
		if errors.Is(err, errNotLoopback) && c.Cluster != nil {
			if err = nil; !insecure {
				err = errSayInsecure
			}
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", a.flag, a.addr, err)
		}
		if c.Cluster != nil && a.flag != "--http-addr" && everywhere(c.call(a.addr)) {
			return fmt.Errorf("%s %s: %w", a.flag, a.addr, errSayAdvertise)
		}
	}
	return c.Cluster.validateAdvertise()
}

func (c *ClusterConfig) validate(raft string) error {
	switch {
	case c == nil:
		return nil
	case !namePattern.MatchString(c.Name):
		return fmt.Errorf("--name %q cannot be used: give 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit", c.Name)
	case c.Name == Name:
		return fmt.Errorf("--name %s is that of a node alone: choose another", Name)
	case c.Expect == 1 && c.External == nil:
		return errors.New("--bootstrap-expect 1: a cluster of one node needs a NATS of its own: name it with --nats, or run belfry up")
	case c.Expect == 1 && (len(c.Join) > 1 || len(c.Join) == 1 && c.Join[0] != raft):
		return errors.New("--bootstrap-expect 1 forms a cluster of this node alone: leave --join out")
	case c.Expect != 0 && c.Expect != 1 && c.Expect != 3 && c.Expect != 5:
		return fmt.Errorf("--bootstrap-expect %d: a cluster begins with 3 or 5 nodes", c.Expect)
	case c.Expect == 1:
		return nil
	case len(c.Join) == 0:
		return errors.New("a node needs others to meet: name their --raft-addr with --join")
	case len(c.Join) == 1 && c.Join[0] == raft: // as others call it
		return errors.New("--join names this node alone: name the --raft-addr of the others, too")
	}
	for _, addr := range c.Join {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("--join %s: an address is written host:port, such as 127.0.0.1:7420", addr)
		}
	}
	return nil
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

var (
	errNotLoopback = errors.New("this is not a loopback address: Belfry has no security yet, so only loopback is served")
	errSayInsecure = errors.New("this is not a loopback address, and Belfry has no security yet, so whoever reaches it may do everything: use a loopback address, or say --insecure")
)

// loopback refuses every address that other machines could reach.
func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New("an address is written host:port, such as 127.0.0.1:4222")
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return errNotLoopback
}
