package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node/api"
)

func (t *terminal) functionCommand() *cli.Command {
	n := noun[api.Function]{"function", "NAME_OR_ID", []column[api.Function]{
		{"ID", func(f api.Function) string { return f.ID }},
		{"NAME", func(f api.Function) string { return f.Name }},
		{"VERSION", func(f api.Function) string { return strconv.Itoa(f.Version) }},
		{"POOL", func(f api.Function) string { return f.Pool }},
		{"TIMEOUT", func(f api.Function) string { return f.Timeout.String() }},
		{"MEMORY", func(f api.Function) string { return f.MemoryLimit.String() }},
		{"MODIFIED", func(f api.Function) string { return second(f.ModifiedDate) }},
	}}
	return t.group("function", "Python code with a name, which triggers and items run",
		n.asks(verb{
			name: "create", usage: "store Python code that defines execute(current_user, **kwargs)",
			example: "belfry function create --name hello --file hello.py",
			flags:   append(functionFlags(), text("id", "an `ID` of your own: fun_ and 16 to 36 letters and digits")),
			needs:   []string{"name", "file"},
		}, func(_ context.Context, s *session) (any, error) {
			in, err := functionInput(s)
			in.ID = s.line.String("id")
			return in, err
		}),
		n.get("belfry function get hello"),
		n.list("belfry function list", nil, func(_ context.Context, _ *session, page api.List) (any, error) { return page, nil }),
		n.update("belfry function update hello --file hello.py", functionFlags(), func(s *session) (func(string) any, error) {
			in, err := functionInput(s)
			in.IfRevision = s.ifRevision()
			return func(id string) any { in.ID = id; return in }, err
		}),
		n.delete("belfry function delete hello"),
		functionVersions(n.takes),
		runFunction(n.takes),
	)
}

func functionFlags() []cli.Flag {
	return []cli.Flag{
		text("name", "its `NAME`, which no other function has"),
		text("file", "the `FILE` with the code; - for standard input"),
		text("description", "`TEXT` for people"),
		text("timeout", "how long a run may take: a `DURATION` such as 90s (default: 5m)"),
		text("memory-limit", "how much memory a run may use: a `SIZE` such as 1GiB (default: 512MiB)"),
		text("retry", "attempts when the code raises or times out: a `NUMBER`, or {\"max_attempts\": 3, \"backoff\": \"10s\"}"),
		text("on-executor-loss", "`WHAT` follows when an executor is lost: retry or fail (default: retry)"),
		text("pool", "the `POOL` of executors that run it (default: default)"),
		text("isolation", "`HOW` runs share processes: warm, or fresh for a process of its own (default: warm)"),
		text("sandbox", "the least `LEVEL` to run in: none, process, restricted or isolated (default: the executor's own)"),
		text("cpu-limit", "how much processor time a run may use: a `DURATION` such as 30s (default: 0s, no limit)"),
		whole("process-limit", "how many processes and threads a run may have: a `NUMBER`", "64"),
		whole("file-limit", "how many files each process of a run may hold open: a `NUMBER`", "256"),
		text("output-limit", "how much output of a run is kept: a `SIZE` such as 64KiB (default: 1MiB)"),
		&cli.StringSliceFlag{Name: "env", Usage: "a variable of the executor that the code gets, by `NAME`; again for each; '' for none"},
	}
}

func functionInput(s *session) (api.FunctionInput, error) {
	in := api.FunctionInput{
		Name:           s.text("name"),
		Description:    s.text("description"),
		Timeout:        s.text("timeout"),
		MemoryLimit:    s.text("memory-limit"),
		OnExecutorLoss: s.text("on-executor-loss"),
		Pool:           s.text("pool"),
		Isolation:      s.text("isolation"),
		Sandbox:        s.text("sandbox"),
		CPULimit:       s.text("cpu-limit"),
		ProcessLimit:   given(s, "process-limit", s.line.Int),
		FileLimit:      given(s, "file-limit", s.line.Int),
		OutputLimit:    s.text("output-limit"),
		Env:            given(s, "env", s.env),
	}
	var err error
	if in.Retry, err = s.retry(); err != nil {
		return in, err
	}
	in.Code, err = s.file("file")
	return in, err
}

// env is the list of names that a flag gave; one that is empty stands for none,
// so that an update can take all away.
func (s *session) env(flag string) []string {
	names := s.line.StringSlice(flag)
	if len(names) == 1 && names[0] == "" {
		return []string{}
	}
	return names
}

func functionVersions(takes string) verb {
	columns := []column[api.FunctionVersion]{
		{"VERSION", func(v api.FunctionVersion) string { return strconv.Itoa(v.Version) }},
		{"MODIFIED", func(v api.FunctionVersion) string { return second(v.ModifiedDate) }},
		{"BY", func(v api.FunctionVersion) string { return v.ModifiedBy }},
		{"LINES", func(v api.FunctionVersion) string {
			return strconv.Itoa(strings.Count(strings.TrimRight(v.Code, "\n"), "\n") + 1)
		}},
	}
	return verb{
		name: "versions", usage: "list all versions of the code of one function; -o json shows the code", takes: takes,
		example: "belfry function versions hello",
		do: func(ctx context.Context, s *session) error {
			raw, err := s.ask(ctx, "function", "versions", api.GetOf("function", s.arg()))
			if err != nil {
				return err
			}
			if s.json() {
				return s.printJSON(raw)
			}
			answer, err := read[api.FunctionVersions](raw)
			if err != nil {
				return err
			}
			return table(s.out, columns, answer.Versions, true)
		},
	}
}
