package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"
)

// snapshotVersion of the form in which a State is shipped and kept. Version 1
// had no cluster id, instances, removals and secrets; read, it has none.
const snapshotVersion = 2

// fsm is Raft's state machine. Apply is bookkeeping: no clock, no I/O.
type fsm struct {
	mu    sync.RWMutex
	state State
}

// Apply changes the state by one command of Raft's log and returns a result.
func (f *fsm) Apply(entry *raft.Log) any {
	c, err := decode(entry.Data)
	if err != nil {
		return result{err: err}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return c.apply(&f.state)
}

// State is a copy of the state.
func (f *fsm) State() State {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.state.clone()
}

// id of the cluster.
func (f *fsm) id() string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.state.ID
}

// Snapshot is called by Raft between two calls of Apply.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	return snapshot{Version: snapshotVersion, State: f.State()}, nil
}

// Restore replaces the state by a snapshot.
func (f *fsm) Restore(from io.ReadCloser) error {
	var s snapshot
	if err := errors.Join(json.NewDecoder(from).Decode(&s), from.Close()); err != nil {
		return fmt.Errorf("read a snapshot of the cluster's state: %w", err)
	}
	if s.Version < 1 || s.Version > snapshotVersion {
		return fmt.Errorf("snapshot of the cluster's state has version %d, this node knows %d: update it", s.Version, snapshotVersion)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = s.State
	return nil
}

// snapshot is a State on its way to disk or to another member.
type snapshot struct {
	Version int   `json:"version"`
	State   State `json:"state"`
}

// Persist writes the snapshot. The same state gives the same bytes.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := json.NewEncoder(sink).Encode(s); err != nil {
		return errors.Join(fmt.Errorf("write a snapshot of the cluster's state: %w", err), sink.Cancel())
	}
	return sink.Close()
}

// Release has nothing to release.
func (snapshot) Release() {}
