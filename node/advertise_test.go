package node

import (
	"strings"
	"testing"
)

// member is a node of a cluster that may be advertised.
func member(change func(*Config)) Config {
	c := Config{DataDir: "data", Cluster: &ClusterConfig{Name: "n1", Join: []string{"10.0.0.2:7420", "10.0.0.3:7420"}}}
	change(&c)
	return c.WithDefaults()
}

// A node that others could not call, or should not, is refused in one line.
func TestAdvertiseIsChecked(t *testing.T) {
	for name, is := range map[string]struct {
		change func(*Config)
		want   string // "" works
	}{
		"every address":                      {func(c *Config) { c.NATSAddr, c.Cluster.Insecure = "0.0.0.0:4222", true }, "--nats-addr 0.0.0.0:4222: others cannot call this address: say with --advertise"},
		"every address for Raft, of IPv6":    {func(c *Config) { c.RaftAddr, c.Cluster.Insecure = "[::]:7420", true }, "--raft-addr [::]:7420: others cannot call this address: say with --advertise"},
		"every address for routes, in short": {func(c *Config) { c.Cluster.Addr, c.Cluster.Insecure = ":6222", true }, "--cluster-addr :6222: others cannot call this address: say with --advertise"},
		"every address, advertised": {func(c *Config) {
			c.NATSAddr, c.RaftAddr, c.HTTPAddr, c.Cluster.Addr = "0.0.0.0:4222", "0.0.0.0:7420", "0.0.0.0:8420", "0.0.0.0:6222"
			c.Cluster.Advertise, c.Cluster.Insecure = "n1.example.com", true
		}, ""},
		"loopback behind a proxy":  {func(c *Config) { c.Cluster.Advertise = "127.0.1.1" }, ""},
		"localhost":                {func(c *Config) { c.Cluster.Advertise = "localhost" }, ""},
		"a network without a word": {func(c *Config) { c.Cluster.Advertise = "10.0.0.1" }, "--advertise 10.0.0.1: this is not a loopback address"},
		"a name without a word":    {func(c *Config) { c.Cluster.Advertise = "n1.example.com" }, "--advertise n1.example.com: this is not a loopback address"},
		"every address as a host":  {func(c *Config) { c.Cluster.Advertise, c.Cluster.Insecure = "0.0.0.0", true }, "others cannot call this address"},
		"a port":                   {func(c *Config) { c.Cluster.Advertise, c.Cluster.Insecure = "10.0.0.1:4222", true }, "--advertise 10.0.0.1:4222: give a host without a port"},
		"a URL":                    {func(c *Config) { c.Cluster.Advertise, c.Cluster.Insecure = "nats://10.0.0.1", true }, "give a host without a port"},
		"itself alone":             {func(c *Config) { c.Cluster.Advertise, c.Cluster.Join = "127.0.1.1", []string{"127.0.1.1:7420"} }, "--join names this node alone"},
	} {
		t.Run(name, func(t *testing.T) {
			err := member(is.change).Validate()
			if is.want == "" && err == nil {
				return
			}
			if err == nil || is.want == "" || !strings.Contains(err.Error(), is.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("it says %v, not %q", err, is.want)
			}
		})
	}
}

// What the others are told of a node names the host under which they reach it;
// HTTP, which they do not call, keeps an address of its own.
func TestMembersKnowTheAdvertisedHost(t *testing.T) {
	cfg := member(func(c *Config) { c.Cluster.Advertise, c.Cluster.Insecure = "fd00::1", true })
	n := &Node{cfg: cfg, dir: &directory{}}
	m := n.self()
	if m.Raft != "[fd00::1]:7420" || m.NATS != "nats://[fd00::1]:4222" || m.Cluster != "[fd00::1]:6222" || m.HTTP != "127.0.0.1:8420" {
		t.Errorf("the others are told %+v", m)
	}
	n.cfg.HTTPAddr = "0.0.0.0:8420"
	if m := n.self(); m.HTTP != "[fd00::1]:8420" {
		t.Errorf("http is said to be at %s", m.HTTP)
	}
}
