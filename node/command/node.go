package command

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

// Genesis is the first commit of a stream: its name, all partitions to the node
// that writes it, and the user admin.
func Genesis(by By, node, stream string) []eventlog.Event {
	all := make([]int, eventlog.Partitions)
	for p := range all {
		all[p] = p
	}
	return []eventlog.Event{
		by.event("cluster", 1, &eventlog.PartitionsMoved{To: node, Partitions: all, Stream: stream}),
		by.event(api.Admin, 1, &eventlog.UserCreated{
			Name:   api.Admin,
			Fields: eventlog.UserFields{projection.FieldSuperuser: jsontext.Value("true")},
		}),
	}
}

// Move gives partitions of a node to another. It belongs into the lane of the
// node that gives; before is that lane's last move.
func Move(by By, from, to string, before projection.Move, partitions []int) eventlog.Event {
	return by.event(from, before.Revision+1, &eventlog.PartitionsMoved{From: from, To: to, Partitions: partitions})
}

// Mark is what a strong read waits for, in the lane of its node.
func Mark(by By, node string, before projection.Node) eventlog.Event {
	return by.event(node, before.Revision+1, &eventlog.NodeMarked{Process: before.Process})
}

// Opening is the first event of a process in its node's lane.
func Opening(by By, node string, before projection.Node, opened eventlog.NodeOpened) eventlog.Event {
	return by.event(node, before.Revision+1, &opened)
}
