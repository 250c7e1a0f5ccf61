package cli

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node"
)

func nodeVerb() verb {
	return verb{
		name: "node", usage: "run a member of a cluster in this process, until interrupted",
		example: `belfry node --name n1 --data /var/lib/belfry --bootstrap-expect 3 \
  --join 10.0.0.1:7420,10.0.0.2:7420,10.0.0.3:7420 \
  --nats-addr 10.0.0.1:4222 --http-addr 10.0.0.1:8420 --raft-addr 10.0.0.1:7420 --cluster-addr 10.0.0.1:6222 --insecure`,
		flags: append(serverFlags(),
			text("name", "`NAME` of the node, which no other has or ever had"),
			&cli.StringFlag{Name: "cluster-addr", Usage: "`ADDRESS` where the nodes' NATS servers meet", Value: "127.0.0.1:6222"},
			text("join", "Raft `ADDRESSES` of members to meet, with commas between; its own may be among them"),
			whole("bootstrap-expect", "form a new cluster once `N` nodes that belong to none have met: 3 or 5; 0 only joins", "0"),
			text("advertise", "`HOST` under which other nodes and callers reach this one, at the ports of its addresses; needed where it listens on 0.0.0.0"),
			yes("insecure", "serve addresses that other machines reach: whoever does may do everything"),
		),
		needs: []string{"name", "join"},
		do: func(ctx context.Context, s *session) error {
			return s.node(ctx, "node", &node.ClusterConfig{
				Name: s.line.String("name"), Addr: s.line.String("cluster-addr"),
				Join:   strings.FieldsFunc(s.line.String("join"), func(r rune) bool { return r == ',' || r == ' ' }),
				Expect: s.line.Int("bootstrap-expect"), Insecure: s.line.Bool("insecure"),
				Advertise: s.line.String("advertise"),
			})
		},
	}
}
