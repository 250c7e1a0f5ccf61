package check

import (
	"fmt"
	"testing"
)

// busy is the sound log and then many items of it: about so many events.
func busy(events int) *good {
	g := newGood()
	for n := 0; len(g.entries) < events; n++ {
		at := 10 + float64(n)/100
		id := fmt.Sprintf("sci_01JXS7E8000000000000%06d", n)
		run := "run_" + id[4:]
		lane := "A"
		if Partition(id) == Partition("sts_1") {
			lane = "B"
		}
		e := g.add(lane, "item.created", id, at, fields{"name": "send the invoice", "run_date_time": iso(at + 1), "function": fun, "data": fields{"invoice": n}})
		e.over["actor"], e.over["cause"] = "admin", fmt.Sprint("many-", n)
		g.add(lane, "item.claimed", id, at+1, claimOf(run, at+1, 1))
		g.add(lane, "item.completed", id, at+1.1, attemptOf(run, at+1, 1).and(fields{
			"function_version": 1, "started_date": iso(at + 1), "finished_date": iso(at + 1), "lateness_ms": 2.4,
			"result": fields{"status": "success", "n": n}, "logs": []fields{{"time": iso(at), "stream": "stdout", "text": "done"}},
		}))
	}
	return g
}

// BenchmarkLog is the judgement of a log of 10,000 events, each in a commit of
// its own. It reports the time for each event; the aim is below 15 µs.
func BenchmarkLog(b *testing.B) {
	log := busy(10_000).render()
	events := 0
	for b.Loop() {
		v := Log(log)
		if events = v.Events; len(v.Violations) > 0 {
			b.Fatal(v.First(3))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
}
