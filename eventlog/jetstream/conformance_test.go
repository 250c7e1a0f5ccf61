package jetstream

import (
	"testing"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/testing/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Log(t, func(t *testing.T) eventlog.Log {
		return create(t, startServer(t, t.TempDir()), Config{})
	})
}
