package bench

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
)

// BenchmarkAuditor: what the auditor adds to folding a log of lives of items,
// 64 events in a commit, as a ratio to folding without it.
func BenchmarkAuditor(b *testing.B) {
	log := lives(b, 50_000)
	var with, without time.Duration
	for b.Loop() {
		begun := processorTime(b)
		s := projection.NewState()
		for _, m := range log {
			if _, objection, err := s.Fold(m); err != nil || objection != nil {
				b.Fatal(err, objection)
			}
		}
		with += processorTime(b) - begun
		begun = processorTime(b)
		s = projection.NewState()
		for _, m := range log {
			events, err := eventlog.Decode(m.Body)
			if err != nil {
				b.Fatal(err)
			}
			for n := range events {
				s.Evolve(&events[n], projection.At{Seq: m.Seq, Lane: m.Lane})
			}
			s.Advance(m.Seq, m.Lane)
		}
		without += processorTime(b) - begun
	}
	events := float64(b.N) * 3 * 50_000
	b.ReportMetric(float64(with)/float64(without), "folding-ratio")
	b.ReportMetric(float64(with-without)/events, "ns/event")
	b.ReportMetric(0, "ns/op")
}

// processorTime is what this process has used, after a collection, so that none
// pays for the other's garbage.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	runtime.GC()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// lives is a log of so many items that were created, claimed and completed.
func lives(b *testing.B, items int) (log []eventlog.Message) {
	b.Helper()
	all := make([]int, eventlog.Partitions)
	for n := range all {
		all[n] = n
	}
	var encoded []eventlog.Encoded
	var prev []uint64
	put := func(e eventlog.Event, before uint64, last bool) uint64 {
		e.Entity, e.Source = e.Type().Entity(), "/belfry/local"
		one, err := eventlog.Encode(&e)
		if err != nil {
			b.Fatal(err)
		}
		encoded, prev = append(encoded, one), append(prev, before)
		seq := uint64(len(log) + 1)
		if len(encoded) == 64 || last {
			log = append(log, eventlog.Message{Seq: seq, Lane: "local", Body: eventlog.AppendCommit(nil, encoded, prev)})
			encoded, prev = nil, nil
		}
		return seq
	}
	put(eventlog.Event{Subject: "cluster", Revision: 1, Partition: -1, Data: &eventlog.PartitionsMoved{To: "local", Partitions: all, Stream: "s"}}, 0, true)
	at := make([]uint64, items)
	for revision := uint64(1); revision <= 3; revision++ {
		for n := range items {
			id := fmt.Sprintf("sci_%016d", n)
			head := eventlog.RunHead{Run: "run_" + eventlog.Suffix(id), Attempt: 1, ScheduledFor: 10, Executor: "e"}
			e := eventlog.Event{Subject: id, Revision: revision, Time: 20, Partition: eventlog.PartitionOf(eventlog.EntityItem, id), Data: &eventlog.ItemCompleted{RunHead: head}}
			switch revision {
			case 1:
				e.Data = &eventlog.ItemCreated{Name: "item", RunDateTime: 10, Function: eventlog.Ref{ID: "fun_1"}}
			case 2:
				e.Data = &eventlog.ItemClaimed{RunHead: head, Incarnation: "i"}
			}
			at[n] = put(e, at[n], n == items-1)
		}
	}
	return log
}
