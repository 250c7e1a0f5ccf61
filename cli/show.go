package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
)

// Widths of the cells of a table, in characters. Ids fit; the last cell has
// nothing beside it, and may say what to do.
const (
	cellWidthMax = 40
	lastWidthMax = 160
)

// column is one of a table of records.
type column[R any] struct {
	head string
	cell func(R) string
}

// read decodes an answer. What was stored once is readable.
func read[R any](raw jsontext.Value) (R, error) {
	var r R
	if err := json.Unmarshal(raw, &r, lenient()); err != nil {
		return r, fmt.Errorf("the answer is not understood: %w: use the belfry of the server's version, or -o json", err)
	}
	return r, nil
}

func lenient() json.Options {
	return json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

// printJSON writes an answer exactly as it came, on a line of its own.
func (s *session) printJSON(raw jsontext.Value) error {
	_, err := fmt.Fprintf(s.out, "%s\n", raw)
	return err
}

// table writes records as rows; the heads too when they are the first ones.
func table[R any](w io.Writer, columns []column[R], records []R, first bool) error {
	var rows [][]string
	if first {
		var heads []string
		for _, c := range columns {
			heads = append(heads, c.head)
		}
		rows = append(rows, heads)
	}
	for _, r := range records {
		var row []string
		for i, c := range columns {
			most := cellWidthMax
			if i == len(columns)-1 {
				most = lastWidthMax
			}
			row = append(row, short(c.cell(r), most))
		}
		rows = append(rows, row)
	}
	return align(w, rows)
}

// align writes rows with their cells below each other.
func align(w io.Writer, rows [][]string) error {
	var text strings.Builder
	aligned := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(aligned, strings.Join(row, "\t")) // a Builder takes everything
	}
	_ = aligned.Flush()
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// short makes a text fit for a cell: one line, no control characters that a
// terminal would obey, and at most n characters. What is nothing is shown.
func short(s string, n int) string {
	s = clean(s)
	if s == "" {
		return "-"
	}
	if utf8.RuneCountInString(s) > n {
		return string([]rune(s)[:n-1]) + "…"
	}
	return s
}

func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r):
			return '?'
		}
		return r
	}, s)
}

// second is a time in a table, where milliseconds would be noise.
func second(t eventlog.Time) string {
	if t == 0 {
		return ""
	}
	return t.Std().Format(time.RFC3339)
}

// called is how people call another record.
func called(ref eventlog.Ref) string { return cmp.Or(ref.Name, ref.ID) }

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
