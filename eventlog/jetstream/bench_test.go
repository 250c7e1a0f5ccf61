package jetstream

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/belfryhq/belfry/eventlog"
)

// commit is one of n events of the usual size.
func commit(b *testing.B, n int) []byte {
	b.Helper()
	e := eventlog.Event{
		ID: "01J9ZQ6T3S8F5V2K7W4X1Y0ABC-1", Source: "/belfry/n1", Subject: "sci_01j9zq6t3s8f5v2k7w4x1y0abc", Time: 1_750_000_000_000,
		Entity: eventlog.EntityItem, Revision: 1, Partition: 17, Actor: "admin", Cause: "01J9ZQ6T3S8F5V2K7W4X1Y0ABD", CauseIndex: -1,
		Data: &eventlog.ItemCreated{
			Name: "send the invoice", RunDateTime: 1_750_000_360_000, Data: []byte(`{"invoice":4711,"to":"someone@example.org"}`),
			Function: eventlog.Ref{ID: "fun_01j9zq6t3s8f5v2k7w4x1y0abd", Name: "send_invoice"},
		},
	}
	encoded, err := eventlog.Encode(&e)
	if err != nil {
		b.Fatal(err)
	}
	return eventlog.AppendCommit(nil, slices.Repeat([]eventlog.Encoded{encoded}, n), make([]uint64, n))
}

// fillLane appends commits one after the other, without fsync if the server
// does none.
func fillLane(b *testing.B, l *Log, body []byte, n int) {
	b.Helper()
	last, err := l.Info(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	seq := last.LastSeq
	for i := range n {
		if seq, err = l.Append(b.Context(), "n1", eventlog.Expect{LaneSeq: seq}, fmt.Sprint("c", seq, "-", i), body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppend is one lane, one commit at a time, fsync before each
// acknowledgement: the latency that a caller alone sees.
func BenchmarkAppend(b *testing.B) {
	for _, events := range []int{1, 20, 200} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			l := create(b, startServer(b, b.TempDir()), Config{})
			body := commit(b, events)
			took := make([]time.Duration, 0, b.N)
			var last uint64
			for b.Loop() {
				start := time.Now()
				seq, err := l.Append(b.Context(), "n1", eventlog.Expect{LaneSeq: last}, fmt.Sprint(last), body)
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
				last = seq
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(events)*float64(len(took))/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkFollow replays a stored stream, without and with decoding.
func BenchmarkFollow(b *testing.B) {
	for _, c := range []struct {
		events, commits int
		decode          bool
	}{{1, 50_000, false}, {1, 50_000, true}, {200, 2_000, false}, {200, 2_000, true}} {
		b.Run(fmt.Sprintf("events=%d/decode=%t", c.events, c.decode), func(b *testing.B) {
			l := create(b, startFast(b, b.TempDir()), Config{})
			body := commit(b, c.events)
			fillLane(b, l, body, c.commits)
			end := errors.New("the end")
			messages := 0
			b.SetBytes(int64(len(body) * c.commits))
			for b.Loop() {
				err := l.Follow(b.Context(), 1, func(m eventlog.Message) error {
					if c.decode {
						if _, err := eventlog.Decode(m.Body); err != nil {
							return err
						}
					}
					messages++
					if m.Seq == uint64(c.commits) {
						return end
					}
					return nil
				})
				if !errors.Is(err, end) {
					b.Fatal(err)
				}
			}
			rate := float64(messages) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "msgs/s")
			b.ReportMetric(rate*float64(c.events), "events/s")
		})
	}
}

// BenchmarkInfo and BenchmarkGet are the costs of a barrier and of a look-up.
func BenchmarkInfo(b *testing.B) {
	l := create(b, startFast(b, b.TempDir()), Config{})
	for b.Loop() {
		if _, err := l.Info(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	l := create(b, startFast(b, b.TempDir()), Config{})
	fillLane(b, l, commit(b, 1), 1000)
	for i := uint64(0); b.Loop(); i++ {
		if _, err := l.Get(b.Context(), i%1000+1); err != nil {
			b.Fatal(err)
		}
	}
}
