package client

import (
	"context"

	"github.com/nats-io/nuid"
)

type requestIDKey struct{}

// WithRequestID gives the next write its request id. The same id within ten
// minutes answers with what the first request did, and does nothing again: use
// a context made with it for one write and its repetitions only.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// requestID is the caller's, or a new one.
func requestID(ctx context.Context) string {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok && id != "" {
		return id
	}
	return nuid.Next()
}

// reads says that a verb changes nothing. One that is not listed is taken for
// a write: a request id does no harm.
func reads(verb string) bool {
	switch verb {
	case "get", "list", "versions", "logs", "status", "events", "at", "verify", "preview":
		return true
	}
	return false
}
