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
		flags: append(append(serverFlags(), memberFlags()...),
			// These three hide the global flags: where callers ask, as their
			// environment says, is no NATS to keep the log on.
			text("nats", "`URL` of a NATS of your own, in place of a server in each node; from the line alone, not BELFRY_NATS"),
			text("nats-creds", "`FILE` with credentials for it; from the line alone, not BELFRY_NATS_CREDS"),
			whole("nats-replicas", "how many of its servers, `N`, hold a stream: 1, 3 or 5; 0 for 3 in a cluster, 1 at a server alone", "0"),
		),
		needs: []string{"name"},
		do: func(ctx context.Context, s *session) error {
			member := s.member()
			var err error
			if member.External, err = s.external(); err != nil {
				return err
			}
			cfg, err := s.config("node", s.line.String("data"), member)
			if err != nil {
				return err
			}
			return s.node(ctx, cfg)
		},
	}
}

// memberFlags are those of a member of a cluster, besides addressFlags.
func memberFlags() []cli.Flag {
	return []cli.Flag{
		text("name", "`NAME` of the node, which no other has or ever had"),
		&cli.StringFlag{Name: "cluster-addr", Usage: "`ADDRESS` where the nodes' NATS servers meet", Value: "127.0.0.1:6222"},
		text("join", "Raft `ADDRESSES` of members to meet, with commas between; its own may be among them"),
		whole("bootstrap-expect", "form a new cluster once `N` nodes that belong to none have met: 3 or 5, or 1 with --nats; 0 only joins", "0"),
		text("advertise", "`HOST` under which other nodes and callers reach this one, at the ports of its addresses; needed where it listens on 0.0.0.0"),
		yes("insecure", "serve addresses that other machines reach: whoever does may do everything"),
	}
}

// member is what memberFlags say.
func (s *session) member() *node.ClusterConfig {
	return &node.ClusterConfig{
		Name: s.line.String("name"), Addr: s.line.String("cluster-addr"),
		Join:   strings.FieldsFunc(s.line.String("join"), func(r rune) bool { return r == ',' || r == ' ' }),
		Expect: s.line.Int("bootstrap-expect"), Advertise: s.line.String("advertise"), Insecure: s.line.Bool("insecure"),
	}
}

func initVerb() verb {
	return verb{
		name: "init", usage: "make the node of belfry up the first one of a new cluster, with all it has, and run it as belfry node does",
		example: `belfry cluster init --from /var/lib/belfry --name n1 --bootstrap-expect 3 \
  --join 10.0.0.1:7420,10.0.0.2:7420,10.0.0.3:7420 \
  --nats-addr 10.0.0.1:4222 --http-addr 10.0.0.1:8420 --raft-addr 10.0.0.1:7420 --cluster-addr 10.0.0.1:6222 --insecure`,
		flags: append(append([]cli.Flag{
			text("from", "data `DIR` of belfry up, which is stopped; it becomes that of the node"),
		}, addressFlags()...), memberFlags()...),
		needs: []string{"from", "name", "join", "bootstrap-expect"},
		do: func(ctx context.Context, s *session) error {
			cfg, err := s.config("cluster init", s.line.String("from"), s.member())
			if err != nil {
				return err
			}
			if cfg.Cluster.Expect == 0 {
				return usagef("init begins a new cluster, and joins none: give --bootstrap-expect 3 or 5: see belfry cluster init --help")
			}
			if err := node.Init(ctx, cfg); err != nil {
				if ctx.Err() != nil {
					return nil // interrupted; run again it goes on
				}
				return err
			}
			return s.node(ctx, cfg)
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
