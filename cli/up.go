package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node"
)

// stopTimeout bounds a clean stop; what has not ended by then is taken up
// again from the log.
const stopTimeout = 30 * time.Second

// server is what up and exec run: a *node.Node, a *process.Process.
type server interface {
	Start(context.Context) error
	Ready() string
	Done() <-chan struct{}
	Err() error
	Stop(context.Context) error
}

func upVerb() verb {
	return verb{
		name: "up", usage: "run all of Belfry in this process, until interrupted",
		example: "belfry up --data /var/lib/belfry",
		flags:   serverFlags(),
		do: func(ctx context.Context, s *session) error {
			cfg, err := s.config("up", s.line.String("data"), nil)
			if err != nil {
				return err
			}
			return s.node(ctx, cfg)
		},
	}
}

// serverFlags are those of whatever serves the API.
func serverFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "data", Usage: "`DIR` for everything that is kept", Value: "./belfry-data"},
	}, addressFlags()...)
}

// addressFlags are those but for the directory.
func addressFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "nats-addr", Usage: "`ADDRESS` for NATS, where callers ask", Value: "127.0.0.1:4222"},
		&cli.StringFlag{Name: "http-addr", Usage: "`ADDRESS` for HTTP: health, metrics, the page", Value: "127.0.0.1:8420"},
		&cli.StringFlag{Name: "raft-addr", Usage: "`ADDRESS` for Raft, where nodes meet", Value: "127.0.0.1:7420"},
		pythonProgram(), sandboxLevel(), slots(),
		yes("no-exec", "run no executor here: others run the functions, see belfry exec"),
		envFile(),
		logLevel(),
	}
}

// config is that of a node, alone or a member of a cluster, as the line says.
func (s *session) config(command, dir string, member *node.ClusterConfig) (node.Config, error) {
	logger, err := s.logger()
	if err != nil {
		return node.Config{}, err
	}
	env, err := s.functionEnv(logger)
	if err != nil {
		return node.Config{}, err
	}
	cfg := node.Config{
		DataDir:  dir,
		Prefix:   s.line.String("prefix"),
		NATSAddr: s.line.String("nats-addr"),
		HTTPAddr: s.line.String("http-addr"),
		RaftAddr: s.line.String("raft-addr"),
		Python:   s.line.String("python"),
		Sandbox:  s.line.String("sandbox"),
		Slots:    s.line.Int("slots"),
		NoExec:   s.line.Bool("no-exec"),
		Cluster:  member,
		Version:  Version,
		Logger:   logger,

		FunctionEnv: env,
	}
	if err := cfg.WithDefaults().Validate(); err != nil {
		return cfg, usagef("%v: see belfry %s --help", err, command)
	}
	return cfg, nil
}

// node runs it.
func (s *session) node(ctx context.Context, cfg node.Config) error {
	n, err := node.New(cfg)
	if err != nil {
		return err
	}
	return s.serve(ctx, n, stopTimeout)
}

func logLevel() cli.Flag {
	return &cli.StringFlag{Name: "log-level", Usage: "`LEVEL` of what is logged to standard error: debug, info, warn or error", Value: "info"}
}

// logger logs to standard error, as --log-level says.
func (s *session) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.line.String("log-level"))); err != nil {
		return nil, usagef("--log-level %s is none: use debug, info, warn or error", s.line.String("log-level"))
	}
	return slog.New(slog.NewTextHandler(s.errs, &slog.HandlerOptions{Level: level})), nil
}

// serve runs a server until ctx ends or it stops by itself. It says "ready …"
// on standard output once it serves. Patience is how long a clean stop may take.
func (s *session) serve(ctx context.Context, n server, patience time.Duration) error {
	stop := func() error {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		return n.Stop(stopping)
	}
	if err := n.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return stop() // interrupted before it was ready
		}
		return errors.Join(err, stop())
	}
	if _, err := fmt.Fprintln(s.out, "ready", n.Ready()); err != nil {
		return errors.Join(err, stop())
	}
	select {
	case <-ctx.Done():
		return stop()
	case <-n.Done():
		return errors.Join(n.Err(), stop())
	}
}
