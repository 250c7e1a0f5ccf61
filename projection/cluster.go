package projection

import "github.com/belfryhq/belfry/eventlog"

// Cluster is what the log says of the nodes themselves.
type Cluster struct {
	Seq    uint64                         `cbor:"1,keyasint"` // folded up to here
	Stream string                         `cbor:"2,keyasint"` // incarnation, from the genesis; "" before it
	Owners [eventlog.Partitions]Ownership `cbor:"3,keyasint"`
	Nodes  map[string]Node                `cbor:"4,keyasint"` // by name
	Moves  struct{ Revision, Seq uint64 } `cbor:"5,keyasint"` // of the entity "partitions"
	Lanes  map[string]uint64              `cbor:"6,keyasint"` // node → sequence of its lane's last message
}

// Ownership is who decides for a partition, and since which event: the
// sequence of the move to it, or of its process's opening, whichever is later.
type Ownership struct {
	Node  string `cbor:"1,keyasint"`
	Epoch uint64 `cbor:"2,keyasint"`
}

// Node is the process that last opened a lane.
type Node struct {
	Process  string `cbor:"1,keyasint"`
	Version  string `cbor:"2,keyasint"`
	Revision uint64 `cbor:"3,keyasint"`
	Seq      uint64 `cbor:"4,keyasint"` // of the opening
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
	case *eventlog.PartitionsMoved:
		if c.Stream == "" {
			c.Stream = d.Stream
		}
		c.Moves.Revision, c.Moves.Seq = e.Revision, at.Seq
		for _, p := range d.Partitions {
			// A move counts only for what the lane's node owns here; the
			// genesis gives what nobody owned.
			if p >= 0 && p < eventlog.Partitions && (c.Owners[p].Node == at.Lane || c.Owners[p].Node == "") {
				c.Owners[p] = Ownership{Node: d.To, Epoch: at.Seq}
			}
		}
	}
}
