package check

import (
	"encoding/json"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/testing/check/crontab"
)

// Verdict is what was found. Feed it a log with Commit, in order; call Finish
// at its end; then hand in what else is known.
type Verdict struct {
	Commits, Events int
	Items           map[string]*Item
	Triggers        map[string]*Trigger
	Runs            map[string]*Run // of triggers and calls
	Openings        int
	Markers         int
	// Last is the time of the last event.
	Last time.Time
	// Violations are in the order in which they were found; Unsaid are those
	// beyond violationsMax.
	Violations []Violation
	Unsaid     int
	// Reproduce is the line that lets this happen again, for reports.
	Reproduce string
	// Lateness is how late a run may start, beside jitter and faults. 0: Lines
	// does not judge windows.
	Lateness time.Duration
	// Skew is how far the clocks of nodes may be apart. 0: they are one, but for
	// those that a fault put wrong, whose times are then not compared at all.
	Skew time.Duration
	// StaleFor is for how long after a split of the network a read that is not
	// strong may be of the past. 0: never.
	StaleFor time.Duration

	chains    map[key]*chain
	sums      []uint64 // of the commits, by sequence - 1
	seed      maphash.Seed
	ids       map[uint64]struct{} // hashes of the events' ids
	causes    map[cause]*caused
	requests  map[string]uint64 // cause → the first commit that holds it
	functions map[string]*function
	cluster   cluster
	decided   [partitions]time.Time // the last event of each partition
	touched   []*Trigger            // in this commit
	days      map[string][]time.Time
	evaluate  func(expression string, anchor, after, until time.Time) ([]time.Time, error)
	events    []Event // room for those of a commit

	recent ring
	first  *Report

	faults []Fault
	backup *restored // nil: none
	ops    int
	lacks  []string // what Enough misses
}

// New is a verdict on a log of which nothing was read yet.
func New() *Verdict {
	return &Verdict{
		Items: map[string]*Item{}, Triggers: map[string]*Trigger{}, Runs: map[string]*Run{},
		chains: map[key]*chain{}, seed: maphash.MakeSeed(), ids: map[uint64]struct{}{},
		causes: map[cause]*caused{}, requests: map[string]uint64{}, functions: map[string]*function{},
		cluster: cluster{lanes: map[string]*lane{}, over: map[string]bool{}},
		days:    map[string][]time.Time{}, evaluate: crontab.Occurrences,
	}
}

// Log judges a whole stream, given in order: New, Commit for each, Finish.
func Log(commits []Commit) *Verdict {
	v := New()
	for n := range commits {
		v.Commit(commits[n])
	}
	v.Finish()
	return v
}

// Finish settles what the end of the log settles: occurrences up to the last
// one decided (C2, C4, C8). More of it is judged by AllDecided, AllEnded,
// Owned, since a log may be read while it grows.
func (v *Verdict) Finish() {
	for _, id := range slices.Sorted(maps.Keys(v.Triggers)) {
		t := v.Triggers[id]
		v.settle(t, t.decided, v.end()) // later ones may be decided in a commit to come
	}
}

// end is the last sequence.
func (v *Verdict) end() uint64 { return uint64(len(v.sums)) }

// Commit judges the next message of the stream. It keeps nothing of c.
func (v *Verdict) Commit(c Commit) {
	if want := v.end() + 1; c.Seq != want {
		v.object("L3", place{seq: c.Seq, partition: -1}, "sequence %d follows %d", c.Seq, want-1)
		if c.Seq < want {
			return
		}
	}
	for v.end() < c.Seq {
		v.sums = append(v.sums, 0) // of a hole
	}
	v.sums[c.Seq-1] = v.sum(c)
	v.Commits++
	clear(v.events)
	v.events = v.events[:0]
	if err := json.Unmarshal(c.Body, &v.events); err != nil {
		v.object("L3", place{seq: c.Seq, partition: -1}, "commit %d is not a JSON array of events: %v", c.Seq, err)
		return
	}
	if len(v.events) == 0 {
		v.object("L3", place{seq: c.Seq, partition: -1}, "commit %d is empty", c.Seq)
	}
	lane := c.lane()
	for n := range v.events {
		e := &v.events[n]
		e.Seq, e.lane = c.Seq, lane
		_, e.verb, _ = strings.Cut(strings.TrimPrefix(e.Type, "belfry."), ".")
		v.event(e)
	}
	for _, t := range v.touched {
		v.committed(t, c.Seq)
	}
	v.touched = v.touched[:0]
	if c.Seq == 1 {
		v.genesis()
	}
}

func (v *Verdict) event(e *Event) {
	v.Events++
	v.remember(e)
	v.stands(e)
	v.caused(e)
	v.chain(e)
	switch e.Entity {
	case "item":
		v.item(e)
	case "trigger":
		v.trigger(e)
	case "run":
		v.run(e)
	case "function":
		v.function(e)
	}
	v.step(e)
	if e.Time.After(v.Last) {
		v.Last = e.Time
	}
	if e.Partition >= 0 && e.Partition < partitions && e.Time.After(v.decided[e.Partition]) {
		v.decided[e.Partition] = e.Time
	}
}

// sum is a commit's hash: its subject and its bytes.
func (v *Verdict) sum(c Commit) uint64 {
	var h maphash.Hash
	h.SetSeed(v.seed)
	_, _ = h.WriteString(c.Subject) // a hash never refuses
	_ = h.WriteByte(0)
	_, _ = h.Write(c.Body)
	return h.Sum64() | 1 // 0 is a hole
}
