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
  --nats-addr 10.0.0.1:4222 --http-addr 10.0.0.1:8420 --raft-addr 10.0.0.1:7420 --cluster-addr 10.0.0.1:6222 --insecure

A node by itself, on a NATS of your own:
belfry node --name n1 --data /var/lib/belfry --bootstrap-expect 1 --nats nats://nats-1:4222,nats://nats-2:4222 --nats-creds belfry.creds`,
		flags: append(serverFlags(),
			text("name", "`NAME` of the node, which no other has or ever had"),
			&cli.StringFlag{Name: "cluster-addr", Usage: "`ADDRESS` where the nodes' NATS servers meet", Value: "127.0.0.1:6222"},
			text("join", "Raft `ADDRESSES` of members to meet, with commas between; its own may be among them"),
			whole("bootstrap-expect", "form a new cluster once `N` nodes that belong to none have met: 3 or 5, or 1 with --nats; 0 only joins", "0"),
			// These three hide the global flags: where callers ask, as their
			// environment says, is no NATS to keep the log on.
			text("nats", "`URL` of a NATS of your own, in place of a server in each node; from the line alone, not BELFRY_NATS"),
			text("nats-creds", "`FILE` with credentials for it; from the line alone, not BELFRY_NATS_CREDS"),
			whole("nats-replicas", "how many of its servers, `N`, hold a stream: 1, 3 or 5; 0 for 3 in a cluster, 1 at a server alone", "0"),
			yes("insecure", "serve addresses that other machines reach: whoever does may do everything"),
		),
		needs: []string{"name"},
		do: func(ctx context.Context, s *session) error {
			external, err := s.external()
			if err != nil {
				return err
			}
			return s.node(ctx, "node", &node.ClusterConfig{
				Name: s.line.String("name"), Addr: s.line.String("cluster-addr"),
				Join:   strings.FieldsFunc(s.line.String("join"), func(r rune) bool { return r == ',' || r == ' ' }),
				Expect: s.line.Int("bootstrap-expect"), Insecure: s.line.Bool("insecure"), External: external,
			})
		},
	}
}

// external is the NATS that the line names for a node; nil if it names none.
func (s *session) external() (*node.ExternalConfig, error) {
	url := s.line.String("nats")
	for _, flag := range []string{"nats-creds", "nats-replicas"} {
		if url == "" && s.line.IsSet(flag) {
			return nil, usagef("--%s is for a NATS of your own: name it with --nats after node, see belfry node --help", flag)
		}
	}
	for _, flag := range []string{"nats-addr", "cluster-addr"} {
		if url != "" && s.line.IsSet(flag) {
			return nil, usagef("--%s is for a NATS server in the node, and --nats has none: leave one of them out", flag)
		}
	}
	if url == "" {
		return nil, nil //nolint:nilnil // none is no error
	}
	return &node.ExternalConfig{URL: url, Creds: s.line.String("nats-creds"), Replicas: s.line.Int("nats-replicas")}, nil
}
