package scheduler

import (
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/node/command"
)

// Stats counts what a scheduler did since its start. All fields are safe to
// read at any time.
type Stats struct {
	Events, Commits, CommitBytes                  atomic.Uint64
	Refusals, Claims, Sent, VoidReports           atomic.Uint64
	Completed, Failed, Canceled, HandedBack, Lost atomic.Uint64
	LastSeq, Messages, Bytes                      atomic.Uint64
	Replicas                                      atomic.Int64
	AppendNanos                                   atomic.Int64 // sum over Commits
	StallMaxNanos, Stalls                         atomic.Int64 // of the decider, by snapshots
	unknownSince                                  atomic.Int64 // Unix milliseconds; 0: nothing is unknown
	heard                                         atomic.Int64 // Unix milliseconds: when the stream was last asked and answered
}

// Stats are the live counters.
func (s *Scheduler) Stats() *Stats { return &s.stats }

func (t *Stats) appended(took time.Duration, bytes int) {
	t.Commits.Add(1)
	t.CommitBytes.Add(uint64(bytes))
	t.AppendNanos.Add(int64(took))
}

func (t *Stats) ended(how command.Ending) {
	switch how {
	case command.EndedCompleted:
		t.Completed.Add(1)
	case command.EndedFailed:
		t.Failed.Add(1)
	case command.EndedCanceled:
		t.Canceled.Add(1)
	case command.EndedHandedBack:
		t.HandedBack.Add(1)
	case command.EndedLost:
		t.Lost.Add(1)
	}
}

// stalled notes how long the loop decided nothing for a snapshot's sake.
func (t *Stats) stalled(d time.Duration) {
	t.Stalls.Add(1)
	for {
		longest := t.StallMaxNanos.Load()
		if int64(d) <= longest || t.StallMaxNanos.CompareAndSwap(longest, int64(d)) {
			return
		}
	}
}
