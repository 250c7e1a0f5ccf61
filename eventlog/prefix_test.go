package eventlog_test

import (
	"testing"

	"github.com/belfryhq/belfry/eventlog"
)

func TestAPrefixNamesStreamAndLanes(t *testing.T) {
	for p, want := range map[eventlog.Prefix][3]string{
		"":                     {"BELFRY_EVENTS", "belfry.events.", "belfry.events.n1"},
		eventlog.DefaultPrefix: {"BELFRY_EVENTS", "belfry.events.", "belfry.events.n1"},
		"night-2":              {"NIGHT-2_EVENTS", "night-2.events.", "night-2.events.n1"},
	} {
		if got := [3]string{p.Stream(), p.LanePrefix(), p.Subject("n1")}; got != want {
			t.Errorf("%q names %q, not %q", p, got, want)
		}
	}
}
