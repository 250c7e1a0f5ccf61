package eventlog

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// TimeLayout is how every time is stored and sent: RFC 3339, UTC, milliseconds.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// Time is a moment in milliseconds since the Unix epoch, always UTC. Zero means
// none. Milliseconds are the resolution of everything Belfry stores; an int64
// is a third of a time.Time, and a million items hold several.
type Time int64

// Times that RFC 3339 can write, without time.Time's zero: the years 1 to 9999.
// An event with any other could never be read back.
const (
	timeMin Time = -62_135_596_799_999
	timeMax Time = 253_402_300_799_999
)

// TimeOf rounds t down to the millisecond; what RFC 3339 cannot write becomes
// the nearest that it can.
func TimeOf(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return min(max(Time(t.UnixMilli()), timeMin), timeMax)
}

// Std is t as a time.Time in UTC; the zero time.Time for none.
func (t Time) Std() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t)).UTC()
}

func (t Time) String() string {
	if t == 0 {
		return ""
	}
	return t.Std().Format(TimeLayout)
}

// MarshalText writes t in TimeLayout.
func (t Time) MarshalText() ([]byte, error) { return t.AppendText(nil) }

// AppendText appends t in TimeLayout.
func (t Time) AppendText(b []byte) ([]byte, error) { return t.Std().AppendFormat(b, TimeLayout), nil }

// UnmarshalText reads any RFC 3339 time.
func (t *Time) UnmarshalText(b []byte) error {
	std, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return err
	}
	if year := std.UTC().Year(); year < 0 || year > 9999 { // in UTC it could not be read back
		return fmt.Errorf("%q is outside the years 0 to 9999 in UTC", b)
	}
	*t = TimeOf(std)
	return nil
}

// Duration is a time.Duration written as people write it: 90s, 1h30m, 5m.
type Duration time.Duration

// ParseDuration reads Go durations, and whole or fractional days and weeks
// (3d, 2w, 1w3d12h).
func ParseDuration(s string) (Duration, error) {
	total, rest := time.Duration(0), s
	for _, unit := range []struct {
		letter string
		length time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		head, tail, found := strings.Cut(rest, unit.letter)
		if !found {
			continue
		}
		n, err := strconv.ParseFloat(head, 64)
		if err != nil || !(n >= 0 && n*float64(unit.length) <= float64(1<<61)) { // not a number is neither
			return 0, fmt.Errorf("%q is not a duration such as 90s, 1h30m or 3d", s)
		}
		total, rest = total+time.Duration(n*float64(unit.length)), tail
		if rest == "" {
			return Duration(total), nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d > 1<<61 {
		return 0, fmt.Errorf("%q is not a duration such as 90s, 1h30m or 3d", s)
	}
	return Duration(total + d), nil
}

// String writes d without zero units at its end: 5m, not 5m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes d as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads d as ParseDuration does.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDuration(string(b))
	return err
}

// Size is a number of bytes, written as people write it: 512MiB.
type Size int64

// sizeUnits are tried in order: the longer suffix before the one it ends with.
func sizeUnits() []struct {
	suffix string
	factor int64
} {
	return []struct {
		suffix string
		factor int64
	}{
		{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
	}
}

// ParseSize reads a number of bytes with a unit (512MiB, 1GB) or without.
func ParseSize(s string) (Size, error) {
	number, factor := s, int64(1)
	for _, u := range sizeUnits() {
		if head, ok := strings.CutSuffix(s, u.suffix); ok {
			number, factor = strings.TrimSpace(head), u.factor
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/factor {
		return 0, fmt.Errorf("%q is not a size such as 512MiB", s)
	}
	return Size(n * factor), nil
}

func (s Size) String() string {
	for _, u := range sizeUnits()[:3] {
		if s != 0 && int64(s)%u.factor == 0 {
			return strconv.FormatInt(int64(s)/u.factor, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// MarshalText writes s as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads s as ParseSize does.
func (s *Size) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSize(string(b))
	return err
}

// Ref names another entity. Name is what it was called when the event happened.
type Ref struct {
	ID   string `json:"id"`
	Name string `json:"name,omitzero"`
}

// Retry says how often code that raised or timed out is tried, and when.
type Retry struct {
	MaxAttempts int      `json:"max_attempts"`
	Backoff     Duration `json:"backoff"`
	Multiplier  float64  `json:"multiplier"`
	MaxBackoff  Duration `json:"max_backoff"`
}

// DefaultRetry is the contract's: one attempt.
func DefaultRetry() Retry {
	return Retry{
		MaxAttempts: 1,
		Backoff:     Duration(10 * time.Second),
		Multiplier:  2,
		MaxBackoff:  Duration(10 * time.Minute),
	}
}

// Delay is how long to wait after the n-th failed attempt (n counts from 1).
func (r Retry) Delay(n int) Duration {
	d := float64(r.Backoff)
	for range n - 1 {
		d *= r.Multiplier
		if d >= float64(r.MaxBackoff) {
			return r.MaxBackoff
		}
	}
	return min(Duration(d), r.MaxBackoff)
}
