package cluster

import (
	"maps"
	"regexp"
)

// Partitions is the number of partitions that a plan assigns.
const Partitions = 64

// State is what the members agree on.
type State struct {
	// Members by name.
	Members map[string]Member `json:"members"`
	Plan    Plan              `json:"plan"`
	Stream  Stream            `json:"stream"`
}

// Member is a node and where it is reached.
type Member struct {
	Name    string `json:"name"`
	Raft    string `json:"raft"` // host:port
	NATS    string `json:"nats"` // URL
	HTTP    string `json:"http"` // host:port
	Version string `json:"version"`
}

// Plan names the node that should own each partition; "" is none. Who owns it
// in truth is in the event log.
//
// Invariant: it names members only.
type Plan [Partitions]string

// Phase tells how far the making of the event stream got.
type Phase string

// The phases, in their order.
const (
	PhaseNone     Phase = ""
	PhaseCreating Phase = "creating"
	PhaseCreated  Phase = "created"
)

// Stream identifies the event stream.
//
// Invariants: ID is set once and for all; Phase only advances; LowWater never
// falls and is 0 unless Phase is created.
type Stream struct {
	ID    string `json:"id"`
	Phase Phase  `json:"phase"`
	// LowWater is a sequence that the stream had reached.
	LowWater uint64 `json:"low_water"`
}

func (s State) clone() State {
	s.Members = maps.Clone(s.Members)
	return s
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

func validName(name string) bool { return namePattern.MatchString(name) }
