package jetstream

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/belfryhq/belfry/eventlog"
)

// Config is how a log is made and used. The zero value is a log on one server.
type Config struct {
	// Prefix names the stream and its subjects. Defaults to eventlog.DefaultPrefix.
	Prefix eventlog.Prefix
	// Replicas is how many servers hold the stream: 1, 3 or 5. Create makes so
	// many; Open goes by what it finds. Defaults to 1.
	Replicas int
	// AppendTimeout bounds one try of Append; then its outcome is unknown.
	// Defaults to 2s.
	AppendTimeout time.Duration
	// ReadTimeout bounds Get, Next, Info and Open. Defaults to 5s.
	ReadTimeout time.Duration
	// Heartbeat is how often the server gives a sign of life while Follow has
	// nothing to deliver; after three without one Follow begins anew where it
	// is. Defaults to 500ms and, with several replicas, to 250ms, so that the
	// loss of a server costs a second; then it is at least 100ms.
	Heartbeat time.Duration
	// TailCheck is how often an idle Follow compares where it stands with the
	// stream's last sequence: a server that cannot read a message stays silent.
	// Defaults to 2s and, with several replicas, to 1s.
	TailCheck time.Duration
	// PullBytes bounds what one request of Follow brings; at most two are under
	// way. Several replicas push, within the server's own window. Defaults to
	// 2 MiB.
	PullBytes int
	// DamagePatience is how long several replicas must look damaged to be so.
	// Defaults to eventlog.DamagePatience.
	DamagePatience time.Duration
	// Logger hears when Follow had to begin anew. Defaults to none.
	Logger *slog.Logger
}

// WithDefaults is c with what was left out.
func (c Config) WithDefaults() Config {
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.AppendTimeout == 0 {
		c.AppendTimeout = 2 * time.Second
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = 5 * time.Second
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 500 * time.Millisecond
		if c.Replicas > 1 {
			c.Heartbeat = 250 * time.Millisecond
		}
	}
	if c.TailCheck == 0 {
		c.TailCheck = 2 * time.Second
		if c.Replicas > 1 {
			c.TailCheck = time.Second
		}
	}
	if c.PullBytes == 0 {
		c.PullBytes = 2 << 20
	}
	if c.DamagePatience == 0 {
		c.DamagePatience = eventlog.DamagePatience
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate says which setting cannot work, after WithDefaults.
func (c Config) Validate() error {
	switch {
	case c.Replicas != 1 && c.Replicas != 3 && c.Replicas != 5:
		return fmt.Errorf("replicas is %d: set it to 1, 3 or 5", c.Replicas)
	case c.AppendTimeout <= 0, c.ReadTimeout <= 0, c.Heartbeat <= 0, c.TailCheck <= 0, c.DamagePatience <= 0:
		return fmt.Errorf("a time-out or interval of the log is negative: leave it out for its default")
	case c.Heartbeat > pullExpires/2:
		return fmt.Errorf("heartbeat is %s: set it to at most %s", c.Heartbeat, pullExpires/2)
	case c.PullBytes < 2*eventlog.CommitBytesMax:
		return fmt.Errorf("pull bytes is %d: set it to at least %d, so that any commit fits", c.PullBytes, 2*eventlog.CommitBytesMax)
	}
	return nil
}
