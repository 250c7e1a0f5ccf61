package cluster

import (
	"maps"
	"regexp"
)

// Partitions is the number of partitions that a plan assigns.
const Partitions = 64

// State is what the members agree on.
//
// Invariants: no name is in Members and in Removed; Leaving names members only.
type State struct {
	// ID of the cluster, drawn when it was formed; "" while one node alone has
	// never been joined.
	ID string `json:"id,omitempty"`
	// Members by name.
	Members map[string]Member `json:"members"`
	// Leaving are members that are to be removed.
	Leaving map[string]bool `json:"leaving,omitempty"`
	// Removed holds the instances of the nodes that were removed, by name. A
	// name never comes back: what others remember of it would be taken for
	// what the new node knows.
	Removed map[string]string `json:"removed,omitempty"`
	Plan    Plan              `json:"plan"`
	Stream  Stream            `json:"stream"`
	// Secrets of the whole cluster, by name.
	Secrets map[string]Secret `json:"secrets,omitempty"`
}

// Member is a node and where it is reached.
type Member struct {
	Name    string `json:"name"`
	Raft    string `json:"raft"`              // host:port
	NATS    string `json:"nats"`              // URL
	Cluster string `json:"cluster,omitempty"` // host:port of NATS's routes
	HTTP    string `json:"http"`              // host:port
	Version string `json:"version"`
	// Instance is a ULID that names the data directory: a node that lost its
	// disk has the old name and another instance.
	Instance string `json:"instance,omitempty"`
	// Brings is the id of the event stream that a founder brings into the cluster;
	// "" brings none. It counts when the cluster is formed, and never again.
	Brings string `json:"brings,omitempty"`
}

// updated is m with what n says otherwise. What n leaves empty stays.
func (m Member) updated(n Member) Member {
	for _, field := range []struct {
		to   *string
		from string
	}{
		{&m.Name, n.Name}, {&m.Raft, n.Raft}, {&m.NATS, n.NATS}, {&m.Cluster, n.Cluster},
		{&m.HTTP, n.HTTP}, {&m.Version, n.Version}, {&m.Instance, n.Instance}, {&m.Brings, n.Brings},
	} {
		if field.from != "" {
			*field.to = field.from
		}
	}
	return m
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
	// From names the founder that brings the stream: until it is created, nobody
	// else may make it. "" leaves that to whoever comes first.
	From string `json:"from,omitempty"`
}

func (s State) clone() State {
	s.Members = maps.Clone(s.Members)
	s.Leaving = maps.Clone(s.Leaving)
	s.Removed = maps.Clone(s.Removed)
	s.Secrets = maps.Clone(s.Secrets)
	return s
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

func validName(name string) bool { return namePattern.MatchString(name) }
