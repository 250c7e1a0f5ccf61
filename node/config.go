package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
)

// Config says what a node is and where it listens.
type Config struct {
	// DataDir holds everything that is kept. Required.
	DataDir string
	// NATSAddr, HTTPAddr and RaftAddr are host:port of loopback addresses.
	// They default to 127.0.0.1:4222, 127.0.0.1:8420 and 127.0.0.1:7420.
	NATSAddr, HTTPAddr, RaftAddr string
	// Python is the interpreter of the node's own executor. Defaults to python3.
	Python string
	// Slots is how many runs its executor takes at a time. Defaults to what
	// suits the machine (see exec.Config).
	Slots int
	// Version of the program, a semantic version. Defaults to 0.0.0.
	Version string
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

// Name is the name of a standalone node and of its executor.
const Name = "local"

// WithDefaults fills what is absent.
func (c Config) WithDefaults() Config {
	for field, value := range map[*string]string{
		&c.NATSAddr: "127.0.0.1:4222", &c.HTTPAddr: "127.0.0.1:8420", &c.RaftAddr: "127.0.0.1:7420",
		&c.Python: "python3", &c.Version: "0.0.0",
	} {
		if *field == "" {
			*field = value
		}
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
	for _, a := range []struct{ flag, addr string }{
		{"--nats-addr", c.NATSAddr}, {"--http-addr", c.HTTPAddr}, {"--raft-addr", c.RaftAddr},
	} {
		if err := loopback(a.addr); err != nil {
			return fmt.Errorf("%s %s: %w", a.flag, a.addr, err)
		}
	}
	if c.Slots < 0 {
		return fmt.Errorf("--slots %d: use 1 or more", c.Slots)
	}
	return nil
}

// loopback refuses every address that other machines could reach.
func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New("an address is written host:port, such as 127.0.0.1:4222")
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return errors.New("this is not a loopback address: Belfry has no security yet, so only loopback is served")
}
