package cli

import (
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
)

// app is the tree of commands.
func (t *terminal) app() *cli.App {
	return &cli.App{
		Name:     "belfry",
		HelpName: "belfry",
		Usage:    "run Python functions at the time you say",
		Version:  build(),
		Description: `belfry up
belfry function create --name hello --file hello.py
belfry item create --name greet --in 10s --function hello --data '{"to": "Ann"}' --wait`,
		Flags: globalFlags(),
		Commands: []*cli.Command{
			t.command(upVerb()),
			t.command(nodeVerb()),
			t.execCommand(),
			t.functionCommand(),
			t.triggerCommand(),
			t.itemCommand(),
			t.automationCommand(),
			t.runCommand(),
			t.userCommand(),
			t.clusterCommand(),
			t.auditCommand(),
			t.command(completionVerb()),
		},
		Before:                    checkGlobals,
		OnUsageError:              wrongUsage,
		ExitErrHandler:            func(*cli.Context, error) {}, // Main reports, and nothing exits before it
		HideHelpCommand:           true,                         // arrange makes it the flag
		CustomAppHelpTemplate:     appHelp,
		DisableSliceFlagSeparator: true, // JSON holds commas
		Reader:                    t.in,
		Writer:                    t.out,
		ErrWriter:                 t.errs,
	}
}

// globalFlags may stand anywhere on a command line: arrange moves them.
func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "nats", Usage: "where to ask: the `URL` of Belfry's NATS", Value: client.DefaultURL, EnvVars: []string{"BELFRY_NATS"}},
		&cli.StringFlag{Name: "nats-creds", Usage: "`FILE` with credentials for it, where it asks for some", EnvVars: []string{"BELFRY_NATS_CREDS"}},
		&cli.StringFlag{Name: "prefix", Usage: "`NAME` that subjects begin with: that of one Belfry of several on one NATS", Value: string(api.DefaultPrefix), EnvVars: []string{"BELFRY_PREFIX"}},
		&cli.StringFlag{Name: "user", Usage: "who asks: the `ID` of a user", Value: api.Admin, EnvVars: []string{"BELFRY_USER"}},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FORMAT` of answers: table, or json for programs", Value: outputTable},
		&cli.StringFlag{Name: "request-id", Usage: "`ID` of a change: made again within ten minutes with the same id, it is done once"},
	}
}

// Formats of answers.
const (
	outputTable = "table"
	outputJSON  = "json"
)

func checkGlobals(c *cli.Context) error {
	if o := c.String("output"); !slices.Contains([]string{outputTable, outputJSON}, o) {
		return usagef("-o %s is no format: use table or json", o)
	}
	if user := c.String("user"); !api.ValidUserID(user) {
		return usagef("%q is no id of a user: give one with --user or BELFRY_USER", user)
	}
	if prefix := c.String("prefix"); prefix == "" || !api.SubjectPrefix(prefix).Valid() {
		return usagef("--prefix %q cannot be used: give 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit", prefix)
	}
	if n := len(c.String("request-id")); n > api.RequestIDLengthMax {
		return usagef("--request-id has %d characters: use at most %d", n, api.RequestIDLengthMax)
	}
	return nil
}

// The help of the program and of each command. Description holds the example.
const (
	appHelp = `{{.Name}} - {{.Usage}}

Usage:
   {{.Name}} [options] COMMAND [options]

Commands:{{template "visibleCommandTemplate" .}}

Example:
   {{wrap .Description 3}}

Options (anywhere on the line):{{template "visibleFlagTemplate" .}}
`
	commandHelp = `{{.HelpName}} - {{.Usage}}

Usage:
   {{.HelpName}}{{if .VisibleCommands}} COMMAND{{end}}{{if .ArgsUsage}} {{.ArgsUsage}}{{end}} [options]{{if .VisibleCommands}}

Commands:{{template "visibleCommandTemplate" .}}{{end}}

Example:
   {{wrap .Description 3}}

Options (besides those of belfry --help, such as -o json):{{template "visibleFlagTemplate" .}}
`
)
