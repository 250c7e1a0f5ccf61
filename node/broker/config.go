package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/belfryhq/belfry/exec/credential"
)

// Config says where and for whom the server runs.
type Config struct {
	// Name of the server, as clients and other servers see it.
	// Defaults to "belfry".
	Name string
	// Prefix of all subjects and, in capitals, of the streams that pass the walls.
	// Defaults to "belfry".
	Prefix string
	// Addr is host:port of the listener for clients. The host is a loopback
	// address or "localhost"; port 0 or -1 takes any free port.
	// Defaults to 127.0.0.1:4222.
	Addr string
	// DontListen leaves the listener out: only connections from inside this
	// process exist. Defaults to false.
	DontListen bool
	// StoreDir holds what JetStream stores; it is made where it is missing,
	// and one broker at a time holds it. Required.
	StoreDir string
	// MaxStore is the number of bytes that JetStream may hold on disk. Beyond
	// it a publish is refused cleanly; on a disk that is really full publishes
	// would hang until a restart. Defaults to what StoreDir holds already plus
	// nine tenths of what is free on its disk.
	MaxStore int64
	// PingEvery is the interval at which idle connections, on both sides, ask
	// whether the other still answers; a look of the stores at themselves comes
	// as often. Defaults to 2 minutes.
	PingEvery time.Duration
	// Executors names those for whom ExecutorConn works. Defaults to none.
	Executors []string
	// Cluster makes the server one of several; nil is a server alone.
	Cluster *Cluster
	// Reserved are further names that no executor of elsewhere may bear: those of
	// the other nodes.
	Reserved func(name string) bool
	// ExecutorSecret admits executors that are processes of their own, under
	// every name that is not among Executors. Defaults to admitting none.
	ExecutorSecret credential.Secret
	// Logger receives the server's log. Defaults to discarding it.
	Logger *slog.Logger
}

const (
	defaultName   = "belfry"
	defaultPrefix = "belfry"
	defaultAddr   = "127.0.0.1:4222"
	// defaultPingEvery is NATS's own.
	defaultPingEvery = 2 * time.Minute
)

// WithDefaults returns c with its empty fields set, but for MaxStore, which
// Start computes once StoreDir is known to exist.
func (c Config) WithDefaults() Config {
	if c.Name == "" {
		c.Name = defaultName
	}
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	if c.Addr == "" {
		c.Addr = defaultAddr
	}
	if c.PingEvery == 0 {
		c.PingEvery = defaultPingEvery
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports the first thing in c that cannot work.
func (c Config) Validate() error {
	if !validName(c.Name) {
		return fmt.Errorf("name %q of the nats server: %w", c.Name, errBadName)
	}
	if !validName(c.Prefix) {
		return fmt.Errorf("prefix %q of the subjects: %w", c.Prefix, errBadName)
	}
	if _, _, err := split(c.Addr, flagClients, c.insecure()); err != nil {
		return err
	}
	if err := c.Cluster.validate(); err != nil {
		return err
	}
	if c.StoreDir == "" {
		return errors.New("the nats store has no directory: set StoreDir")
	}
	if c.MaxStore < 0 {
		return fmt.Errorf("nats store limit of %d bytes: give a positive number, or none for nine tenths of the free disk", c.MaxStore)
	}
	if c.PingEvery < 0 {
		return fmt.Errorf("ping interval of %s: give a positive one", c.PingEvery)
	}
	for _, name := range c.Executors {
		if !validName(name) {
			return fmt.Errorf("executor name %q: %w", name, errBadName)
		}
	}
	return nil
}

func (c Config) insecure() bool { return c.Cluster != nil && c.Cluster.Insecure }

var errBadName = errors.New("use 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit")

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// validName tells names that are one plain subject token and so can never
// widen a permission.
func validName(name string) bool { return namePattern.MatchString(name) }
