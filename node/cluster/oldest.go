package cluster

import (
	"sync"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// oldestKept is Raft's log with its first entry in memory: the leader asks for
// it every ten seconds, for a gauge, and an idle node should leave its disk alone.
type oldestKept struct {
	*raftboltdb.BoltStore

	mu sync.Mutex
	// oldest is the first entry; Index 0 is not known.
	oldest raft.Log
}

// FirstIndex implements raft.LogStore.
func (s *oldestKept) FirstIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.oldest.Index > 0 {
		return s.oldest.Index, nil
	}
	first, err := s.BoltStore.FirstIndex()
	if err != nil || first == 0 {
		return first, err
	}
	if err := s.BoltStore.GetLog(first, &s.oldest); err != nil {
		s.oldest = raft.Log{}
	}
	return first, nil
}

// GetLog implements raft.LogStore.
func (s *oldestKept) GetLog(index uint64, entry *raft.Log) error {
	s.mu.Lock()
	if index > 0 && index == s.oldest.Index {
		*entry = s.oldest
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	return s.BoltStore.GetLog(index, entry)
}

// DeleteRange implements raft.LogStore. It is the one way in which a first entry
// goes, or comes to be another one.
func (s *oldestKept) DeleteRange(first, last uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldest = raft.Log{}
	return s.BoltStore.DeleteRange(first, last)
}
