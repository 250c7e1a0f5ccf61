package eventlog_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/belfryhq/belfry/eventlog"
)

const day = 24 * time.Hour

func TestDurationsAreReadAndWritten(t *testing.T) {
	for in, want := range map[string]struct {
		length  time.Duration
		written string
	}{
		"5m": {5 * time.Minute, "5m"}, "1h30m": {90 * time.Minute, "1h30m"}, "24h": {day, "24h"}, "90s": {90 * time.Second, "1m30s"},
		"3d": {3 * day, "72h"}, "2w": {14 * day, "336h"}, "1w3d12h": {10*day + 12*time.Hour, "252h"}, "1.5d": {36 * time.Hour, "36h"},
		"1d1h1m1s1ms": {day + time.Hour + time.Minute + time.Second + time.Millisecond, "25h1m1.001s"}, "0s": {0, "0s"}, "0": {0, "0s"}, "0d": {0, "0s"},
		"10m": {10 * time.Minute, "10m"}, "1h": {time.Hour, "1h"}, "20h": {20 * time.Hour, "20h"}, "100ms": {100 * time.Millisecond, "100ms"},
		"1h5s": {time.Hour + 5*time.Second, "1h0m5s"}, "1µs": {time.Microsecond, "1µs"}, "10s": {10 * time.Second, "10s"}, "1m0s": {time.Minute, "1m"},
		"-5m": {-5 * time.Minute, "-5m"},
	} {
		got, err := eventlog.ParseDuration(in)
		if err != nil || time.Duration(got) != want.length || got.String() != want.written {
			t.Errorf("%s is %s (%d), %v, want %s", in, got, got, err, want.written)
		}
	}
	for _, in := range []string{
		"", " ", "5", "d", "w", "3x", "d3", "3d3w", "3d 12h", "-3d", "3d-", "nand", "NaNw", "infd", "1e300d", "100000000000w", "9999999h", "five minutes", "5M", "5 m", "1w1w", "1d1d",
	} {
		if got, err := eventlog.ParseDuration(in); err == nil || !strings.Contains(err.Error(), "1h30m") {
			t.Errorf("%q was read as %s, error %v; want an error that shows how", in, got, err)
		}
	}
}

func TestAnyDurationIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := eventlog.Duration(rapid.Int64Range(-1<<61, 1<<61).Draw(t, "duration"))
		if got, err := eventlog.ParseDuration(want.String()); err != nil || got != want {
			t.Fatalf("%s was read as %s, %v", want, got, err)
		}
	})
}

func TestSizesAreReadAndWritten(t *testing.T) {
	for in, want := range map[string]struct {
		bytes   int64
		written string
	}{
		"512MiB": {512 << 20, "512MiB"}, "1GiB": {1 << 30, "1GiB"}, "1024MiB": {1 << 30, "1GiB"}, "1GB": {1e9, "1000000000B"}, "1KB": {1000, "1000B"},
		"3KiB": {3072, "3KiB"}, "1025": {1025, "1025B"}, "7B": {7, "7B"}, "0": {0, "0B"}, "64 MiB": {64 << 20, "64MiB"}, "2MB": {2e6, "2000000B"}, "4096B": {4096, "4KiB"},
	} {
		got, err := eventlog.ParseSize(in)
		if err != nil || int64(got) != want.bytes || got.String() != want.written {
			t.Errorf("%s is %s (%d), %v, want %s", in, got, got, err, want.written)
		}
	}
	for _, in := range []string{"", "MiB", "-1", "-1MiB", "1.5GiB", "1mib", "1M", "1TiB", "9999999999GiB", "9223372036854775808", "x", "1 2B"} {
		if got, err := eventlog.ParseSize(in); err == nil || !strings.Contains(err.Error(), "512MiB") {
			t.Errorf("%q was read as %s, error %v; want an error that shows how", in, got, err)
		}
	}
}

func TestAnySizeIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := eventlog.Size(rapid.Int64Range(0, 1<<62).Draw(t, "size"))
		if got, err := eventlog.ParseSize(want.String()); err != nil || got != want {
			t.Fatalf("%s was read as %s, %v", want, got, err)
		}
	})
}

func TestTimesAreRead(t *testing.T) {
	for in, want := range map[string]string{
		"2025-06-15T15:06:40Z":             "2025-06-15T15:06:40.000Z",
		"2025-06-15T15:06:40.123Z":         "2025-06-15T15:06:40.123Z",
		"2025-06-15T15:06:40.123999999Z":   "2025-06-15T15:06:40.123Z", // down, never early by rounding up
		"2025-06-15T17:06:40.5+02:00":      "2025-06-15T15:06:40.500Z",
		"1969-12-31T23:59:59.999999Z":      "1969-12-31T23:59:59.999Z",
		"2024-02-29T23:59:59-01:00":        "2024-03-01T00:59:59.000Z",
		"9999-12-31T23:59:59.999Z":         "9999-12-31T23:59:59.999Z",
		"2025-06-15T15:06:40.000000-00:00": "2025-06-15T15:06:40.000Z",
	} {
		var got eventlog.Time
		if err := got.UnmarshalText([]byte(in)); err != nil || got.String() != want {
			t.Errorf("%s is %s, %v, want %s", in, got, err, want)
		}
		if back := eventlog.TimeOf(got.Std()); back != got || got.Std().Location() != time.UTC {
			t.Errorf("%s: %d became %d in %s", in, got, back, got.Std().Location())
		}
	}
	// What would be written so that nobody can read it must not come in.
	for _, in := range []string{"", "now", "2025-06-15", "2025-06-15T15:06:40", "2025-02-30T00:00:00Z", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00"} {
		var got eventlog.Time
		if err := got.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q was read as %s", in, got)
		}
	}
	var none eventlog.Time
	if none.String() != "" || !none.Std().IsZero() || eventlog.TimeOf(time.Time{}) != 0 {
		t.Error("no time must stay none")
	}
}

func TestAnyTimeIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := eventlog.TimeOf(time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "second"), 999_999_999))
		text, err := want.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := time.Parse(eventlog.TimeLayout, string(text)); err != nil {
			t.Fatalf("%s is not in the layout: %v", text, err)
		}
		var got eventlog.Time
		if err := got.UnmarshalText(text); err != nil || got != want {
			t.Fatalf("%s was read as %d, %v, want %d", text, got, err, want)
		}
	})
}

func TestRetryDelays(t *testing.T) {
	second := eventlog.Duration(time.Second)
	for name, c := range map[string]struct {
		retry eventlog.Retry
		want  []eventlog.Duration // after the first failed attempt, the second …
	}{
		"the defaults":         {eventlog.DefaultRetry(), []eventlog.Duration{10 * second, 20 * second, 40 * second, 80 * second, 160 * second, 320 * second, 600 * second, 600 * second}},
		"constant":             {eventlog.Retry{Backoff: 5 * second, Multiplier: 1, MaxBackoff: 60 * second}, []eventlog.Duration{5 * second, 5 * second, 5 * second}},
		"fractional":           {eventlog.Retry{Backoff: 2 * second, Multiplier: 1.5, MaxBackoff: 60 * second}, []eventlog.Duration{2 * second, 3 * second, 4500 * second / 1000}},
		"shrinking":            {eventlog.Retry{Backoff: 8 * second, Multiplier: 0.5, MaxBackoff: 60 * second}, []eventlog.Duration{8 * second, 4 * second, 2 * second}},
		"none":                 {eventlog.Retry{Multiplier: 2, MaxBackoff: 60 * second}, []eventlog.Duration{0, 0, 0}},
		"first above the most": {eventlog.Retry{Backoff: 90 * second, Multiplier: 2, MaxBackoff: 60 * second}, []eventlog.Duration{60 * second, 60 * second}},
	} {
		for i, want := range c.want {
			if got := c.retry.Delay(i + 1); got != want {
				t.Errorf("%s: after attempt %d wait %s, want %s", name, i+1, got, want)
			}
		}
	}
}

// TestAnyRetryDelayIsInBounds: for what a caller may ask for, also after very
// many attempts.
func TestAnyRetryDelayIsInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := eventlog.Retry{
			Backoff:    eventlog.Duration(rapid.Int64Range(0, int64(1000*day)).Draw(t, "backoff")),
			Multiplier: rapid.Float64Range(1, 1e6).Draw(t, "multiplier"),
			MaxBackoff: eventlog.Duration(rapid.Int64Range(0, int64(1000*day)).Draw(t, "most")),
		}
		last := eventlog.Duration(0)
		for n := range rapid.IntRange(1, 2000).Draw(t, "attempts") {
			d := r.Delay(n + 1)
			if d < last || d > r.MaxBackoff {
				t.Fatalf("after attempt %d wait %s, before it was %s, the most is %s", n+1, d, last, r.MaxBackoff)
			}
			last = d
		}
	})
}
