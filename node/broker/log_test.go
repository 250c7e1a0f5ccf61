package broker

import (
	"context"
	"log/slog"
	"sync"
	"testing"
)

func TestServerLogGoesToSlogAndANormalLifeIsQuiet(t *testing.T) {
	record := new(recorder)
	b := start(t, func(c *Config) { c.Logger = slog.New(record) })
	events(t, must(b.NodeConn("test"))(t))
	b.Stop()
	if loud := record.from(slog.LevelInfo); len(loud) > 0 {
		t.Fatalf("a normal life says: %q", loud)
	}
	if len(record.from(slog.LevelDebug)) == 0 {
		t.Fatal("the server's notices did not reach the log")
	}
}

func TestRefusedPublishIsLogged(t *testing.T) {
	record := new(recorder)
	b := start(t, func(c *Config) { c.Logger = slog.New(record) })
	executor := must(b.ExecutorConn("e1"))(t)
	refusedPublish(t, executor, "belfry.events.x")
	b.Stop()
	if len(record.from(slog.LevelError)) == 0 {
		t.Fatal("the violation was not logged as an error of the server")
	}
}

// recorder is a slog.Handler that keeps what it is given.
type recorder struct {
	mu    sync.Mutex
	lines []slog.Record
}

func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *recorder) WithGroup(string) slog.Handler            { return r }
func (r *recorder) Handle(_ context.Context, line slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	return nil
}

func (r *recorder) from(level slog.Level) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var texts []string
	for _, line := range r.lines {
		if line.Level >= level {
			text := line.Message
			line.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
			texts = append(texts, text)
		}
	}
	return texts
}
