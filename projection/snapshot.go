package projection

import (
	"container/heap"
	"fmt"
	"maps"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

// SnapshotVersion is of the form of snapshots. Another version's is thrown
// away, and the log folded from its beginning: a snapshot is derived state.
const SnapshotVersion = 5

// snapshot is one partition in canonical CBOR: equal states have equal bytes,
// so that a hash of them compares projections.
type snapshot struct {
	Functions   []*Function       `cbor:"1,keyasint,omitempty"`
	Users       []*User           `cbor:"2,keyasint,omitempty"`
	Gone        map[string]uint64 `cbor:"3,keyasint,omitempty"`
	Items       []*Item           `cbor:"4,keyasint,omitempty"`
	Requests    []request         `cbor:"5,keyasint,omitempty"`
	Automations []*Automation     `cbor:"6,keyasint,omitempty"`
	Triggers    []*Trigger        `cbor:"7,keyasint,omitempty"`
}

// encoding is canonical CBOR (RFC 8949, 4.2.1).
func encoding() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // constant options
	}
	return mode
}

// decoding allows as many records as memory does.
func decoding() cbor.DecMode {
	const many = 1<<31 - 1
	mode, err := cbor.DecOptions{MaxArrayElements: many, MaxMapPairs: many}.DecMode()
	if err != nil {
		panic(err) // constant options
	}
	return mode
}

// Encode writes a partition that holds nothing pending, but for its Seq. The
// bytes are the same on every node that folded the same log.
func (p *Partition) Encode() ([]byte, error) {
	return encoding().Marshal(snapshot{
		Functions:   byID(p.functions),
		Users:       byID(p.users),
		Gone:        p.gone,
		Items:       byID(p.items),
		Requests:    p.requests.queue,
		Automations: byID(p.automations),
		Triggers:    byID(p.triggers),
	})
}

func byID[R any](records map[string]*R) []*R {
	ids := slices.Sorted(maps.Keys(records))
	list := make([]*R, len(ids))
	for n, id := range ids {
		list[n] = records[id]
	}
	return list
}

// Load puts an encoded partition, folded up to seq, into a state that has
// nothing in it yet. After the last Load call Reindex.
func (s *State) Load(partition int, seq uint64, encoded []byte) error {
	var from snapshot
	if err := decoding().Unmarshal(encoded, &from); err != nil {
		return fmt.Errorf("partition %d: %w", partition, err)
	}
	p := newPartition(partition)
	p.Seq = seq
	for _, f := range from.Functions {
		p.functions[f.ID], p.functionNames[f.Name] = f, f.ID
	}
	for _, u := range from.Users {
		p.users[u.ID], p.userNames[u.Name] = u, u.ID
	}
	for _, a := range from.Automations {
		p.automations[a.ID], p.automationNames[a.Name] = a, a.ID
	}
	for _, t := range from.Triggers {
		t.open = map[string]struct{}{}
		p.triggers[t.ID] = t
	}
	for id, seq := range from.Gone {
		p.gone[id] = seq
	}
	p.items = make(map[string]*Item, len(from.Items))
	for _, i := range from.Items {
		p.items[i.ID] = i
	}
	for _, r := range from.Requests {
		p.requests.add(r)
	}
	s.parts[partition] = p
	return nil
}

// EncodeCluster and LoadCluster are Encode and Load for what is known of nodes.
func (s *State) EncodeCluster() ([]byte, error) { return encoding().Marshal(s.cluster) }

// LoadCluster is the inverse of EncodeCluster.
func (s *State) LoadCluster(encoded []byte) error {
	s.cluster.Nodes, s.cluster.Lanes, s.cluster.Moves = nil, nil, nil
	if err := decoding().Unmarshal(encoded, &s.cluster); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// Reindex builds the indexes of loaded partitions.
func (s *State) Reindex() {
	for _, p := range s.parts {
		for _, t := range p.triggers {
			s.triggers.items = append(s.triggers.items, t)
			if t.Next != 0 && s.attends(p.ID) {
				s.schedules.add(t)
			}
		}
		for _, i := range p.items {
			s.reindex(p, i)
		}
	}
	s.triggers.sort()
	s.newest.sort()
	s.runs.sort()
	heap.Init(&s.due)
	heap.Init(&s.schedules)
}

func (s *State) reindex(p *Partition, i *Item) {
	if i.Kind == KindItem {
		s.newest.items = append(s.newest.items, i)
	}
	if i.RunSince() != 0 {
		s.runs.items = append(s.runs.items, i)
	}
	s.count(i, 1)
	if i.Live == nil {
		return
	}
	if t := p.triggers[i.Trigger]; t != nil {
		t.open[i.ID] = struct{}{}
	}
	s.refer(i)
	if i.Status == Queued && s.attends(p.ID) {
		s.due.add(i)
	}
}
