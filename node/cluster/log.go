package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/hashicorp/go-hclog"
)

// chatter is what Raft says twice a second of a member that is away, for as long as
// it is. Whoever acts on that says it once.
func chatter() []string { return []string{"failed to heartbeat to", "failed to contact"} }

// raftLogger is a logger for Raft whose lines go to slog: warnings and errors
// as such, the rest, and chatter, at Debug.
func raftLogger(to *slog.Logger) hclog.Logger {
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard, Level: hclog.Off})
	logger.RegisterSink(logSink{to})
	return logger
}

type logSink struct{ to *slog.Logger }

// Accept takes one line from any of Raft's goroutines.
func (s logSink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	as := slog.LevelDebug
	switch level {
	case hclog.Warn:
		as = slog.LevelWarn
	case hclog.Error:
		as = slog.LevelError
	case hclog.NoLevel, hclog.Trace, hclog.Debug, hclog.Info, hclog.Off:
	}
	if slices.Contains(chatter(), msg) {
		as = slog.LevelDebug
	}
	ctx := context.Background()
	if !s.to.Enabled(ctx, as) {
		return
	}
	for i, arg := range args {
		if f, ok := arg.(hclog.Format); ok && len(f) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	s.to.With(args...).Log(ctx, as, "raft", "text", msg)
}
