package cli

import (
	"slices"
	"strings"
	"testing"
)

func TestArrangePutsGlobalFlagsFirstAndTheArgumentLast(t *testing.T) {
	app := (&terminal{}).app()
	for _, test := range []struct{ line, want string }{
		{"item list", "item list"},
		{"item list -o json", "-o json item list"},
		{"item -o json list --all", "-o json item list --all"},
		{"-o json item list", "-o json item list"},
		{"item list --output=json --limit 5", "--output=json item list --limit 5"},
		{"item cancel greet --reason late", "item cancel --reason late -- greet"},
		{"item cancel --reason late greet --user ann", "--user ann item cancel --reason late -- greet"},
		{"item create --name --wait --wait", "item create --name --wait --wait"},
		{"item create --name x --priority -5", "item create --name x --priority -5"},
		{"function get -- -o", "function get -- -o"},
		{"function get help", "function get -- help"},
		{"function create --file - --name x", "function create --file - --name x"},
		{"item create-many --file -", "item create-many --file -"},
		{"item get - -o json", "-o json item get -- -"},
		{"help item", "item --help"},
		{"", ""},
	} {
		got, err := arrange(app, append([]string{"belfry"}, strings.Fields(test.line)...))
		if err != nil {
			t.Errorf("%s: %v", test.line, err)
			continue
		}
		if want := append([]string{"belfry"}, strings.Fields(test.want)...); !slices.Equal(got, want) {
			t.Errorf("%s\nis  %v\nnot %v", test.line, got, want)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, test := range []struct {
		line string
		some []string
		not  string
	}{
		{"", []string{"item", "function", "up"}, "--nats"},
		{"item", []string{"create", "create-many", "cancel"}, "item"},
		{"-o json item", []string{"create"}, "item"},
		{"item list -", []string{"--status", "--output", "--help"}, "--name"},
		{"item list --s", []string{"--status"}, "list"},
		{"-", []string{"--nats", "--user", "--help"}, "item"},
	} {
		status, out, errs := run(t, append(strings.Fields(test.line), completeFlag)...)
		got := strings.Fields(out)
		if status != exitDone || errs != "" {
			t.Errorf("%s: %d %q", test.line, status, errs)
		}
		for _, want := range test.some {
			if !slices.Contains(got, want) {
				t.Errorf("%q is not completed with %s: %v", test.line, want, got)
			}
		}
		if slices.Contains(got, test.not) || len(slices.Compact(slices.Sorted(slices.Values(got)))) != len(got) {
			t.Errorf("%q is completed with %v", test.line, got)
		}
	}
	for _, line := range []string{"item list", "item get greet", "item list --status"} {
		if status, out, errs := run(t, append(strings.Fields(line), completeFlag)...); status != exitDone || errs != "" || strings.Contains(out, "create") {
			t.Errorf("%s: %d %q %q, want no commands", line, status, out, errs)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if status, out, errs := run(t, "completion", shell); status != exitDone || !strings.Contains(out, completeFlag) || errs != "" {
			t.Errorf("%s: %d %q %q", shell, status, out, errs)
		}
	}
}
