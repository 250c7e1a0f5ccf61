package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/urfave/cli/v2"

	executor "github.com/belfryhq/belfry/exec/process"
)

// execCommand runs an executor; what is below it does not.
func (t *terminal) execCommand() *cli.Command {
	c := t.command(execVerb())
	c.Subcommands = []*cli.Command{t.command(checkVerb())}
	c.CustomHelpTemplate = strings.Replace(commandHelp, " COMMAND", " [COMMAND]", 1)
	return c
}

func execVerb() verb {
	return verb{
		name: "exec", usage: "run an executor of a node that runs already, until interrupted",
		example: "belfry exec --data /var/lib/belfry --pool reports --python /opt/reports/bin/python",
		flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the executor, which no other has", DefaultText: "the host's"},
			&cli.StringFlag{Name: "pool", Usage: "`POOL` whose functions it runs", Value: "default"},
			slots(), pythonProgram(), sandboxLevel(), envFile(),
			&cli.StringFlag{Name: "grace", Usage: "when stopped, let runs end within `DURATION`, then hand them back", Value: "5s"},
			&cli.StringFlag{Name: "credentials", Usage: "`FILE` with the secret of the node's executors", EnvVars: []string{"BELFRY_EXEC_CREDENTIALS"}, DefaultText: "executors.key in --data"},
			&cli.StringFlag{Name: "data", Usage: "the node's data `DIR`, where the credentials are", Value: "./belfry-data"},
			yes("external", "--nats is a NATS of your own, not a node's: no secret of a node is used; so it is with --nats-creds, or a user in --nats"),
			logLevel(),
		},
		do: func(ctx context.Context, s *session) error {
			logger, err := s.logger()
			if err != nil {
				return err
			}
			env, err := s.functionEnv(logger)
			if err != nil {
				return err
			}
			grace, err := duration(s, "grace")
			if err != nil {
				return err
			}
			cfg := executor.Config{
				URL:         s.line.String("nats"),
				Creds:       s.line.String("nats-creds"),
				External:    s.line.Bool("external"),
				Prefix:      s.line.String("prefix"),
				Credentials: s.line.String("credentials"),
				Name:        s.line.String("name"),
				Pool:        s.line.String("pool"),
				Slots:       s.line.Int("slots"),
				Grace:       grace,
				NoGrace:     grace == 0,
				Python:      s.line.String("python"),
				Sandbox:     s.line.String("sandbox"),
				FunctionEnv: env,
				Logger:      logger,
			}
			if cfg.Credentials == "" {
				cfg.Credentials = filepath.Join(s.line.String("data"), executor.CredentialsFile)
			}
			p, err := executor.New(cfg)
			if err != nil {
				return usagef("%v: see belfry exec --help", err)
			}
			return s.serve(ctx, p, stopTimeout+grace)
		},
	}
}

func slots() cli.Flag {
	return whole("slots", "how many runs at once, `N`; 0 for as many as suit this machine", "0")
}

func pythonProgram() cli.Flag {
	return &cli.StringFlag{Name: "python", Usage: "`PROGRAM` that runs the functions", Value: "python3"}
}

func sandboxLevel() cli.Flag {
	return &cli.StringFlag{
		Name: "sandbox", Usage: "`LEVEL` of what functions are kept from: none, process, restricted or isolated",
		DefaultText: "restricted, where the kernel allows",
	}
}

func checkVerb() verb {
	return verb{
		name: "check", usage: "show what an executor has here: Python, its packages, slots, sandboxes",
		example: "belfry exec check --python /opt/reports/bin/python",
		flags:   []cli.Flag{slots(), pythonProgram()},
		do: func(ctx context.Context, s *session) error {
			if lost := s.line.Lineage()[1].LocalFlagNames(); len(lost) > 0 {
				return usagef("--%s stands before check, where it says nothing: write belfry exec check --%s", lost[0], lost[0])
			}
			offer, err := executor.Check(ctx, executor.Config{Python: s.line.String("python"), Slots: s.line.Int("slots")})
			if err != nil {
				return err
			}
			if s.json() {
				raw, err := json.Marshal(offer)
				if err != nil {
					return err
				}
				return s.printJSON(raw)
			}
			return s.printOffer(offer)
		},
	}
}

func (s *session) printOffer(offer executor.Offer) error {
	if err := align(s.out, [][]string{
		{"python", clean(offer.Python.Version), clean(offer.Python.Path)},
		{"slots", strconv.Itoa(offer.Slots)},
		{"sandboxes", strings.Join(offer.Levels(), " "), clean(offer.Lacks())},
		{"packages", strconv.Itoa(len(offer.Python.Packages))},
	}); err != nil || len(offer.Python.Packages) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(s.out); err != nil {
		return err
	}
	return table(s.out, []column[executor.Package]{
		{"PACKAGE", func(p executor.Package) string { return p.Name }},
		{"VERSION", func(p executor.Package) string { return p.Version }},
	}, offer.Python.Packages, true)
}
