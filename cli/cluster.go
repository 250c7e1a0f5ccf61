package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node/api"
)

func (t *terminal) clusterCommand() *cli.Command {
	return t.group("cluster", "who runs Belfry, and how it is", verb{
		name: "status", usage: "show nodes, executors, the event stream and limits",
		example: "belfry cluster status",
		do: func(ctx context.Context, s *session) error {
			raw, err := s.ask(ctx, "cluster", "status", struct{}{})
			if err != nil {
				return err
			}
			if s.json() {
				return s.printJSON(raw)
			}
			status, err := read[api.ClusterStatus](raw)
			if err != nil {
				return err
			}
			return s.printStatus(status)
		},
	}, initVerb(), joinVerb(), removeVerb(), transferVerb())
}

func (s *session) printStatus(status api.ClusterStatus) error {
	if _, err := fmt.Fprintf(s.out, "leader  %s\n\n", short(status.Leader, cellWidthMax)); err != nil {
		return err
	}
	if err := table(s.out, nodeColumns(), status.Nodes, true); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(s.out); err != nil {
		return err
	}
	if err := table(s.out, executorColumns(), status.Executors, true); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(s.out); err != nil {
		return err
	}
	stream, limits := status.Stream, status.Limits
	rows := [][]string{
		{"stream", "messages", strconv.FormatUint(stream.Messages, 10)},
		{"", "bytes", strconv.FormatUint(stream.Bytes, 10)},
		{"", "last sequence", strconv.FormatUint(stream.LastSeq, 10)},
		{"", "replicas", strconv.Itoa(stream.Replicas)},
		{"", "leader", short(stream.Leader, cellWidthMax)},
	}
	if stream.MetaLeader != "" {
		rows = append(rows, []string{"", "meta leader", short(stream.MetaLeader, cellWidthMax)})
	}
	head := "items"
	for _, status_ := range []api.Status{api.Queued, api.Processing, api.Completed, api.Failed, api.Canceled} {
		rows = append(rows, []string{head, string(status_), strconv.Itoa(status.Items[status_])})
		head = ""
	}
	rows = append(rows,
		[]string{"limits", "bytes of a request", strconv.Itoa(limits.RequestBytes)},
		[]string{"", "bytes of data", strconv.Itoa(limits.DataBytes)},
		[]string{"", "bytes of code", strconv.Itoa(limits.CodeBytes)},
		[]string{"", "bytes of a result", strconv.Itoa(limits.ResultBytes)},
		[]string{"", "bytes of output", strconv.Itoa(limits.OutputBytes)},
		[]string{"", "items of create-many", strconv.Itoa(limits.CreateMany)},
		[]string{"", "records of a page", strconv.Itoa(limits.PageRecords)},
		[]string{"", "bytes of a page", strconv.Itoa(limits.PageBytes)},
	)
	return align(s.out, rows)
}

func nodeColumns() []column[api.NodeStatus] {
	return []column[api.NodeStatus]{
		{"NODE", func(n api.NodeStatus) string { return n.Name }},
		{"ROLE", func(n api.NodeStatus) string { return n.Role }},
		{"ALIVE", func(n api.NodeStatus) string { return yesNo(n.Alive) }},
		{"PARTITIONS", func(n api.NodeStatus) string { return strconv.Itoa(n.Partitions) }},
		{"NATS", func(n api.NodeStatus) string { return n.NATS }},
		{"RAFT", func(n api.NodeStatus) string { return n.Raft }},
		{"HTTP", func(n api.NodeStatus) string { return n.HTTP }},
		{"VERSION", func(n api.NodeStatus) string { return n.Version }},
	}
}

func executorColumns() []column[api.ExecStatus] {
	return []column[api.ExecStatus]{
		{"EXECUTOR", func(e api.ExecStatus) string { return e.Name }},
		{"POOL", func(e api.ExecStatus) string { return e.Pool }},
		{"ALIVE", func(e api.ExecStatus) string { return yesNo(e.Alive) }},
		{"BUSY", func(e api.ExecStatus) string { return strconv.Itoa(e.Busy) + "/" + strconv.Itoa(e.Slots) }},
		{"PYTHON", func(e api.ExecStatus) string { return e.Python }},
	}
}
