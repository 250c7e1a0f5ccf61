package cli

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node/api"
)

// run is Main with what it wrote.
func run(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	status = Main(t.Context(), append([]string{"belfry"}, args...), strings.NewReader(""), &o, &e)
	return status, o.String(), e.String()
}

// walk visits each command with its path.
func walk(commands []*cli.Command, path []string, visit func(*cli.Command, []string)) {
	for _, c := range commands {
		here := append(slices.Clone(path), c.Name)
		visit(c, here)
		walk(c.Subcommands, here, visit)
	}
}

func TestEveryCommandHasHelpWithAnExampleThatIsRight(t *testing.T) {
	app := (&terminal{}).app()
	check := func(text string, path []string) {
		for _, line := range []string{"--help", "-h"} {
			status, out, errs := run(t, append(slices.Clone(path), line)...)
			if status != exitDone || errs != "" || !strings.Contains(out, "Example:\n   ") {
				t.Errorf("%v %s: status %d, standard error %q, help %q", path, line, status, errs, out)
			}
		}
		examples := 0
		for line := range strings.Lines(text) {
			if _, rest, found := strings.Cut(line, "belfry "); found && !strings.Contains(line, "<(") {
				examples++
				if _, err := arrange(app, append([]string{"belfry"}, words(rest)...)); err != nil {
					t.Errorf("%v: the example %q is wrong: %v", path, line, err)
				}
			}
		}
		if examples == 0 && !slices.Contains(path, "completion") {
			t.Errorf("%v has no example", path)
		}
	}
	check(app.Description, nil)
	walk(app.Commands, nil, func(c *cli.Command, path []string) { check(c.Description, path) })
}

func TestEveryVerbHasACommand(t *testing.T) {
	app := (&terminal{}).app()
	for entity, verbs := range api.Verbs() {
		for _, verb := range verbs {
			group := app.Command(entity)
			if group == nil || group.Command(strings.ReplaceAll(verb, "_", "-")) == nil {
				t.Errorf("there is no command for %s.%s", entity, verb)
			}
		}
	}
}

func TestHelpComesFromAnyPlace(t *testing.T) {
	_, want, _ := run(t, "item", "create", "--help")
	for _, line := range []string{"help item create", "item help create", "--help item create", "item --help create", "item create --name x --help", "-o json item create -h"} {
		status, got, errs := run(t, strings.Fields(line)...)
		if line == "--help item create" || line == "item --help create" {
			if status != exitDone || !strings.Contains(got, "Example:") || errs != "" {
				t.Errorf("%s: %d %q %q", line, status, got, errs)
			}
			continue
		}
		if status != exitDone || got != want || errs != "" {
			t.Errorf("%s: %d %q %q, want the help of item create", line, status, got, errs)
		}
	}
	if status, out, errs := run(t); status != exitDone || !strings.Contains(out, "Commands:") || errs != "" {
		t.Errorf("belfry alone: %d %q %q, want its help", status, out, errs)
	}
}

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"-v"}, {"item", "list", "--version"}} {
		status, out, errs := run(t, args...)
		if status != exitDone || !strings.HasPrefix(out, "belfry version "+Version) || strings.Count(out, "\n") != 1 || errs != "" {
			t.Errorf("%v: %d %q %q", args, status, out, errs)
		}
	}
}

func TestWhereThereIsNoBelfryOneLineSaysWhatToDo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // a server, but not of NATS
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "220 mail.example.com\r\n")
			_ = conn.Close()
		}
	}()
	for _, url := range []string{"nats://127.0.0.1:1", "nats://" + l.Addr().String(), "nats://[", "http://127.0.0.1:1"} {
		status, out, errs := run(t, "--nats", url, "item", "list")
		if status != exitFailed || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "belfry: unavailable: ") {
			t.Errorf("%s: %d %q %q", url, status, out, errs)
		}
	}
}

func TestTheEnvironmentSaysWhereAndWhoUnlessTheLineDoes(t *testing.T) {
	b := startBelfry(t)
	t.Setenv("BELFRY_USER", "ann")
	if status, _, errs := run(t, "cluster", "status"); status != exitDone {
		t.Fatal(errs)
	}
	if status, _, errs := run(t, "cluster", "status", "--user", "bob"); status != exitDone {
		t.Fatal(errs)
	}
	t.Setenv("BELFRY_NATS", "nats://127.0.0.1:1")
	if status, _, errs := run(t, "cluster", "status", "--nats", b.url); status != exitDone {
		t.Fatal(errs)
	}
	want := []string{"ann cluster.status {}", "bob cluster.status {}", "ann cluster.status {}"}
	if got := b.forget(); !slices.Equal(got, want) {
		t.Errorf("asked %v, want %v", got, want)
	}
}

// full is a disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestAnAnswerThatCannotBeWrittenIsAnError(t *testing.T) {
	startBelfry(t)
	for _, line := range []string{
		"item list", "item list -o json", "item list --all -o json", "item get greet", "item get greet -o json",
		"item cancel greet", "function delete hello", "function versions hello", "cluster status", "audit events",
		"run logs run_01KAQ3V9M2Z8Y4T6R1W5X7GRT0", "item create-many --file testdata/items.json", "completion bash",
		"item create --name greet --in 0s --function hello --wait", "run logs run_01KAQ3V9M2Z8Y4T6R1W5X7F011 -f",
	} {
		var errs bytes.Buffer
		status := Main(t.Context(), append([]string{"belfry"}, strings.Fields(line)...), nil, full{}, &errs)
		if status != exitFailed || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%s: %d %q", line, status, errs.String())
		}
	}
}
