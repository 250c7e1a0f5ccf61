package check

import (
	"iter"
	"slices"
)

// Replica judges the log as one node holds it: the same bytes at the same
// sequence as in the log that was judged (L4), without a gap (L3). It may end
// earlier, since a replica may lag; not later: read the log to be judged last.
func (v *Verdict) Replica(node string, commits []Commit) { v.ReplicaOf(node, slices.Values(commits)) }

// ReplicaOf is Replica of a log that is read as it is judged.
func (v *Verdict) ReplicaOf(node string, commits iter.Seq[Commit]) {
	next := uint64(1)
	for c := range commits {
		at := place{seq: c.Seq, partition: -1}
		if c.Seq != next {
			v.object("L3", at, "on %s sequence %d follows %d", node, c.Seq, next-1)
		}
		next = c.Seq + 1
		switch {
		case c.Seq == 0 || c.Seq > v.end():
			v.object("L4", at, "%s holds a message at %d, the log ends at %d", node, c.Seq, v.end())
			return
		case v.sums[c.Seq-1] == 0: // a hole there was objected to
		case v.sum(c) != v.sums[c.Seq-1]:
			v.object("L4", at, "%s holds another message at %d than the log, in lane %s", node, c.Seq, c.lane())
		}
	}
}
