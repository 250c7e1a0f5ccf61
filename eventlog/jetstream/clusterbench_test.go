package jetstream

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/belfryhq/belfry/eventlog"
)

// BenchmarkAppendReplicated is one lane on three servers, one commit at a time,
// fsync on each before the acknowledgement: from the server that leads the
// stream and from one that does not.
func BenchmarkAppendReplicated(b *testing.B) {
	servers := startCluster(b)
	createReplicated(b, connect(b, servers[0]), Config{})
	for _, where := range []string{"leader", "follower"} {
		b.Run(where, func(b *testing.B) {
			from := leading(b, servers)
			if where == "follower" {
				from = others(servers, from)[0]
			}
			l := open(b, from, Config{Replicas: 3})
			info, err := l.Info(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			body := commit(b, 1)
			last, took := info.LastSeq, make([]time.Duration, 0, b.N)
			for b.Loop() {
				start := time.Now()
				seq, err := l.Append(b.Context(), "n1", eventlog.Expect{LaneSeq: last}, fmt.Sprint(where, last), body)
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
				last = seq
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkFailover is from the loss of the stream's leader to the next
// acknowledged append of another node: when it is cut off, as a killed one is,
// and when it steps down.
func BenchmarkFailover(b *testing.B) {
	for _, how := range []string{"kill", "stepdown"} {
		b.Run(how, func(b *testing.B) {
			took := make([]time.Duration, 0, b.N)
			for b.Loop() {
				b.StopTimer()
				c := startCuttable(b)
				createReplicated(b, connect(b, c.servers[0]), Config{})
				dead := leading(b, c.servers)
				l := open(b, others(c.servers, dead)[0], Config{AppendTimeout: 50 * time.Millisecond}) // a try whose leader goes is not answered
				last := settle(b, l, 0, "before")
				b.StartTimer()
				start := time.Now()
				if how == "kill" {
					c.kill(dead)
				} else if _, err := l.nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+eventlog.Stream, nil, patience); err != nil {
					b.Fatal(err)
				}
				settle(b, l, last, "after")
				took = append(took, time.Since(start))
				b.StopTimer()
				for _, s := range c.servers {
					stopServer(s)
				}
				b.StartTimer()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[0].Milliseconds()), "min-ms")
			b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "p50-ms")
			b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "max-ms")
		})
	}
}
