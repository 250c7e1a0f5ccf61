package memlog_test

import (
	"testing"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/testing/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Log(t, func(*testing.T) eventlog.Log { return memlog.New(memlog.Faults{}) })
}
