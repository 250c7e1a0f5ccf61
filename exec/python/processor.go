package python

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// errProcessor is the cause of a run's context when it used too much of the
// processor.
var errProcessor = errors.New("processor time")

// processorLook is the least time between two looks at what a run has used.
const processorLook = 20 * time.Millisecond

// watchProcessor ends the context that it returns when the run that begins now
// has used so much processor time. It looks as seldom as it can: all processors
// together cannot use it up earlier.
func (w *worker) watchProcessor(ctx context.Context, limit time.Duration) (_ context.Context, unwatch func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var before time.Duration
	if w.number > 0 {
		_, before, _ = statOf(int(w.proc.pid.Load()))
	}
	go func() {
		left := limit
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(max(processorLook, left/time.Duration(runtime.NumCPU()))):
			}
			if left = limit - (processorTime(int(w.proc.pid.Load())) - before); left <= 0 {
				cancel(errProcessor)
				return
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// ticks is how many ticks of processor time a second has for people: USER_HZ,
// which is 100 on every Linux that we know (proc_pid_stat(5)).
const ticks = 100

// processorTime is what a worker and all processes of its session have used, with
// those that have ended and that their parents have taken leave of.
func processorTime(worker int) (used time.Duration) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if session, spent, ok := statOf(pid); ok && session == worker {
			used += spent
		}
	}
	return used
}

// statOf reads a process's session, and its processor time with that of the
// children that it has waited for.
func statOf(pid int) (session int, used time.Duration, ok bool) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, false
	}
	_, rest, _ := bytes.Cut(raw, []byte(") ")) // a name may hold anything but is in brackets
	field := strings.Fields(string(rest))
	if len(field) < 15 {
		return 0, 0, false
	}
	session, _ = strconv.Atoi(field[3])
	for _, f := range field[11:15] { // utime, stime, cutime, cstime
		n, _ := strconv.ParseInt(f, 10, 64)
		used += time.Duration(n) * time.Second / ticks
	}
	return session, used, true
}

// residentBytes is how much memory a process has; 0 if nobody tells.
func residentBytes(pid int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	field := strings.Fields(string(raw))
	if len(field) < 3 {
		return 0
	}
	pages, _ := strconv.ParseInt(field[1], 10, 64)
	shared, _ := strconv.ParseInt(field[2], 10, 64)
	return (pages - shared) * int64(os.Getpagesize())
}
