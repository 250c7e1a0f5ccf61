package eventlog_test

import (
	"slices"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
)

// created and completed are the two events that every item has, of usual size.
func created() *eventlog.Event {
	return &eventlog.Event{
		ID: "01J9ZQ6T3S8F5V2K7W4X1Y0ABC-1", Source: "/belfry/n1", Subject: "sci_01j9zq6t3s8f5v2k7w4x1y0abc", Time: 1_750_000_000_000,
		Entity: eventlog.EntityItem, Revision: 1, Partition: 17, Actor: "admin", Cause: "01J9ZQ6T3S8F5V2K7W4X1Y0ABD", CauseIndex: -1,
		Data: &eventlog.ItemCreated{
			Name: "send the invoice", RunDateTime: 1_750_000_360_000, Data: []byte(`{"invoice":4711,"to":"someone@example.org"}`),
			Function: eventlog.Ref{ID: "fun_01j9zq6t3s8f5v2k7w4x1y0abd", Name: "send_invoice"},
		},
	}
}

func completed() *eventlog.Event {
	return &eventlog.Event{
		ID: "01J9ZQ6T3S8F5V2K7W4X1Y0ABC-2", Source: "/belfry/n1", Subject: "sci_01j9zq6t3s8f5v2k7w4x1y0abc", Time: 1_750_000_360_100,
		Entity: eventlog.EntityItem, Revision: 3, Prev: 4711, Partition: 17, Actor: eventlog.System, Cause: "~01J9ZQ6T3S8F5V2K7W4X1Y0ABE", CauseIndex: -1,
		Data: &eventlog.ItemCompleted{
			RunHead: eventlog.RunHead{Run: "run_01j9zq6t3s8f5v2k7w4x1y0abc", Attempt: 1, ScheduledFor: 1_750_000_360_000, Executor: "n1"},
			Ended:   eventlog.Ended{FunctionVersion: 3, Started: 1_750_000_360_002, Finished: 1_750_000_360_099, LatenessMS: 2.417},
			Result:  []byte(`{"sent":true}`),
		},
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, e := range map[string]*eventlog.Event{"created": created(), "completed": completed()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				encoded, err := eventlog.Encode(e)
				if err != nil {
					b.Fatal(err)
				}
				size = encoded.Size()
			}
			b.ReportMetric(float64(size), "B/event")
		})
	}
}

// BenchmarkDecode reads commits of one event and of many, per event.
func BenchmarkDecode(b *testing.B) {
	for name, e := range map[string]*eventlog.Event{"created": created(), "completed": completed()} {
		for _, n := range []int{1, 200} {
			b.Run(name+map[int]string{1: "/alone", 200: "/of200"}[n], func(b *testing.B) {
				encoded, err := eventlog.Encode(e)
				if err != nil {
					b.Fatal(err)
				}
				commit := eventlog.AppendCommit(nil, slices.Repeat([]eventlog.Encoded{encoded}, n), make([]uint64, n))
				b.ReportAllocs()
				events := 0
				for b.Loop() {
					decoded, err := eventlog.Decode(commit)
					if err != nil {
						b.Fatal(err)
					}
					events += len(decoded)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
				b.ReportMetric(float64(len(commit))/float64(n), "B/event")
			})
		}
	}
}
