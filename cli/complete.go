package cli

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"
)

// completeFlag ends the line that a shell asks about; every urfave program
// knows it by this name.
const completeFlag = "--generate-bash-completion"

// completing gives the words of a line that is to be completed.
func completing(args []string) (words []string, ok bool) {
	if last := len(args) - 1; last > 0 && args[last] == completeFlag {
		return args[1:last], true
	}
	return nil, false
}

// complete lists what may follow: flags when the last word has begun as one,
// else commands.
func complete(app *cli.App, words []string) []string {
	p := place{app: app, commands: app.Commands, flags: app.Flags, name: app.Name}
	for i := 0; i < len(words); i++ {
		switch word := words[i]; {
		case isFlag(word) && i == len(words)-1, word == "-" && i == len(words)-1:
			return flagNames(append(p.flags, app.Flags...))
		case isFlag(word):
			if flag, _, err := p.flag(word); err == nil && takesValue(flag) {
				i++
			}
		default:
			_ = p.descend(word) // an unknown word is an argument
		}
	}
	var names []string
	for _, c := range p.commands {
		names = append(names, c.Name)
	}
	return names
}

func flagNames(flags []cli.Flag) []string {
	var names []string
	seen := map[string]bool{}
	for _, flag := range append(flags, cli.HelpFlag) {
		if name := flag.Names()[0]; !seen[name] {
			seen[name] = true
			names = append(names, "--"+name)
		}
	}
	return names
}

func completionVerb() verb {
	scripts := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
	return verb{
		name: "completion", usage: "print the script that lets a shell complete commands and flags",
		takes:   "bash|zsh|fish",
		example: `source <(belfry completion bash)`,
		do: func(_ context.Context, s *session) error {
			script, ok := scripts[s.arg()]
			if !ok {
				return usagef("there is no completion for %q: use bash, zsh or fish", s.arg())
			}
			_, err := fmt.Fprint(s.out, script)
			return err
		},
	}
}

const (
	bashCompletion = `_belfry() {
  local cur="${COMP_WORDS[COMP_CWORD]}" line=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
  [[ "$cur" == -* ]] && line+=("$cur")
  COMPREPLY=($(compgen -W "$(belfry "${line[@]}" --generate-bash-completion 2>/dev/null)" -- "$cur"))
}
complete -o bashdefault -o default -F _belfry belfry
`
	zshCompletion = `#compdef belfry
_belfry() {
  local -a line options
  line=(${words[2,CURRENT-1]})
  [[ "${words[CURRENT]}" == -* ]] && line+=("${words[CURRENT]}")
  options=(${(f)"$(belfry ${line} --generate-bash-completion 2>/dev/null)"})
  if (( ${#options} )); then compadd -a options; else _files; fi
}
compdef _belfry belfry
`
	fishCompletion = `function __belfry_complete
  set -l line (commandline -opc)
  string match -q -- '-*' (commandline -ct); and set -a line (commandline -ct)
  belfry $line[2..] --generate-bash-completion 2>/dev/null
end
complete -c belfry -a '(__belfry_complete)'
`
)
