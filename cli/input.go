package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
)

// inputBytesMax bounds a file that is read: enough for a large create-many,
// which is sent in parts.
const inputBytesMax = 1 << 30

// given is the value of a flag, or nil when it was not given.
func given[T any](s *session, name string, value func(string) T) *T {
	if !s.line.IsSet(name) {
		return nil
	}
	v := value(name)
	return &v
}

func (s *session) text(name string) *string { return given(s, name, s.line.String) }

// ref is a reference to an entity, by id or name.
func (s *session) ref(name string) *api.RefInput {
	return given(s, name, func(name string) api.RefInput { return api.RefInput{IDOrName: s.line.String(name)} })
}

// file reads the file that a flag names; "-" is standard input.
func (s *session) file(flag string) (*string, error) {
	if !s.line.IsSet(flag) {
		return nil, nil
	}
	b, err := s.read(s.line.String(flag))
	if err != nil {
		return nil, usagef("--%s: %v", flag, err)
	}
	text := string(b)
	return &text, nil
}

func (s *session) read(path string) ([]byte, error) {
	in := s.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, inputBytesMax+1))
	if err == nil && len(b) > inputBytesMax {
		err = fmt.Errorf("%s has more than %d bytes: split it", path, inputBytesMax)
	}
	return b, err
}

// value is a flag's JSON; with @FILE, the file's.
func (s *session) value(flag string) (jsontext.Value, error) {
	if !s.line.IsSet(flag) {
		return nil, nil
	}
	text := []byte(s.line.String(flag))
	if path, isFile := strings.CutPrefix(string(text), "@"); isFile {
		var err error
		if text, err = s.read(path); err != nil {
			return nil, usagef("--%s: %v", flag, err)
		}
	}
	return parseJSON("--"+flag, text)
}

func parseJSON(what string, text []byte) (jsontext.Value, error) {
	v := jsontext.Value(text)
	if err := v.Compact(jsontext.AllowDuplicateNames(true)); err != nil {
		return nil, usagef(`%s is not JSON (%v): write it like '{"to": "Ann", "days": 3}', in single quotes`, what, err)
	}
	return v, nil
}

// retry reads --retry: a number of attempts, or the whole object.
func (s *session) retry() (*api.RetryInput, error) {
	if !s.line.IsSet("retry") {
		return nil, nil
	}
	text := s.line.String("retry")
	if n, err := strconv.Atoi(text); err == nil {
		return &api.RetryInput{MaxAttempts: &n}, nil
	}
	var in api.RetryInput
	if err := json.Unmarshal([]byte(text), &in, json.RejectUnknownMembers(true)); err != nil {
		return nil, usagef(`--retry %s makes no sense: write a number of attempts, or {"max_attempts": 3, "backoff": "10s", "multiplier": 2, "max_backoff": "10m"}`, text)
	}
	return &in, nil
}

// later is the time a duration from now.
func (s *session) later(flag string) (string, error) {
	d, err := duration(s, flag)
	if err != nil {
		return "", err
	}
	return eventlog.TimeOf(s.now().Add(d)).String(), nil
}

func duration(s *session, flag string) (time.Duration, error) {
	d, err := eventlog.ParseDuration(s.line.String(flag))
	if err != nil {
		return 0, usagef("--%s: %v", flag, err)
	}
	if d < 0 {
		return 0, usagef("--%s %v is less than nothing: use a duration such as 90s, 1h30m or 3d", flag, d)
	}
	return time.Duration(d), nil
}

// since is a time, or how long ago it was.
func (s *session) since(flag string) string {
	text := s.line.String(flag)
	if ago, err := eventlog.ParseDuration(text); err == nil {
		return eventlog.TimeOf(s.now().Add(-time.Duration(ago))).String()
	}
	return text // Belfry says what is wrong with it
}

// status reads --status in any case of letters.
func (s *session) status() api.Status {
	text := s.line.String("status")
	if text == "" {
		return ""
	}
	return api.Status(strings.ToUpper(text[:1]) + strings.ToLower(text[1:]))
}

// Flags that several entities have.

func text(name, usage string) cli.Flag { return &cli.StringFlag{Name: name, Usage: usage} }

func whole(name, usage, byDefault string) cli.Flag {
	return &cli.IntFlag{Name: name, Usage: usage, DefaultText: byDefault}
}

func yes(name, usage string, aliases ...string) cli.Flag {
	return &cli.BoolFlag{Name: name, Usage: usage, Aliases: aliases, DisableDefaultText: true}
}

func ifRevision() cli.Flag {
	return &cli.Uint64Flag{Name: "if-revision", Usage: "refuse if the record has changed since revision `N`", DefaultText: "never"}
}

func (s *session) ifRevision() *uint64 { return given(s, "if-revision", s.line.Uint64) }
