package node

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/belfryhq/belfry/node/scheduler"
)

// newMetrics shows a scheduler's counters, and the process's own.
func newMetrics(s *scheduler.Scheduler) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	t := s.Stats()
	counter := func(name, help string, value func() uint64, labels prometheus.Labels) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "belfry_" + name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value()) }))
	}
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "belfry_" + name, Help: help}, value))
	}
	counter("events_total", "Events decided since the start.", t.Events.Load, nil)
	counter("commits_total", "Commits stored since the start.", t.Commits.Load, nil)
	counter("commit_bytes_total", "Bytes of commits stored since the start.", t.CommitBytes.Load, nil)
	counter("refusals_total", "Commands refused since the start.", t.Refusals.Load, nil)
	counter("claims_total", "Attempts claimed since the start.", t.Claims.Load, nil)
	counter("void_reports_total", "Reports of executors that changed nothing.", t.VoidReports.Load, nil)
	const ended = "Attempts ended since the start, by how."
	counter("attempts_ended_total", ended, t.Completed.Load, prometheus.Labels{"how": "completed"})
	counter("attempts_ended_total", ended, t.Failed.Load, prometheus.Labels{"how": "failed"})
	counter("attempts_ended_total", ended, t.Canceled.Load, prometheus.Labels{"how": "canceled"})
	counter("attempts_ended_total", ended, t.HandedBack.Load, prometheus.Labels{"how": "handed_back"})
	counter("attempts_ended_total", ended, t.Lost.Load, prometheus.Labels{"how": "lost"})
	gauge("stream_last_seq", "The last sequence of the event stream that this node stored.", func() float64 { return float64(t.LastSeq.Load()) })
	gauge("stream_messages", "Messages in the event stream.", func() float64 { return float64(t.Messages.Load()) })
	gauge("stream_bytes", "Bytes in the event stream.", func() float64 { return float64(t.Bytes.Load()) })
	gauge("append_seconds_sum", "Time spent waiting for acknowledgements of commits.", func() float64 {
		return time.Duration(t.AppendNanos.Load()).Seconds()
	})
	gauge("snapshot_stall_seconds_max", "The longest time for which a snapshot kept the decider from deciding.", func() float64 {
		return time.Duration(t.StallMaxNanos.Load()).Seconds()
	})
	gauge("snapshot_stalls", "How often a snapshot kept the decider from deciding.", func() float64 { return float64(t.Stalls.Load()) })
	status := func() scheduler.Status {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return s.Status(ctx)
	}
	gauge("ready_items", "Items that are due and wait for a slot.", func() float64 { return float64(status().Ready) })
	gauge("oldest_ready_seconds", "How long the oldest of them has waited.", func() float64 {
		oldest := status().OldestDue
		if oldest == 0 {
			return 0
		}
		return time.Since(oldest.Std()).Seconds()
	})
	return r
}
