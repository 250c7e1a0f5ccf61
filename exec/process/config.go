package process

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/credential"
	"github.com/belfryhq/belfry/exec/wire"
)

// Config says which executor a process is, and where it serves.
type Config struct {
	// URL of the node's NATS. Required.
	URL string
	// Credentials is the file with the secret of the node's executors. Required,
	// but for an external NATS.
	Credentials string
	// External says that the NATS is none of Belfry's and admits executors in its
	// own way: by Creds, by a user in URL, or everybody. Creds or a user say so, too.
	External bool
	// Creds is a file with credentials for it, as nsc makes it. Defaults to none.
	Creds string
	// Prefix of the node's subjects. Defaults to belfry.
	Prefix string
	// Name of the executor. Defaults to the host's, made valid.
	Name string
	// Pool whose runs it takes, and how many at a time. See exec.Config.
	Pool  string
	Slots int
	// Grace is what Stop gives to runs that are under way; with NoGrace nothing.
	// Defaults to 5 s, as exec.Config says.
	Grace   time.Duration
	NoGrace bool
	// Python is the interpreter. Defaults to python3.
	Python string
	// Sandbox is the level in which functions run. See python.Config.
	Sandbox string
	// FunctionEnv are variables, by name, that functions may be given.
	FunctionEnv map[string]string
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

// CredentialsFile is the name of the file with the secret, in the data directory
// of a node.
const CredentialsFile = credential.File

// WithDefaults fills what is absent.
func (c Config) WithDefaults() Config {
	if c.Name == "" {
		host, _ := os.Hostname() // without one the name is asked for
		c.Name = nameOf(host)
	}
	c.External = c.External || c.Creds != "" || strings.Contains(c.URL, "@")
	if c.Python == "" {
		c.Python = "python3"
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Validate says what cannot work, before anything is touched.
func (c Config) Validate() error {
	switch {
	case c.Name == "":
		return errors.New("this host has no name that an executor could bear: give one with --name")
	case c.URL == "":
		return errors.New("the address of a node is missing: give it with --nats")
	case c.Credentials == "" && !c.External:
		return errors.New("the file with the node's secret is missing: name it with --credentials")
	}
	return c.executor().WithDefaults().Validate()
}

func (c Config) executor() exec.Config {
	return exec.Config{Prefix: wire.Prefix(c.Prefix), Name: c.Name, Pool: c.Pool, Slots: c.Slots, Grace: c.Grace, NoGrace: c.NoGrace, Logger: c.Logger}
}

// nameLengthMax bounds the names of executors.
const nameLengthMax = 32

// nameOf makes the name of an executor from a host's: its first label, in small
// letters, with - for what cannot be in one. It is "" if nothing is left.
func nameOf(host string) string {
	label, _, _ := strings.Cut(strings.ToLower(host), ".")
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, label)
	name = strings.TrimLeft(name, "-")
	return strings.TrimRight(name[:min(len(name), nameLengthMax)], "-")
}
