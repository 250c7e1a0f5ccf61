package broker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

// serverLog is the server's logger: it passes its lines on to slog, and keeps
// the first fatal one, which the server says instead of returning an error.
type serverLog struct {
	logger *slog.Logger
	debug  bool // whether Debug lines are wanted at all

	mu    sync.Mutex
	fatal error
}

func newServerLog(ctx context.Context, logger *slog.Logger) *serverLog {
	return &serverLog{logger: logger, debug: logger.Enabled(ctx, slog.LevelDebug)}
}

func (l *serverLog) line(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if l.logger.Enabled(ctx, level) {
		l.logger.Log(ctx, level, "nats server", "text", fmt.Sprintf(format, args...))
	}
}

func (l *serverLog) Tracef(format string, args ...any)  { l.line(slog.LevelDebug, format, args) }
func (l *serverLog) Debugf(format string, args ...any)  { l.line(slog.LevelDebug, format, args) }
func (l *serverLog) Noticef(format string, args ...any) { l.line(slog.LevelDebug, format, args) }
func (l *serverLog) Warnf(format string, args ...any)   { l.line(slog.LevelWarn, format, args) }
func (l *serverLog) Errorf(format string, args ...any)  { l.line(slog.LevelError, format, args) }

// Fatalf keeps the cause for who started the server. It does not log: the
// cause is returned.
func (l *serverLog) Fatalf(format string, args ...any) {
	fatal := fatalError{text: fmt.Sprintf(format, args...)}
	for _, arg := range args {
		if cause, ok := arg.(error); ok {
			fatal.cause = cause
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal == nil {
		l.fatal = fatal
	}
}

// Fatal is the first fatal line, or nil.
func (l *serverLog) Fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

// fatalError is the server's sentence, with the error that it was made of.
type fatalError struct {
	text  string
	cause error
}

func (e fatalError) Error() string { return e.text }
func (e fatalError) Unwrap() error { return e.cause }
