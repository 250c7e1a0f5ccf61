package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1 // the request was refused, or failed
	exitUsage  = 2
)

// terminal is the world around a command line.
type terminal struct {
	in        io.Reader
	out, errs io.Writer
	now       func() time.Time
}

// Main runs a command line, args[0] being the program's name, and gives the exit
// status: 0 done, 1 refused or failed, 2 wrong usage. What went wrong is one
// line on errs. The end of ctx interrupts it.
func Main(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	t := &terminal{in: in, out: out, errs: errs, now: time.Now}
	return t.report(t.run(ctx, args))
}

// run runs a command line.
func (t *terminal) run(ctx context.Context, args []string) error {
	app := t.app()
	if words, ok := completing(args); ok {
		for _, candidate := range complete(app, words) {
			if _, err := fmt.Fprintln(t.out, candidate); err != nil {
				return err
			}
		}
		return nil
	}
	arranged, err := arrange(app, args)
	if err != nil {
		return err
	}
	return app.RunContext(ctx, arranged)
}

// report tells what went wrong, and its exit status.
func (t *terminal) report(err error) int {
	if err == nil {
		return exitDone
	}
	text := err.Error()
	if errors.Is(err, context.Canceled) {
		text = "interrupted: what was asked may have been done"
	}
	t.note("%s", text)
	if _, wrong := errors.AsType[*usageError](err); wrong {
		return exitUsage
	}
	return exitFailed
}

// note writes a line to standard error. A line that cannot be written there has
// nowhere else to go.
func (t *terminal) note(format string, args ...any) {
	lines := strings.FieldsFunc(fmt.Sprintf(format, args...), func(r rune) bool { return r == '\n' || r == '\r' })
	_, _ = fmt.Fprintln(t.errs, "belfry: "+strings.Join(lines, "; "))
}

// usageError is a command line that makes no sense.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}
