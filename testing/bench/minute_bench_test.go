package bench

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/testing/cluster"
)

// BenchmarkTriggersAtOneMinute: 10,000 triggers whose next occurrence is the
// same moment, and a function that does nothing: from that moment to the starts
// of their runs, by the executor's clock. None may be early, each runs once.
func BenchmarkTriggersAtOneMinute(b *testing.B) {
	const triggers = 10_000
	for b.Loop() {
		p := cluster.New(b)
		p.Start()
		v, moment := cluster.AtOneMoment(b, p, triggers)
		after := cluster.Starts(v, moment)
		if len(after) != triggers || after[0] < 0 {
			b.Fatalf("%d of %d runs, the first %v after the moment", len(after), triggers, after[0])
		}
		for name, at := range map[string]time.Duration{
			"first-start-ms": after[0], "median-start-ms": percentile(after, 0.5), "last-start-ms": after[triggers-1],
		} {
			b.ReportMetric(float64(at.Microseconds())/1000, name)
		}
		report(b, "floor", floor(b, 2000))
	}
	b.ReportMetric(0, "ns/op")
}
