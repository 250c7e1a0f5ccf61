package check

import (
	"hash/fnv"
	"time"
)

func sum(body []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(body) // a hash never refuses
	return h.Sum64()
}

// Replica judges L3 and L4: another view of the stream, from its first message
// on, is dense and holds the same, as far as it goes.
func (v *Verdict) Replica(node string, commits []Commit) {
	next := uint64(1)
	for _, c := range commits {
		if c.Seq != next {
			v.violation("L3: on %s sequence %d follows %d", node, c.Seq, next-1)
			next = c.Seq
		}
		next++
		if c.Seq > uint64(len(v.sums)) {
			v.violation("L4: %s holds sequence %d, the log ends at %d", node, c.Seq, len(v.sums))
			return
		}
		if c.Seq > 0 && sum(c.Body) != v.sums[c.Seq-1] {
			v.violation("L4: sequence %d differs on %s", c.Seq, node)
		}
	}
}

// Hash is what a node made of a partition up to a sequence.
type Hash struct {
	Node      string
	Partition int
	Seq       uint64
	Sum       [32]byte
}

// Hashes judges P1, projections are folds of the log, and P2, a snapshot and
// the tail are the full fold: at one sequence all have the same of a partition.
func (v *Verdict) Hashes(hashes []Hash) {
	type place struct {
		partition int
		seq       uint64
	}
	first := map[place]Hash{}
	for _, h := range hashes {
		at := place{h.Partition, h.Seq}
		if one, known := first[at]; !known {
			first[at] = h
		} else if one.Sum != h.Sum {
			v.violation("P1: %s and %s differ in partition %d at sequence %d", one.Node, h.Node, h.Partition, h.Seq)
		}
	}
}

// Readiness is what a node said of itself, and whether it then did what it was
// asked.
type Readiness struct {
	Node          string
	At            time.Time
	Ready, Served bool
}

// Readiness judges N4: who says that it is ready serves, but for the time of a
// fault.
func (v *Verdict) Readiness(all []Readiness) {
	for _, r := range all {
		if r.Ready && !r.Served && v.excuse(r.At, r.At.Add(time.Second)) == 0 {
			v.violation("N4: %s said at %s that it is ready, and did not serve", r.Node, stamp(r.At))
		}
	}
}

// Restored judges B1: of what had ended by the last sequence of a backup,
// nothing runs after the backup was restored.
func (v *Verdict) Restored(seq uint64, at time.Time, lines []Line) {
	for id, l := range v.lives {
		if l.EndSeq == 0 || l.EndSeq > seq {
			continue
		}
		for _, line := range lines {
			if line.ID == id && line.Start.After(at) {
				v.violation("B1: %s had ended at %d, and ran at %s, after a backup up to %d was restored", id, l.EndSeq, stamp(line.Start), seq)
			}
		}
	}
}
