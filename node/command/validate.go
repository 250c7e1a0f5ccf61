package command

import (
	"math"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
)

// Bounds of what callers set, each with its reason.
const (
	// PriorityMax bounds priorities on both sides: more digits mean a mistake.
	PriorityMax = 1_000_000
	// AttemptsMax bounds retries: a run that fails a hundred times needs a person.
	AttemptsMax = 100
	// TimeoutMax bounds a run: a worker held for longer is a service, not a task.
	TimeoutMax = eventlog.Duration(7 * 24 * time.Hour)
	// BackoffMax bounds the wait between attempts.
	BackoffMax = eventlog.Duration(30 * 24 * time.Hour)
	// MemoryMin is what Python needs to start at all.
	MemoryMin = eventlog.Size(16 << 20)
	// MemoryMax is beyond any machine that runs functions for others.
	MemoryMax = eventlog.Size(1 << 40)
	// DepthMax bounds the nesting of data: Python's json reads by recursion.
	DepthMax = 100
	// ResultDepthMax bounds the nesting of results. A commit is three levels
	// more, and nobody could read one of more than ten thousand.
	ResultDepthMax = 1000
)

var (
	idSuffix = regexp.MustCompile(`^[A-Za-z0-9]{16,36}$`)
	poolName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
)

// checkID says whether a caller may bring this id.
func checkID(prefix, id string) *api.Error {
	suffix, ok := strings.CutPrefix(id, prefix)
	if !ok || !idSuffix.MatchString(suffix) {
		return api.Errorf(api.Invalid, "id", "%s is not an id: use %s and 16 to 36 letters and digits, or leave it out", show(id), prefix)
	}
	return nil
}

// needID refuses a request that names no record.
func needID(id string) *api.Error {
	if id == "" {
		return api.Errorf(api.Invalid, "id", "id is missing: name the record that the request is about")
	}
	return nil
}

// show quotes what a caller sent, short enough for one line.
func show(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	b, _ := jsontext.AppendQuote(nil, s) // invalid UTF-8 becomes U+FFFD
	return string(b)
}

func checkName(name *string) *api.Error {
	if name == nil {
		return api.Errorf(api.Invalid, "name", "name is missing: give 1 to %d characters", api.NameLengthMax)
	}
	return checkText("name", *name, 1, api.NameLengthMax)
}

// checkText bounds a one-line text, in characters.
func checkText(field, s string, least, most int) *api.Error {
	if n := utf8.RuneCountInString(s); n < least || n > most {
		return api.Errorf(api.Invalid, field, "%s has %d characters: use %d to %d", field, n, least, most)
	}
	if strings.IndexFunc(s, unicode.IsControl) >= 0 {
		return api.Errorf(api.Invalid, field, "%s holds a control character: take it out", field)
	}
	return nil
}

func checkReason(reason string) *api.Error {
	return checkText("reason", reason, 0, api.ReasonLengthMax)
}

// timeLayouts are tried in order. Those without an offset mean UTC.
func timeLayouts() []string {
	return []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02T15:04Z07:00"}
}

// ParseTime reads a caller's time. It rounds up to the millisecond, so that
// nothing is due before the time that was given.
func ParseTime(field, s string) (eventlog.Time, *api.Error) {
	for _, layout := range timeLayouts() {
		t, err := time.ParseInLocation(layout, s, time.UTC)
		if err != nil {
			continue
		}
		if t.Year() < 1971 || t.UTC().Year() > 9999 {
			return 0, api.Errorf(api.InvalidTime, field, "%s is out of range: use a year from 1971 to 9999", show(s))
		}
		return eventlog.TimeOf(t.Add(time.Millisecond - time.Nanosecond)), nil
	}
	return 0, api.Errorf(api.InvalidTime, field, "%s is not a time that exists: write it like 2026-11-24T12:00:00Z", show(s))
}

func parseDuration(field string, s *string, least, most eventlog.Duration) (*eventlog.Duration, *api.Error) {
	if s == nil {
		return nil, nil
	}
	d, err := eventlog.ParseDuration(*s)
	if err != nil {
		return nil, api.Errorf(api.Invalid, field, "%s is not a duration: write it like 90s, 1h30m or 3d", show(*s))
	}
	if d < least || d > most {
		return nil, api.Errorf(api.Invalid, field, "%s is out of range: use %v to %v", show(*s), least, most)
	}
	return &d, nil
}

func parseSize(field string, s *string, least, most eventlog.Size) (*eventlog.Size, *api.Error) {
	if s == nil {
		return nil, nil
	}
	size, err := eventlog.ParseSize(*s)
	if err != nil {
		return nil, api.Errorf(api.Invalid, field, "%s is not a size: write it like 512MiB", show(*s))
	}
	if size < least || size > most {
		return nil, api.Errorf(api.Invalid, field, "%s is out of range: use %v to %v", show(*s), least, most)
	}
	return &size, nil
}

// parseRetry fills what is absent with the contract's defaults.
func parseRetry(in *api.RetryInput) (*eventlog.Retry, *api.Error) {
	if in == nil {
		return nil, nil
	}
	r := eventlog.DefaultRetry()
	if in.MaxAttempts != nil {
		if r.MaxAttempts = *in.MaxAttempts; r.MaxAttempts < 1 || r.MaxAttempts > AttemptsMax {
			return nil, api.Errorf(api.Invalid, "retry.max_attempts", "%d is out of range: use 1 to %d", r.MaxAttempts, AttemptsMax)
		}
	}
	if in.Multiplier != nil {
		if r.Multiplier = *in.Multiplier; math.IsNaN(r.Multiplier) || r.Multiplier < 1 || r.Multiplier > 100 {
			return nil, api.Errorf(api.Invalid, "retry.multiplier", "%v is out of range: use 1 to 100", r.Multiplier)
		}
	}
	backoff, err := parseDuration("retry.backoff", in.Backoff, 0, BackoffMax)
	if err != nil {
		return nil, err
	}
	most, err := parseDuration("retry.max_backoff", in.MaxBackoff, 0, BackoffMax)
	if err != nil {
		return nil, err
	}
	if backoff != nil {
		r.Backoff = *backoff
		r.MaxBackoff = max(r.MaxBackoff, r.Backoff)
	}
	if most != nil {
		if r.MaxBackoff = *most; r.MaxBackoff < r.Backoff {
			return nil, api.Errorf(api.Invalid, "retry.max_backoff", "%v is shorter than the backoff of %v: make it longer", r.MaxBackoff, r.Backoff)
		}
	}
	return &r, nil
}

// parseData checks the data of a run, and spells it as the log does; nil if
// absent.
func parseData(data jsontext.Value) (jsontext.Value, *api.Error) {
	if len(data) == 0 || data.Kind() == jsontext.KindNull {
		return nil, nil
	}
	if data.Kind() != jsontext.KindBeginObject {
		return nil, api.Errorf(api.Invalid, "data", "data must be a JSON object, such as {\"key\": \"value\"}")
	}
	data, err := eventlog.Spell(data)
	if err != nil {
		return nil, api.Errorf(api.Invalid, "data", "data is not JSON: %v", err)
	}
	if len(data) > api.DataBytesMax {
		return nil, api.Errorf(api.TooLarge, "data", "data has %d bytes, more than %d: store it elsewhere and pass a reference", len(data), api.DataBytesMax)
	}
	if depth(data) > DepthMax {
		return nil, api.Errorf(api.Invalid, "data", "data is nested more than %d deep: flatten it", DepthMax)
	}
	if hasMember(data, "current_user") {
		return nil, api.Errorf(api.Invalid, "data.current_user", "current_user is the function's first argument: choose another key")
	}
	return data, nil
}

// depth is how deep a valid JSON value nests.
func depth(v jsontext.Value) int {
	deepest, now, quoted := 0, 0, false
	for n := 0; n < len(v); n++ {
		switch c := v[n]; {
		case quoted && c == '\\':
			n++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

// hasMember says whether a valid object has a member of this name.
func hasMember(object jsontext.Value, name string) bool {
	if !strings.Contains(string(object), name) {
		return false
	}
	d := jsontext.NewDecoder(strings.NewReader(string(object)))
	if _, err := d.ReadToken(); err != nil {
		return false
	}
	for d.PeekKind() == '"' {
		key, err := d.ReadToken()
		if err != nil || key.String() == name {
			return err == nil
		}
		if err := d.SkipValue(); err != nil {
			return false
		}
	}
	return false
}
