package eventlog

// NodeOpened is the first event of a process in its node's lane. Whoever finds
// one after its own has been replaced, and exits.
type NodeOpened struct {
	Process string `json:"process"` // drawn anew at each start
	Stream  string `json:"stream"`  // the stream's incarnation, from its genesis
	Version string `json:"version"` // of the program
}

// PartitionsMoved gives partitions to another node. It stands in the lane of
// the node that gives. The stream's first message is one: From is empty there,
// and Stream names the stream for ever.
type PartitionsMoved struct {
	From       string `json:"from,omitzero"`
	To         string `json:"to"`
	Partitions []int  `json:"partitions"`
	Stream     string `json:"stream,omitzero"`
}

// NodeMarked says nothing but that its node could append: whatever was stored
// before it was decided stands before it in the log. Strong reads wait for one.
type NodeMarked struct {
	Process string `json:"process"` // that wrote it, the lane's last opening's
}

func (*NodeOpened) eventType() Type      { return TypeNodeOpened }
func (*PartitionsMoved) eventType() Type { return TypePartitionsMoved }
func (*NodeMarked) eventType() Type      { return TypeNodeMarked }
