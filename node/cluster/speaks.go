package cluster

import "fmt"

// Speaks is what a node's release writes for others and reads of them. Two nodes
// go together if each reads what the other writes; if they do not, they exchange
// nothing but the words that say so.
type Speaks struct {
	// Commands and State are of Raft's log and of its snapshots. Start fills them in.
	Commands Level `json:"commands"`
	State    Level `json:"state"`
	// Events are of the event log, Executors of the wire to executors.
	Events    Level `json:"events"`
	Executors Level `json:"executors"`
}

// Level counts up with what a reader must know. A release that is to be mixed with
// the one before it reads the new level first, and writes it a release later.
type Level struct {
	Reads  int `json:"reads"` // and all below
	Writes int `json:"writes"`
}

// Both is the level of a release that writes all that it reads.
func Both(n int) Level { return Level{Reads: n, Writes: n} }

// speaks is what this node does.
func (c *Cluster) speaks() Speaks {
	s := c.cfg.Speaks
	s.Commands, s.State = Both(len(readers())), Both(snapshotVersion)
	return s
}

// apart says why a node of another release and this one do not go together, and
// what to do; "" if they do.
func (c *Cluster) apart(them Member, theirs Speaks) string {
	ours := c.speaks()
	for _, of := range []struct {
		what         string
		ours, theirs Level
	}{
		{"commands", ours.Commands, theirs.Commands},
		{"snapshots of the cluster's state", ours.State, theirs.State},
		{"events", ours.Events, theirs.Events},
		{"messages to executors", ours.Executors, theirs.Executors},
	} {
		switch {
		case of.ours.Writes > of.theirs.Reads:
			return newer(c.self(), of.what, of.ours.Writes, them, of.theirs.Reads)
		case of.theirs.Writes > of.ours.Reads:
			return newer(them, of.what, of.theirs.Writes, c.self(), of.ours.Reads)
		}
	}
	return ""
}

func newer(writer Member, what string, writes int, reader Member, reads int) string {
	return fmt.Sprintf("node %s (%s) writes %s of level %d, node %s (%s) reads up to %d: stop all nodes and start all with the newer release, or take the releases between one by one",
		writer.Name, version(writer), what, writes, reader.Name, version(reader), reads)
}

func version(m Member) string {
	if m.Version == "" {
		return "no version"
	}
	return m.Version
}
