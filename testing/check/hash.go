package check

// Names under which Hashes takes what no node holds: a state that is folded
// from a snapshot on, and one that is folded from the first message on.
const (
	SnapshotAndTail = "snapshot+tail"
	FullFold        = "full fold"
)

// Hash is what a node makes of a partition at a sequence.
type Hash struct {
	Node      string
	Partition int
	Seq       uint64
	Sum       [32]byte
}

// Hashes judges that states of the same partition at the same sequence are the
// same: those of nodes (P1), and of SnapshotAndTail with FullFold (P2).
func (v *Verdict) Hashes(hashes []Hash) {
	type of struct {
		partition int
		seq       uint64
	}
	first := map[of]Hash{}
	for _, h := range hashes { // what all are compared with
		if k := (of{h.Partition, h.Seq}); h.Node == FullFold {
			first[k] = h
		}
	}
	for _, h := range hashes {
		k := of{h.Partition, h.Seq}
		with, known := first[k]
		switch {
		case !known:
			first[k] = h
		case with.Sum != h.Sum:
			property := "P1"
			if h.Node == SnapshotAndTail || with.Node == SnapshotAndTail {
				property = "P2"
			}
			v.object(property, place{seq: h.Seq, partition: h.Partition}, "partition %d at %d is %x on %s and %x on %s",
				h.Partition, h.Seq, h.Sum[:6], h.Node, with.Sum[:6], with.Node)
		}
	}
}
