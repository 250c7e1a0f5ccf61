package api

// ClusterStatus is the answer of cluster.status.
type ClusterStatus struct {
	Leader    string         `json:"leader"` // Raft's
	Nodes     []NodeStatus   `json:"nodes"`
	Executors []ExecStatus   `json:"executors"`
	Stream    StreamStatus   `json:"stream"`
	Items     map[Status]int `json:"items"`
	Limits    Limits         `json:"limits"`
}

// NodeStatus is one member. Partitions is a count.
type NodeStatus struct {
	Name       string `json:"name"`
	Role       string `json:"role"` // leader, follower
	Alive      bool   `json:"alive"`
	Partitions int    `json:"partitions"`
	NATS       string `json:"nats"`
	Raft       string `json:"raft"`
	HTTP       string `json:"http"`
	Version    string `json:"version"`
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
