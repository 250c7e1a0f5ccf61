package external

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/belfryhq/belfry/exec/address"
)

// Config says which NATS, and what for.
type Config struct {
	// URL of a server, or of several of one cluster with commas between them. It
	// may hold a user and a password. Required.
	URL string
	// Creds is a file with credentials, as nsc makes it. Defaults to none.
	Creds string
	// Replicas is how many servers are to hold a stream: 1, 3 or 5. Defaults to 3
	// where the servers are a cluster and to 1 at a server alone.
	Replicas int
	// Logger defaults to discarding.
	Logger *slog.Logger
}

// WithDefaults fills what is absent, but for Replicas, which Connect finds out.
func (c Config) WithDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate says what cannot work, before anything is connected.
func (c Config) Validate() error {
	if c.URL == "" {
		return errors.New("the address of a NATS is missing: give it with --nats")
	}
	for _, one := range strings.Split(c.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" {
			return fmt.Errorf("--nats %s is no address: write nats://host:port, several with commas between", address.Shown(c.URL))
		}
	}
	if c.Replicas != 0 && c.Replicas != 1 && c.Replicas != 3 && c.Replicas != 5 {
		return fmt.Errorf("--nats-replicas %d: use 1, 3 or 5", c.Replicas)
	}
	if c.Creds != "" {
		if _, err := os.Stat(c.Creds); err != nil {
			return fmt.Errorf("--nats-creds: %w: name a file with credentials", err)
		}
	}
	return nil
}
