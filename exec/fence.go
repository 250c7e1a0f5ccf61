package exec

import "github.com/belfryhq/belfry/exec/wire"

// reason says why a message was refused. Refusals are silent on the wire: who
// sent it has been replaced, or has sent it twice.
type reason int

const (
	accepted reason = iota
	refusedMalformed
	refusedStream
	refusedIncarnation
	refusedEpoch
	refusedMark
	refusedHeld
	refusedRecent
	refusedFull
	refusedLeaving
	reasons
)

func (r reason) String() string {
	return [reasons]string{"accepted", "malformed", "another stream", "another incarnation", "a past epoch",
		"below the oldest open claim", "already held", "already stored", "too much is held", "leaving"}[r]
}

// fence remembers what separates messages of now from echoes of the past, for
// one stream.
type fence struct {
	stream     string
	partitions map[int]*partition
	// recent are attempts that were stored, the last recentMax; order is a
	// ring of them.
	recent map[wire.Attempt]struct{}
	order  []wire.Attempt
	next   int
}

// partition is what is known of one partition. Invariant: no field goes back.
type partition struct {
	epoch uint64
	mark  uint64 // the highest OldestOpen that came
	owner string // who named the epoch in an Ask; "" is unknown
}

func newFence(stream string) *fence {
	return &fence{stream: stream, partitions: map[int]*partition{}, recent: map[wire.Attempt]struct{}{}}
}

func (f *fence) partition(n int) *partition {
	p := f.partitions[n]
	if p == nil {
		p = &partition{}
		f.partitions[n] = p
	}
	return p
}

// raise takes the epoch of a message. False if it is past.
func (f *fence) raise(n int, epoch uint64) bool {
	p := f.partition(n)
	if epoch < p.epoch {
		return false
	}
	if epoch > p.epoch {
		p.epoch, p.owner = epoch, ""
	}
	return true
}

// own takes an owner's word that it decides for a partition. False if the
// epoch is past.
func (f *fence) own(n int, epoch uint64, owner string) bool {
	if !f.raise(n, epoch) {
		return false
	}
	f.partition(n).owner = owner
	return true
}

// lowest is the lowest epoch by which an owner decides for any partition.
func (f *fence) lowest(owner string) (epoch uint64, ok bool) {
	for _, p := range f.partitions {
		if p.owner == owner && (!ok || p.epoch < epoch) {
			epoch, ok = p.epoch, true
		}
	}
	return epoch, ok
}

// admit says whether a run may be held, whatever is held already.
func (f *fence) admit(r *wire.Run, incarnation string) reason {
	switch {
	case f.stream == "" || r.Stream != f.stream:
		return refusedStream
	case r.Incarnation != incarnation:
		return refusedIncarnation
	case !f.raise(r.Partition, r.Epoch):
		return refusedEpoch
	}
	p := f.partition(r.Partition)
	p.mark = max(p.mark, r.OldestOpen)
	if r.ClaimSeq < p.mark {
		return refusedMark
	}
	if _, ok := f.recent[wire.Attempt{Run: r.Run, Attempt: r.Attempt}]; ok {
		return refusedRecent
	}
	return accepted
}

// stored remembers an attempt whose report was stored.
func (f *fence) stored(a wire.Attempt) {
	if _, ok := f.recent[a]; ok {
		return
	}
	f.recent[a] = struct{}{}
	if len(f.order) < recentMax {
		f.order = append(f.order, a)
		return
	}
	delete(f.recent, f.order[f.next])
	f.order[f.next] = a
	f.next = (f.next + 1) % recentMax
}
