package exec

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/belfryhq/belfry/exec/wire"
)

// Limits of an executor, each with its reason.
const (
	// heldMax bounds all attempts that are held, so that owners that do not
	// keep to their windows cannot fill the memory: four full windows.
	heldMax = 4 * wire.WindowMax
	// inboxMax bounds the messages received and not yet looked at.
	inboxMax = 8 * wire.WindowMax
	// recentMax is how many attempts are remembered after they were stored,
	// so that an echo of their Run is not taken for a new one.
	recentMax = 4 * wire.WindowMax
	// codesMax and codeBytesMax bound the cache of code.
	codesMax     = 4096
	codeBytesMax = 64 << 20
	// checksMax bounds the checks that wait or are under way.
	checksMax = 64
	// repeatBytesMax is how much of the reports that nobody acknowledges is
	// sent again in one go, and repeatPause what follows, so that an executor
	// whose owners are gone does not flood the network: about 80 MB/s.
	repeatBytesMax = 4 << 20
	repeatPause    = 50 * time.Millisecond
	// logChunkBytesMax bounds a message of output.
	logChunkBytesMax = 128 << 10
	// logLineCost is what a line of output counts at least, since each has a
	// time and a name.
	logLineCost = 16
	// liveEvery is for how long a line waits for others before it is sent to
	// those who follow: longer than most runs take, shorter than people notice.
	liveEvery = 200 * time.Millisecond
	// liveSlower is after how many chunks the pause between two has grown by
	// liveEvery, and liveChunksMax after how many there are no more of them but
	// full ones: nine hours of printing without a pause. With the full ones
	// they are fewer than wire.OutputChunksMax.
	liveSlower    = 50
	liveChunksMax = 3800
	// announceGap is the least time between announcements because of windows.
	announceGap = 2 * time.Millisecond
	// windowsEvery is how often windows are looked at while runs come and go.
	windowsEvery = 5 * time.Millisecond
	// killMax is how long a Runtime may take to end what it was told to end.
	killMax = 5 * time.Second
	// flushMax is how long the server may take to see what was sent.
	flushMax = 5 * time.Second
)

// Config of an Executor.
type Config struct {
	// Prefix of the subjects, the node's. Defaults to wire.DefaultPrefix.
	Prefix wire.Prefix
	// Name of the executor. Required: a-z, 0-9 and "-", at most 32.
	Name string
	// Pool whose runs it takes. Defaults to "default".
	Pool string
	// Slots is how many runs are under way at once. Defaults to the number of
	// processors, at least 4.
	Slots int
	// Grace is what Stop gives to runs that are under way. Defaults to 5s.
	Grace time.Duration
	// NoGrace has Stop end them at once.
	NoGrace bool
	// FlushMax is how long Stop waits for its last reports to be stored.
	// Defaults to 1s.
	FlushMax time.Duration
	// AnnounceEvery is the interval of signs of life. Defaults to wire.AnnounceEvery.
	AnnounceEvery time.Duration
	// ReportEvery is how often a report is repeated. Defaults to wire.ReportEvery.
	ReportEvery time.Duration
	// HandBackAfter is how long a run waits for a slot. Defaults to wire.HandBackAfter.
	HandBackAfter time.Duration
	// OwnerSilence is how long an owner keeps its window without an Ask or a
	// Demand. Defaults to wire.LostAfter.
	OwnerSilence time.Duration
	// CheckMax is how long a Check may take, waiting included. Defaults to 10s.
	CheckMax time.Duration
	// Logger defaults to slog.Default().
	Logger *slog.Logger
}

// WithDefaults returns the Config with what was left out filled in.
func (c Config) WithDefaults() Config {
	if c.Pool == "" {
		c.Pool = "default"
	}
	if c.Slots == 0 {
		c.Slots = max(4, runtime.NumCPU())
	}
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&c.Grace, 5 * time.Second},
		{&c.FlushMax, time.Second},
		{&c.AnnounceEvery, wire.AnnounceEvery},
		{&c.ReportEvery, wire.ReportEvery},
		{&c.HandBackAfter, wire.HandBackAfter},
		{&c.OwnerSilence, wire.LostAfter},
		{&c.CheckMax, 10 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	if c.NoGrace {
		c.Grace = 0
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Validate says what is wrong with a Config, after WithDefaults.
func (c Config) Validate() error {
	switch {
	case !validName(c.Name):
		return fmt.Errorf("exec: the name %q cannot be used: give 1 to 32 of a-z, 0-9 and -, not beginning with -", c.Name)
	case !validName(c.Pool):
		return fmt.Errorf("exec: the pool %q cannot be used: give 1 to 32 of a-z, 0-9 and -, not beginning with -", c.Pool)
	case !validName(c.Prefix.String()):
		return fmt.Errorf("exec: the prefix %q cannot be used: give 1 to 32 of a-z, 0-9 and -, not beginning with -", c.Prefix)
	case c.Slots < 1 || c.Slots > wire.WindowMax:
		return fmt.Errorf("exec: %d slots cannot be used: give 1 to %d, or 0 for the default", c.Slots, wire.WindowMax)
	case min(c.Grace, c.FlushMax, c.AnnounceEvery, c.ReportEvery, c.HandBackAfter, c.OwnerSilence, c.CheckMax) < 0:
		return errors.New("exec: no duration may be negative: give a positive one, or 0 for the default")
	}
	return nil
}

func validName(s string) bool {
	if len(s) == 0 || len(s) > 32 || s[0] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
