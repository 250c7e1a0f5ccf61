package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
)

// kept is an Output that holds some lines of one attempt, by their numbers.
type kept struct {
	numbers []int
	end     bool
	err     error
}

func (k kept) Read(_ context.Context, _ string, _ int, from OutputPlace, take func(int, eventlog.LogLine) bool) (OutputPlace, bool, error) {
	for _, n := range k.numbers {
		if n <= from.Line {
			continue
		}
		if !take(n, numbered(n)) {
			return from, false, k.err
		}
		from.Line, from.Seq = n, uint64(n)
	}
	return from, k.end, k.err
}

func (k kept) Watch(string) (<-chan struct{}, func()) { return nil, func() {} }

func numbered(n int) eventlog.LogLine { return eventlog.LogLine{Text: fmt.Sprint(n)} }

// told is what the event told that closed an attempt.
func told(lines int, truncated bool, ago time.Duration) *closing {
	c := &closing{reported: true, at: eventlog.TimeOf(time.Now().Add(-ago))}
	c.LogsTruncated = truncated
	for n := range lines {
		c.Logs = append(c.Logs, numbered(n+1))
	}
	return c
}

func TestWhatAnAttemptPrintedIsPutTogether(t *testing.T) {
	long, now := time.Hour, time.Duration(0)
	for name, c := range map[string]struct {
		kept      Output
		ended     *closing
		after     int
		lines     string
		whole     bool
		truncated bool
		late      bool
	}{
		"while it goes on":                    {kept{numbers: []int{1, 2}}, nil, 0, "1 2", true, false, false},
		"what is new while it goes on":        {kept{numbers: []int{1, 2, 3}}, nil, 2, "3", true, false, false},
		"all of it travelled with the report": {kept{numbers: []int{1, 2}}, told(3, false, now), 2, "3", true, false, false},
		"in both places":                      {kept{[]int{1, 2, 3, 4}, true, nil}, told(2, true, now), 0, "1 2 3 4", true, false, false},
		"the end is not there yet":            {kept{numbers: []int{1, 2, 3}}, told(2, true, now), 0, "1 2 3", false, false, true},
		"the end never came":                  {kept{numbers: []int{1, 2, 3}}, told(2, true, long), 0, "1 2 3", true, true, false},
		"a lost chunk that the report has":    {kept{[]int{3, 4}, true, nil}, told(2, true, now), 0, "1 2 3 4", true, false, false},
		"a lost chunk":                        {kept{[]int{1, 2, 5}, true, nil}, told(2, true, now), 0, "1 2 5", true, true, false},
		"a lost chunk while it goes on":       {kept{numbers: []int{1, 4}}, nil, 0, "1 4", true, true, false},
		"nothing is kept any more":            {kept{}, told(2, true, long), 0, "1 2", true, true, false},
		"it cannot be read":                   {kept{err: errors.New("no")}, told(2, true, long), 0, "1 2", true, true, false},
		"nothing keeps it":                    {nil, told(2, true, now), 0, "1 2", true, true, false},
		"its executor was lost":               {kept{numbers: []int{1, 2}}, &closing{}, 1, "2", true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Service{cfg: Config{Output: c.kept, Logger: slog.New(slog.DiscardHandler)}}
			answer := api.RunLogs{}
			p := &logPage{answer: &answer, at: OutputPlace{Line: c.after}, parts: true}
			whole := p.fill(t.Context(), s, "run_1", 1, c.ended)
			var texts []string
			for _, l := range answer.Lines {
				texts = append(texts, l.Text)
			}
			if got := strings.Join(texts, " "); got != c.lines || whole != c.whole || answer.Truncated != c.truncated || (p.late > 0) != c.late {
				t.Errorf("lines %q, whole %t, truncated %t, late %v", got, whole, answer.Truncated, p.late)
			}
		})
	}
}

// A page that is full goes on where it ended, whatever the lines need as JSON.
func TestOutputComesInPages(t *testing.T) {
	const lines = 200
	c := told(0, true, time.Hour)
	for range lines {
		c.Logs = append(c.Logs, eventlog.LogLine{Text: strings.Repeat("\x00", 4<<10)})
	}
	s := &Service{cfg: Config{Output: kept{end: true}, Logger: slog.New(slog.DiscardHandler)}}
	at, got, pages := OutputPlace{}, 0, 0
	for whole := false; !whole && pages < lines; pages++ {
		answer := api.RunLogs{}
		p := &logPage{answer: &answer, at: at, parts: true}
		whole = p.fill(t.Context(), s, "run_1", 1, c)
		if len(answer.Lines) == 0 || 6*4096*len(answer.Lines) > api.PageBytesMax || answer.Truncated {
			t.Fatalf("a page of %d lines, truncated %t", len(answer.Lines), answer.Truncated)
		}
		at, got = p.at, got+len(answer.Lines)
	}
	if got != lines || pages < 8 {
		t.Errorf("%d lines on %d pages", got, pages)
	}
}
