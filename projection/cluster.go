package projection

import "github.com/belfryhq/belfry/eventlog"

// Cluster is what the log says of the nodes themselves.
type Cluster struct {
	Seq    uint64                         `cbor:"1,keyasint"` // folded up to here
	Stream string                         `cbor:"2,keyasint"` // incarnation, from the genesis; "" before it
	Owners [eventlog.Partitions]Ownership `cbor:"3,keyasint"`
	Nodes  map[string]Node                `cbor:"4,keyasint"` // by name
	Moves  map[string]Move                `cbor:"5,keyasint"` // by the node that gave
	Lanes  map[string]uint64              `cbor:"6,keyasint"` // node → sequence of its lane's last message
}

// Ownership is who decides for a partition, and since which event: the
// sequence of the move to it, or of its process's opening, whichever is later.
type Ownership struct {
	Node  string `cbor:"1,keyasint"`
	Epoch uint64 `cbor:"2,keyasint"` // may be pending for what was just given away
}

// Node is the process that last opened a lane, and the last event of the node:
// that opening, or a marker.
type Node struct {
	Process  string `cbor:"1,keyasint"`
	Version  string `cbor:"2,keyasint"`
	Revision uint64 `cbor:"3,keyasint"`
	Seq      uint64 `cbor:"4,keyasint"` // may be pending
}

// Move is the last move of partitions out of a lane.
type Move struct {
	Revision uint64 `cbor:"1,keyasint"`
	Seq      uint64 `cbor:"2,keyasint"` // may be pending
}

func (s *State) evolveCluster(e *eventlog.Event, at At) {
	c := &s.cluster
	switch d := e.Data.(type) {
	case *eventlog.NodeOpened:
		c.Nodes[e.Subject] = Node{Process: d.Process, Version: d.Version, Revision: e.Revision, Seq: at.Seq}
		for p := range c.Owners {
			if c.Owners[p].Node == at.Lane {
				c.Owners[p].Epoch = at.Seq
			}
		}
	case *eventlog.NodeMarked:
		n := c.Nodes[e.Subject]
		n.Revision, n.Seq = e.Revision, at.Seq
		c.Nodes[e.Subject] = n
	case *eventlog.PartitionsMoved:
		if c.Stream == "" {
			c.Stream = d.Stream
		}
		c.Moves[e.Subject] = Move{Revision: e.Revision, Seq: at.Seq}
		for _, p := range d.Partitions {
			// A move counts only for what the lane's node owns here; the
			// genesis gives what nobody owned.
			if p >= 0 && p < eventlog.Partitions && (c.Owners[p].Node == at.Lane || c.Owners[p].Node == "") {
				s.move(p, Ownership{Node: d.To, Epoch: at.Seq})
			}
		}
	}
}

// move gives a partition another owner, and keeps the indexes of what is due.
func (s *State) move(p int, to Ownership) {
	before := s.attends(p)
	s.cluster.Owners[p] = to
	if after := s.attends(p); after != before {
		s.attendTo(s.parts[p], after)
	}
}

// Attend says of whose partitions the indexes of what is due are: "", the
// default, is of all. Call it before anything is folded or loaded.
func (s *State) Attend(node string) { s.attended = node }

func (s *State) attends(p int) bool {
	return s.attended == "" || s.cluster.Owners[p].Node == s.attended
}

// attendTo puts a partition into the indexes of what is due, or takes it out.
func (s *State) attendTo(p *Partition, in bool) {
	for _, i := range p.items {
		switch {
		case in && i.Status == Queued:
			s.due.put(i)
		default:
			s.due.remove(i)
		}
	}
	for _, t := range p.triggers {
		switch {
		case in && t.Next != 0:
			s.schedules.put(t)
		default:
			s.schedules.remove(t)
		}
	}
}

// settle puts the sequence of a stored commit in the place of its pending one.
func (c *Cluster) settle(pending, seq uint64) {
	for p := range c.Owners {
		if c.Owners[p].Epoch == pending {
			c.Owners[p].Epoch = seq
		}
	}
	for name, n := range c.Nodes {
		if n.Seq == pending {
			n.Seq = seq
			c.Nodes[name] = n
		}
	}
	for from, m := range c.Moves {
		if m.Seq == pending {
			m.Seq = seq
			c.Moves[from] = m
		}
	}
}
