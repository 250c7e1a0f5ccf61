package python

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

// Limits and times of the runtime, each with its reason.
const (
	// checkMax is how long the parser may look at code.
	checkMax = 5 * time.Second
	// askedMax is how long code may take to end that was told to; then it is killed.
	askedMax = time.Second
	// processesStandard and filesStandard bound a run whose function does not say.
	processesStandard = 64
	filesStandard     = 256
	// grownEvery is after how many runs a worker's memory is looked at, and
	// grownBytes how much it may have then: no run has it, so it is a leak.
	grownEvery = 64
	grownBytes = 256 << 20
	// exitMax is how long a process that broke off may take to be gone, so
	// that its exit status can be told.
	exitMax = time.Second
	// reapMax is how long a killed process may take to be gone before a run
	// ends without waiting for it.
	reapMax = 2 * time.Second
	// frameBytesMax bounds a frame of a worker: a result of 256 KiB, or 32 Ki
	// characters of output in their longest JSON form.
	frameBytesMax = 1 << 20
	// lineBytesMax bounds a line of output; a longer one is cut into several.
	lineBytesMax = 16 << 10
	// rawBytesMax bounds what is kept of what one run writes past Python, to
	// the file descriptors 1 and 2.
	rawBytesMax = 1 << 20
)

// Config of a Runtime.
type Config struct {
	// Python is the interpreter: a path, or a name to look up in PATH.
	// Defaults to "python3".
	Python string
	// Dir holds the shim and the workers' directories. It belongs to this
	// runtime alone. Defaults to a new temporary directory, removed by Close.
	Dir string
	// Idle bounds the warm workers that wait for their next run; the one
	// unused for longest goes first. Defaults to four times the processors, at
	// least 16: each has about 3 MB of its own.
	Idle int
	// IdleFor is how long a worker is kept without a run. Defaults to 5m.
	IdleFor time.Duration
	// RunsMax is how many runs a worker serves. Defaults to 10,000.
	RunsMax int
	// Sandbox is the level in which functions run that want no higher one.
	// Defaults to restricted, or what comes next to it where that cannot be had.
	Sandbox Level
	// StartMax is how long a worker may take to say hello: on a loaded machine
	// with a large site-packages that is seconds. Defaults to 10s.
	StartMax time.Duration
	// Env is what functions may be given of: each gets the variables that its
	// Job names. Their values are masked in all that a function says.
	Env map[string]string
	// Logger is told of workers that ended on their own. Defaults to
	// slog.Default().
	Logger *slog.Logger
}

// WithDefaults returns the Config with what was left out filled in.
func (c Config) WithDefaults() Config {
	if c.Python == "" {
		c.Python = "python3"
	}
	if c.Idle == 0 {
		c.Idle = max(16, 4*runtime.NumCPU())
	}
	if c.IdleFor == 0 {
		c.IdleFor = 5 * time.Minute
	}
	if c.RunsMax == 0 {
		c.RunsMax = 10_000
	}
	if c.StartMax == 0 {
		c.StartMax = 10 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Validate says what is wrong with a Config, after WithDefaults.
func (c Config) Validate() error {
	switch {
	case c.Idle < 0:
		return errors.New("python: idle must not be negative: give 1 or more, or 0 for the default")
	case c.IdleFor < 0:
		return errors.New("python: idle time must not be negative: give a duration, or 0 for the default")
	case c.StartMax < 0:
		return errors.New("python: start time must not be negative: give a duration, or 0 for the default")
	case c.RunsMax < 0:
		return errors.New("python: runs of a worker must not be negative: give 1 or more, or 0 for the default")
	case c.Sandbox != "" && c.Sandbox.rank() < 0:
		return fmt.Errorf("python: there is no sandbox %q: use none, process, restricted or isolated", c.Sandbox)
	}
	return nil
}
