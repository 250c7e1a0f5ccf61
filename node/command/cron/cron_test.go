package cron_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/command/cron"
)

func TestErrorsNameFieldAndPosition(t *testing.T) {
	for _, test := range []struct {
		expression, field string
		position          int
		says              string
	}{
		{"", "", 0, "0 fields"},
		{"* * * *", "", 7, "4 fields"},
		{"* * * * * * *", "", 13, "7 fields"},
		{"60 * * * *", "minute", 0, "out of range"},
		{"* 24 * * *", "hour", 2, "out of range"},
		{"* * 0 * *", "day-of-month", 4, "out of range"},
		{"* * * 13 *", "month", 6, "out of range"},
		{"* * * * 8", "day-of-week", 8, "out of range"},
		{"60 * * * * *", "second", 0, "out of range"},
		{"1,,2 * * * *", "minute", 2, "empty"},
		{"1, * * * *", "minute", 2, "empty"},
		{"*/0 * * * *", "minute", 2, "not a step"},
		{"*/x * * * *", "minute", 2, "not a step"},
		{"* 5-1 * * *", "hour", 2, "ends before"},
		{"* * L * *", "day-of-month", 4, "not a value"},
		{"* * ? * *", "day-of-month", 4, "not a value"},
		{"* * * JANUARY *", "month", 6, "not a value"},
		{"* * * * MON#2", "day-of-week", 8, "not a value"},
		{"  0 0  99999999999999999999 * *", "day-of-month", 7, "out of range"},
		{"0 0 30 2 *", "day-of-month", 4, "never fires"},
		{"0 0 31 4,6,9,11 *", "day-of-month", 4, "never fires"},
		{"0 0 30 2 */2", "day-of-month", 4, "never fires"},
		{"@reboot", "", 0, "not known"},
		{"@every", "", 0, "not known"},
		{"@every never", "", 7, "not a duration"},
		{"@every 10ms", "", 7, "out of range"},
		{"@every 4000d", "", 7, "out of range"},
		{"TZ=UTC 0 0 * * *", "second", 0, "not a value"},
		{"0 0 * *\n*", "", 7, "character"},
		{strings.Repeat("*", 10_000), "", 500, "shorten"},
	} {
		_, err := cron.Parse(test.expression)
		if err == nil {
			t.Errorf("%q was accepted", test.expression)
			continue
		}
		if err.Field != test.field || err.Position != test.position || !strings.Contains(err.Message, test.says) {
			t.Errorf("%q: %+v, want %s at %d with %q", test.expression, *err, test.field, test.position, test.says)
		}
	}
}

// What crontab.guru says comes next.
func TestNext(t *testing.T) {
	at := func(s string) time.Time {
		moment, err := time.Parse("2006-01-02 15:04:05", s)
		if err != nil {
			t.Fatal(err)
		}
		return moment
	}
	for _, test := range []struct{ expression, after, want string }{
		{"0 12 * * 5", "2026-11-24 13:00:00", "2026-11-27 12:00:00"},
		{"0 8 * * 1", "2026-11-30 08:00:00", "2026-12-07 08:00:00"},
		{"*/15 * * * *", "2026-11-24 13:07:00", "2026-11-24 13:15:00"},
		{"0 0 13 * FRI", "2026-11-24 00:00:00", "2026-11-27 00:00:00"}, // either
		{"0 0 */100,1-7 * MON", "2026-11-24 00:00:00", "2026-12-07 00:00:00"},
		{"0 0 29 2 *", "2096-03-01 00:00:00", "2104-02-29 00:00:00"},
		{"0 0 29 2 */7", "2088-03-01 00:00:00", "2128-02-29 00:00:00"},
		{"0 0 * * 7", "2026-11-24 00:00:00", "2026-11-29 00:00:00"},
		{"0 0 * * 5-7", "2026-11-28 00:00:00", "2026-11-29 00:00:00"},
		{"0 0 1 1/3 *", "2026-11-24 00:00:00", "2027-01-01 00:00:00"},
		{"30 */10 * * * *", "2026-11-24 13:00:30", "2026-11-24 13:10:30"},
		{"@yearly", "2026-12-31 23:59:59", "2027-01-01 00:00:00"},
		{"@Hourly", "2026-12-31 23:00:00", "2027-01-01 00:00:00"},
		{"@every 90m", "2026-01-01 03:00:00", "2026-01-01 04:30:00"},
		{"@every 3d", "2025-01-01 03:00:00", "2026-01-04 00:00:00"},
	} {
		s, wrong := cron.Parse(test.expression)
		if wrong != nil {
			t.Errorf("%q: %v", test.expression, wrong)
			continue
		}
		if got := s.Next(at("2026-01-01 00:00:00"), at(test.after)); !got.Equal(at(test.want)) {
			t.Errorf("%q after %s: %s, want %s", test.expression, test.after, got, test.want)
		}
	}
}

func TestSpacesDoNotCount(t *testing.T) {
	s, err := cron.Parse(" \t0  12 * *\t5 ")
	if err != nil {
		t.Fatal(err)
	}
	if s.String() != "0  12 * *\t5" {
		t.Errorf("it is written %q", s)
	}
}

// No expression makes Parse panic, and what it accepts fires.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"0 12 * * 5", "*/15 * * * *", "1-5/2,7 0 1 jan mon-fri", "@every 1h", "@daily", "0 0 29 2 *", "59 59 23 31 12 7"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, expression string) {
		s, err := cron.Parse(expression)
		if err != nil {
			if err.Position < 0 || err.Position > len(expression) || err.Message == "" {
				t.Errorf("%q: %+v", expression, err)
			}
			return
		}
		if next := s.Next(now, now); !next.After(now) {
			t.Errorf("%q never fires: %s", expression, next)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := cron.Parse("0 12 * * 5"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	s, _ := cron.Parse("0 12 * * 5")
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for b.Loop() {
		s.Next(now, now)
	}
}

func BenchmarkMissedYear(b *testing.B) {
	s, _ := cron.Parse("* * * * * *")
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for b.Loop() {
		s.Missed(now, now, now.AddDate(1, 0, 0))
	}
}
