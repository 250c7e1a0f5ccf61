package cli

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange brings a command line into the order that the flag package reads:
// global flags first, then the command, its flags, and its argument. People
// write "belfry item list -o json" and "belfry item cancel greet --reason late";
// without arrange, the first would be an unknown flag and the second a lost one.
// The word help before the end of the command is the flag.
func arrange(app *cli.App, args []string) ([]string, error) {
	p := place{app: app, commands: app.Commands, flags: app.Flags, name: app.Name}
	var global, local, help, rest []string
	for i := 1; i < len(args); i++ {
		word := args[i]
		switch {
		case word == "--":
			rest = append(rest, args[i+1:]...)
			i = len(args)
		case isFlag(word):
			flag, isGlobal, err := p.flag(word)
			if err != nil {
				return nil, err
			}
			words := []string{word}
			if takesValue(flag) && !strings.Contains(word, "=") {
				if i++; i == len(args) {
					return nil, usagef("%s needs a value: see %s --help", word, p.name)
				}
				words = append(words, args[i])
			}
			if isGlobal {
				global = append(global, words...)
			} else {
				local = append(local, words...)
			}
		case len(p.commands) > 0 && word == "help":
			help = []string{"--help"} // belfry help item create
		case len(p.commands) > 0:
			if err := p.descend(word); err != nil {
				return nil, err
			}
			local = append(local, word)
		default:
			rest = append(rest, word)
		}
	}
	if len(rest) > 0 {
		rest = append([]string{"--"}, rest...)
	}
	return slices.Concat(args[:min(1, len(args))], global, local, help, rest), nil
}

// place is how far into the tree of commands a line has led.
type place struct {
	app      *cli.App
	commands []*cli.Command // that may follow
	flags    []cli.Flag     // of the command
	name     string         // belfry item create
}

// descend goes to a command.
func (p *place) descend(name string) error {
	for _, c := range p.commands {
		if c.HasName(name) {
			p.commands, p.flags, p.name = c.Subcommands, c.Flags, p.name+" "+c.Name
			return nil
		}
	}
	alike := cli.SuggestCommand(p.commands, name)
	if name == "" || !strings.Contains(alike, `"`+name[:1]) {
		return usagef("there is no command %q: see %s --help", p.name+" "+name, p.name)
	}
	return usagef("there is no command %q: %s See %s --help", p.name+" "+name, strings.ToLower(alike), p.name)
}

// flag finds a flag by a word such as --name=N; the command's own hides a
// global one of the same name.
func (p *place) flag(word string) (_ cli.Flag, global bool, _ error) {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	if flag := find(append([]cli.Flag{cli.HelpFlag}, p.flags...), name); flag != nil {
		return flag, false, nil
	}
	if flag := find(append([]cli.Flag{cli.VersionFlag}, p.app.Flags...), name); flag != nil {
		return flag, true, nil
	}
	alike := cli.SuggestFlag(slices.Concat(p.flags, p.app.Flags), name, false)
	if name == "" || !strings.HasPrefix(alike, "--"+name[:1]) {
		return nil, false, usagef("there is no flag %s: see %s --help", word, p.name)
	}
	return nil, false, usagef("there is no flag %s: did you mean %s? See %s --help", word, alike, p.name)
}

func find(flags []cli.Flag, name string) cli.Flag {
	for _, flag := range flags {
		if slices.Contains(flag.Names(), name) {
			return flag
		}
	}
	return nil
}

// isFlag says whether a word is one; "-" is standard input.
func isFlag(word string) bool {
	return len(word) > 1 && word[0] == '-'
}

func takesValue(flag cli.Flag) bool {
	documented, ok := flag.(cli.DocGenerationFlag)
	return ok && documented.TakesValue()
}
