package arch

import (
	"strings"
	"testing"
)

// Each rule is run over sources that break it, and over ones that only look as
// if they did. A rule that finds nothing here would find nothing anywhere.

func TestControls(t *testing.T) {
	entries := []entry{
		{path: "log", pure: true},
		{path: "node", imports: "log node/... testing/check"},
		{path: "node/api"},
		{path: "testing/sim", imports: everything},
	}
	onMap := func(rule func(*tree, []entry) []finding) func(*tree) []finding {
		return func(source *tree) []finding { return rule(source, entries) }
	}
	long := func(lines int) string { return "package a\n" + strings.Repeat("\n", lines-1) }

	for _, test := range []struct {
		name    string
		rule    func(*tree) []finding
		sources map[string]string
		want    []string // the beginnings of the findings, in order
	}{
		{
			"a package that is not on the map", onMap(unknownPackages),
			map[string]string{"util/a.go": "package util", "util/b.go": "package util", "node/a.go": "package node"},
			[]string{"util/a.go:1: package util is not on the map"},
		},
		{
			"an arrow that is not on the map", onMap(strangeArrows),
			map[string]string{
				"log/a.go":         "package log\n\nimport _ \"example.com/m/node/api\"",
				"log/b.go":         "package log\n\nimport _ \"example.com/m/node/api\"",
				"log/a_test.go":    "package log\n\nimport _ \"example.com/m/node\"",
				"node/a.go":        "package node\n\nimport (\n\t_ \"example.com/m/log\"\n\t_ \"example.com/m/node/api\"\n)",
				"node/api/a.go":    "package api\n\nimport _ \"example.com/m/node\"",
				"testing/sim/a.go": "package sim\n\nimport _ \"example.com/m/node\"",
			},
			[]string{"log/a.go:3: log may not import node/api", "node/api/a.go:3: node/api may not import node"},
		},
		{
			"test code in a product", testCodeInProducts,
			map[string]string{
				"node/a.go":        "package node\n\nimport (\n\t_ \"testing\"\n\t_ \"testing/synctest\"\n\t_ \"pgregory.net/rapid\"\n\t_ \"example.com/m/testing/sim\"\n)",
				"node/a_test.go":   "package node\n\nimport _ \"testing\"",
				"testing/sim/a.go": "package sim\n\nimport _ \"testing\"",
			},
			[]string{
				"node/a.go:4: product code imports testing,", "node/a.go:5: product code imports testing/synctest",
				"node/a.go:6: product code imports pgregory", "node/a.go:7: product code imports example.com/m/testing/sim",
			},
		},
		{
			"the judge where the map has no arrow to it", onMap(strangeArrows),
			map[string]string{
				"node/a.go":     "package node\n\nimport _ \"example.com/m/testing/check\"",
				"node/api/a.go": "package api\n\nimport _ \"example.com/m/testing/check\"",
			},
			[]string{"node/api/a.go:3: node/api may not import testing/check"},
		},
		{
			"test code in the judge", testCodeInProducts,
			map[string]string{
				"node/a.go":               "package node\n\nimport _ \"example.com/m/testing/check\"",
				"testing/check/a.go":      "package check\n\nimport _ \"testing\"",
				"testing/check/a_test.go": "package check\n\nimport _ \"testing\"",
				"testing/sim/a.go":        "package sim\n\nimport _ \"testing\"",
			},
			[]string{"testing/check/a.go:3: product code imports testing,"},
		},
		{
			"a judge that depends on somebody", dependentJudges,
			map[string]string{
				"testing/check/a.go":      "package check\n\nimport (\n\t_ \"encoding/json\"\n\t_ \"example.com/m/testing/check/crontab\"\n\t_ \"example.com/m/node\"\n\t_ \"example.com/other\"\n)",
				"testing/check/a_test.go": "package check\n\nimport _ \"example.com/m/node\"",
				"testing/sim/a.go":        "package sim\n\nimport _ \"example.com/m/node\"",
			},
			[]string{"testing/check/a.go:6: the judge may not import example.com/m/node", "testing/check/a.go:7: the judge may not import example.com/other"},
		},
		{
			"urfave outside cli", strayLibraries,
			map[string]string{
				"node/a.go":  "package node\n\nimport _ \"github.com/urfave/cli/v2\"",
				"cli/a.go":   "package cli\n\nimport _ \"github.com/urfave/cli/v2\"",
				"cli/b/a.go": "package main\n\nimport _ \"github.com/urfave/cli/v2\"",
			},
			[]string{"node/a.go:3: only cli knows github.com/urfave/cli"},
		},
		{
			"an impure import", onMap(impurities),
			map[string]string{
				"log/a.go":      "package log\n\nimport (\n\t_ \"log/slog\"\n\t_ \"math/rand/v2\"\n\t_ \"os\"\n\t_ \"net/http\"\n\t_ \"github.com/nats-io/nats.go\"\n\t_ \"strings\"\n\t_ \"time\"\n)",
				"log/a_test.go": "package log\n\nimport _ \"os\"",
				"node/a.go":     "package node\n\nimport _ \"os\"",
			},
			[]string{
				"log/a.go:4: log is pure and may not import log/slog", "log/a.go:5: log is pure and may not import math/rand/v2",
				"log/a.go:6: log is pure and may not import os", "log/a.go:7: log is pure and may not import net/http",
				"log/a.go:8: log is pure and may not import github.com/nats-io/nats.go",
			},
		},
		{
			"the clock in a pure package", onMap(impurities),
			map[string]string{
				"log/a.go": "package log\n\nimport \"time\"\n\nvar a = time.Now\n\nfunc f(d time.Duration) { time.Sleep(d) }",
				"log/b.go": "package log\n\nimport clock \"time\"\n\nfunc g() time { return clock.Since(clock.Time{}) }",
				"log/c.go": "package log\n\nimport . \"time\"",
				"log/d.go": "package log\n\nfunc h() { var time struct{ Now int }; _ = time.Now }",
				"log/e.go": "package log\n\nimport \"time\"\n\nfunc k(at time.Time) time.Time { return at.Add(time.Second).UTC() }",
			},
			[]string{
				"log/a.go:5: log is pure and may not use time.Now", "log/a.go:7: log is pure and may not use time.Sleep",
				"log/b.go:5: log is pure and may not use time.Since", "log/c.go:3: log is pure: a dot import",
			},
		},
		{
			"a file that is too long", longFiles,
			map[string]string{
				"a/a.go": long(501), "a/b.go": long(500), "a/a_test.go": long(701), "a/b_test.go": long(700),
				"a/shim.py": strings.Repeat("\n", 501),
			},
			[]string{"a/a.go:1: 501 lines are more than 500", "a/a_test.go:1: 701 lines are more than 700", "a/shim.py:1: 501 lines"},
		},
		{
			"a main that does something", longMain,
			map[string]string{"cli/belfry/main.go": long(30), "cli/main.go": long(30)},
			[]string{"cli/belfry/main.go:1: main has 30 lines"},
		},
		{
			"a package that does not say what it is", missingComments,
			map[string]string{
				"a/doc.go": "// Package a is good.\npackage a", "a/a.go": "package a",
				"b/doc.go": "package b", "c/doc.go": "// This is c.\npackage c",
				"d/d.go":    "// Package d is in the wrong file.\npackage d",
				"e/main.go": "// Command e runs.\npackage main",
				"f/doc.go":  "// Package main runs.\npackage main",
			},
			[]string{
				"b/doc.go:1: package b has no doc.go", "c/doc.go:1: package c has no doc.go", "d/d.go:1: package d has no doc.go",
				"f/doc.go:1: package f has no doc.go",
			},
		},
		{
			"an init function", initFunctions,
			map[string]string{"a/a.go": "package a\n\nfunc init() {}\n\ntype t int\n\nfunc (t) init() {}"},
			[]string{"a/a.go:3: init runs before"},
		},
		{
			"a package that holds what one can wait for", waitingState,
			map[string]string{
				"a/a.go": "package a\n\nvar c chan int\n\nvar d = make(chan int, 1)\n\nvar (\n\te sync.WaitGroup\n\tf = time.NewTimer(0)\n\tg struct{ t *time.Ticker }\n)",
				"a/b.go": "package a\n\nvar h = func() chan int { return make(chan int) }\n\nvar i = time.Second\n\nfunc j() { var c chan int; _ = c }",
			},
			[]string{
				"a/a.go:3: package variable c holds a channel", "a/a.go:5: package variable d holds a channel",
				"a/a.go:8: package variable e holds a sync.WaitGroup", "a/a.go:9: package variable f holds a time.NewTimer",
				"a/a.go:10: package variable g holds a time.Ticker",
			},
		},
		{
			"a large file and a binary",
			func(*tree) []finding {
				return append(append(strayFile("big.txt", make([]byte, 400_001)), strayFile("tool", []byte("\x7fELF\x00"))...),
					append(strayFile("icon.png", []byte{0}), strayFile("a.txt", []byte("text"))...)...)
			},
			nil,
			[]string{"big.txt:1: a file of 400001 bytes in git", "big.txt:1: a binary", "tool:1: a binary in git"},
		},
	} {
		t.Run(test.name, func(t *testing.T) { wantFindings(t, test.rule(plant(t, test.sources)), test.want) })
	}
}

func wantFindings(t *testing.T, got []finding, want []string) {
	t.Helper()
	for i, f := range got {
		if i >= len(want) {
			t.Errorf("one too many: %s", f)
		} else if !strings.HasPrefix(f.String(), want[i]) {
			t.Errorf("found %q, want %q", f, want[i])
		}
		if f.remedy == "" {
			t.Errorf("%s: it does not say what to do", f)
		}
	}
	for _, missing := range want[min(len(got), len(want)):] {
		t.Errorf("not found: %s", missing)
	}
}
