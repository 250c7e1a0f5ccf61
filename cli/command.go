package cli

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"
)

// verb is a command that does something.
type verb struct {
	name    string
	usage   string
	takes   string // its one argument, such as NAME_OR_ID; in brackets if it may be absent, "" for none
	example string
	flags   []cli.Flag
	needs   []string // flags that must be given
	do      func(context.Context, *session) error
}

// command makes a verb a command.
func (t *terminal) command(v verb) *cli.Command {
	return &cli.Command{
		Name:               v.name,
		Usage:              v.usage,
		ArgsUsage:          v.takes,
		Description:        v.example,
		Flags:              v.flags,
		HideHelpCommand:    true, // help may be the name of a function
		CustomHelpTemplate: commandHelp,
		OnUsageError:       wrongUsage,
		Action: func(c *cli.Context) error {
			if err := v.check(c); err != nil {
				return err
			}
			s := &session{terminal: t, line: c}
			defer s.close()
			return v.do(c.Context, s)
		},
	}
}

// group gathers the commands of a noun.
func (t *terminal) group(name, usage string, verbs ...verb) *cli.Command {
	g := &cli.Command{
		Name:               name,
		Usage:              usage,
		Description:        verbs[0].example,
		HideHelpCommand:    true,
		CustomHelpTemplate: commandHelp,
		OnUsageError:       wrongUsage,
	}
	var names []string
	for _, v := range verbs {
		g.Subcommands = append(g.Subcommands, t.command(v))
		names = append(names, v.name)
	}
	g.Action = func(*cli.Context) error {
		return usagef("%s does nothing by itself: add one of %s", name, strings.Join(names, ", "))
	}
	return g
}

// check refuses a line that lacks something, or has too much.
func (v verb) check(c *cli.Context) error {
	see := "see " + c.Command.HelpName + " --help"
	switch n := c.NArg(); {
	case v.takes == "" && n > 0:
		return usagef("%s takes no argument, but got %q: %s", v.name, c.Args().First(), see)
	case strings.HasPrefix(v.takes, "[") && n == 0:
	case v.takes != "" && n != 1:
		return usagef("%s takes one argument, %s, but got %d: %s", v.name, v.takes, n, see)
	case v.takes != "" && c.Args().First() == "":
		return usagef("%s got an empty %s: %s", v.name, v.takes, see)
	}
	for _, flag := range v.needs {
		if !c.IsSet(flag) {
			return usagef("%s needs --%s: %s", v.name, flag, see)
		}
	}
	return nil
}

// wrongUsage rewords what the flag package says of a value.
func wrongUsage(c *cli.Context, err error, _ bool) error {
	return usagef("%s: see %s --help", strings.Replace(err.Error(), "for flag -", "for --", 1), c.Command.HelpName)
}
