package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// envFileBytesMax bounds a file of variables: what a process could be given.
const envFileBytesMax = 1 << 20

func envFile() cli.Flag {
	return &cli.StringFlag{Name: "env-file", Usage: "`FILE` of variables, KEY=value, that functions may be given"}
}

// functionEnv reads what --env-file names; nil if it was not given.
func (s *session) functionEnv(log *slog.Logger) (map[string]string, error) {
	path := s.line.String("env-file")
	if path == "" {
		return nil, nil
	}
	text, shared, err := readEnvFile(path)
	if err != nil {
		return nil, err
	}
	if shared {
		log.Warn("the variables for functions can be read by other users of this machine: chmod 600 it", "file", path)
	}
	return parseEnv(path, text)
}

// readEnvFile reads a file that nobody but its owner can write; shared says that
// others can read it.
func readEnvFile(path string) (text string, shared bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", false, usagef("--env-file: %v", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", false, usagef("--env-file: %v", err)
	case !info.Mode().IsRegular():
		return "", false, usagef("--env-file %s is no file: name one with lines KEY=value", path)
	case info.Mode().Perm()&0o022 != 0:
		return "", false, usagef("--env-file %s can be written by other users of this machine, who could so change what functions do: chmod 600 %s", path, path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, envFileBytesMax+1))
	switch {
	case err != nil:
		return "", false, usagef("--env-file: %v", err)
	case len(raw) > envFileBytesMax:
		return "", false, usagef("--env-file %s has more than %d bytes: leave out what functions do not need", path, envFileBytesMax)
	}
	return string(raw), info.Mode().Perm()&0o044 != 0, nil
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// parseEnv reads lines KEY=value. What is wrong is told by file and line, and
// never shown: it may be half of a secret.
func parseEnv(path, text string) (map[string]string, error) {
	env := map[string]string{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		wrong := func(format string, args ...any) error {
			return usagef("--env-file %s, line %d %s", path, n, fmt.Sprintf(format, args...))
		}
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if export, rest, ok := strings.Cut(name, " "); ok && export == "export" {
			name = strings.TrimSpace(rest)
		}
		if !found || !envName.MatchString(name) {
			return nil, wrong("is not KEY=value: use letters, digits and _ for the key, and nothing around the =")
		}
		if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
			return nil, wrong("has a value that is no text: write it in UTF-8, without NUL")
		}
		if _, twice := env[name]; twice {
			return nil, wrong("gives %s once more: leave one of the two out", name)
		}
		value, ok := unquote(value)
		if !ok {
			return nil, wrong("has a quote that does not end, or ends too early: put the whole value between two of the same")
		}
		env[name] = value
	}
	return env, nil
}

// unquote takes the quotes from around a value. What is between them stands for
// itself.
func unquote(value string) (string, bool) {
	if value == "" || value[0] != '\'' && value[0] != '"' {
		return value, true
	}
	inner, found := strings.CutSuffix(value[1:], value[:1])
	return inner, found && !strings.Contains(inner, value[:1])
}
