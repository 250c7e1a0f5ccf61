package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTranscripts holds the command line to the files testdata/*.txt:
//
//	$ belfry item cancel greet      a command, with single quotes and < FILE
//	> admin item.cancel {"id":…}    what it asked, with the request id if it was given
//	ID  NAME …                      standard output, as it is
//	! belfry: …                     standard error
//	= 1                             the exit status, unless it is 0
//
// go test ./cli -update writes what is, for a person to read.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b := startBelfry(t)
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for line := range strings.Lines(string(want)) {
				if command, ok := strings.CutPrefix(line, "$ belfry"); ok {
					got.WriteString(line)
					got.WriteString(transcribe(t, b, words(command)))
				} else if strings.HasPrefix(line, "#") {
					got.WriteString(line)
				}
			}
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got.String() != string(want) {
				t.Errorf("%s differs (read it, then: go test ./cli -update)\n%s", file, difference(string(want), got.String()))
			}
		})
	}
}

var update = flag.Bool("update", false, "write the transcripts anew")

// transcribe runs a command and writes down what came of it.
func transcribe(t *testing.T, b *belfry, args []string) string {
	t.Helper()
	b.forget()
	var in, out, errs bytes.Buffer
	if n := len(args); n >= 2 && args[n-2] == "<" {
		text, err := os.ReadFile(args[n-1])
		if err != nil {
			t.Fatal(err)
		}
		in.Write(text)
		args = args[:n-2]
	}
	term := &terminal{in: &in, out: &out, errs: &errs, now: func() time.Time {
		return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	}}
	status := term.report(term.run(t.Context(), append([]string{"belfry"}, args...)))
	var text strings.Builder
	for _, asked := range b.forget() {
		fmt.Fprintln(&text, ">", asked)
	}
	text.Write(out.Bytes())
	for line := range strings.Lines(strings.ReplaceAll(errs.String(), b.url, "nats://HERE")) {
		fmt.Fprint(&text, "! ", line)
	}
	if status != 0 {
		fmt.Fprintln(&text, "=", status)
	}
	text.WriteString("\n")
	return text.String()
}

// words splits a line as a shell does, as far as the transcripts need it.
func words(line string) []string {
	var all []string
	word, quoted, begun := "", false, false
	for _, r := range strings.TrimSpace(line) + " " {
		switch {
		case r == '\'':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if begun {
				all = append(all, word)
			}
			word, begun = "", false
		default:
			word, begun = word+string(r), true
		}
	}
	return all
}

// difference shows the first line that differs.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant %q\ngot  %q", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("want %d lines, got %d", len(w), len(g))
}
