package eventlog

import "strings"

// Prefix is the first token of every subject of one Belfry, and in capitals the
// beginning of its streams' names, so that several can share a NATS. The zero
// value is DefaultPrefix. It addresses messages and is no part of them: types and
// sources of events are the same under each.
type Prefix string

// DefaultPrefix is that of a Belfry which was given no other.
const DefaultPrefix Prefix = "belfry"

func (p Prefix) name() string {
	if p == "" {
		return string(DefaultPrefix)
	}
	return string(p)
}

// Stream is the name of the event stream; its subjects are LanePrefix + node.
func (p Prefix) Stream() string { return strings.ToUpper(p.name()) + "_EVENTS" }

// LanePrefix is what the subjects of all lanes begin with.
func (p Prefix) LanePrefix() string { return p.name() + ".events." }

// Subject is the subject of a node's lane.
func (p Prefix) Subject(node string) string { return p.name() + ".events." + node }
