package api

// ClusterStatus is the answer of cluster.status.
type ClusterStatus struct {
	Leader string       `json:"leader"` // Raft's
	Nodes  []NodeStatus `json:"nodes"`
	// Removed are the names of nodes that were removed, which no other may have.
	Removed []string `json:"removed,omitzero"`
	// ExternalNATS says that the nodes meet on a NATS that others run.
	ExternalNATS bool           `json:"external_nats,omitzero"`
	Executors    []ExecStatus   `json:"executors"`
	Stream       StreamStatus   `json:"stream"`
	Items        map[Status]int `json:"items"`
	Limits       Limits         `json:"limits"`
}

// NodeStatus is one member. Partitions is a count.
type NodeStatus struct {
	Name       string `json:"name"`
	Role       string `json:"role"` // leader, follower, or leaving: it is to be removed
	Alive      bool   `json:"alive"`
	Partitions int    `json:"partitions"`
	NATS       string `json:"nats"`
	Raft       string `json:"raft"`
	HTTP       string `json:"http"`
	Version    string `json:"version"`
}

// Roles of a member.
const (
	RoleLeader   = "leader"
	RoleFollower = "follower"
	RoleLeaving  = "leaving"
)

// ClusterRemove is the request of cluster.remove.
type ClusterRemove struct {
	Name string `json:"name"`
}

// Removal is the answer of cluster.remove: that a node is to leave is agreed on,
// and how far it is. When it is done the node is no member any more.
type Removal struct {
	Name string      `json:"name"`
	Role string      `json:"role"` // RoleLeaving
	Step RemovalStep `json:"step"`
	// Partitions that it still owns.
	Partitions int `json:"partitions"`
}

// RemovalStep is what a removal is at.
type RemovalStep string

// The steps, in their order.
const (
	StepPartitions RemovalStep = "partitions" // they go to others
	StepStreams    RemovalStep = "streams"    // another node takes its copy of the streams
	StepMembers    RemovalStep = "members"    // the others go on without it
)

// ClusterTransfer is the request of cluster.transfer; To "" is any other node.
type ClusterTransfer struct {
	To string `json:"to,omitzero"`
}

// Transferred is the answer of cluster.transfer.
type Transferred struct {
	Leader string `json:"leader"`
}

// ExecStatus is one executor.
type ExecStatus struct {
	Name   string `json:"name"`
	Pool   string `json:"pool"`
	Slots  int    `json:"slots"`
	Busy   int    `json:"busy"`
	Alive  bool   `json:"alive"`
	Python string `json:"python"`
}

// StreamStatus is the event stream's.
type StreamStatus struct {
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
	LastSeq  uint64 `json:"last_seq"`
	Replicas int    `json:"replicas"`
	Leader   string `json:"leader"`
	// MetaLeader is the node whose NATS server leads JetStream's meta group, which
	// places streams; "" where servers of others do, or one alone, or while the node
	// that answers knows of nobody.
	MetaLeader string `json:"meta_leader,omitzero"`
}

// Limits are those that a caller can run into. Bytes, or counts.
type Limits struct {
	RequestBytes int `json:"request_bytes"`
	DataBytes    int `json:"data_bytes"`
	CodeBytes    int `json:"code_bytes"`
	ResultBytes  int `json:"result_bytes"`
	OutputBytes  int `json:"output_bytes"`
	CreateMany   int `json:"create_many"`
	PageRecords  int `json:"page_records"`
	PageBytes    int `json:"page_bytes"`
	OpenRuns     int `json:"trigger_open_runs"`
}

// ListLimits is the catalogue of limits, as cluster.status tells it.
func ListLimits(resultBytes, outputBytes int) Limits {
	return Limits{
		RequestBytes: RequestBytesMax, DataBytes: DataBytesMax, CodeBytes: CodeBytesMax,
		ResultBytes: resultBytes, OutputBytes: outputBytes,
		CreateMany: ManyMax, PageRecords: PageMax, PageBytes: PageBytesMax, OpenRuns: TriggerOpenRunsMax,
	}
}
