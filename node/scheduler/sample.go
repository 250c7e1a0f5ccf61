package scheduler

import (
	"crypto/sha256"
	"slices"
)

// Sample is what this node made of a partition, -1 being what is known of nodes:
// the hash of its encoding when every commit up to Seq was folded and no other.
type Sample struct {
	Partition int
	Seq       uint64
	Hash      [32]byte
}

// Sections lists what Sample is asked of: all partitions, and -1.
func Sections() []int { return everySection() }

// Sample takes one of these partitions that holds nothing pending, and takes it
// off the list; found is false if all do just now. The loop stands still while
// it is encoded, as for a snapshot.
func (s *Scheduler) Sample(left *[]int) (sample Sample, found bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := s.settled(*left)
	if n < 0 {
		return sample, false, nil
	}
	taken, err := s.section((*left)[n])
	*left = slices.Delete(*left, n, n+1)
	return Sample{taken.Partition, taken.Seq, sha256.Sum256(taken.Body)}, err == nil, err
}
