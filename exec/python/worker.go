package python

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

// Types of errors that are Belfry's own, not a Python class.
const (
	errorTimeout      = "Timeout"
	errorCrashed      = "WorkerCrashed"
	errorTooLarge     = "ResultTooLarge"
	errorStartFailed  = "WorkerStartFailed"
	errorTypeBytesMax = 200
)

// errTimeout is the cause of a run's context when its time is over.
var errTimeout = errors.New("time-out")

// errStale says that a worker was gone before it was given the run.
var errStale = errors.New("the worker is gone")

// key says whose runs a worker serves. What one leaves in the process, no
// other sees.
type key struct {
	function string
	version  int
	user     string
}

// worker is a process that serves the runs of one key, one at a time.
type worker struct {
	proc   *process
	number uint64 // of the last request
	buf    []byte // of frames, both ways

	key    key
	code   string
	memory int64
	since  time.Time // idle since; the pool's
}

// serves says whether the worker, bound by its first run, can take the job.
// The same version with other code is another function: a stream was restored.
func (w *worker) serves(job *exec.Job) bool {
	return w.code == job.Code && w.memory == job.MemoryLimit
}

func (w *worker) bind(job *exec.Job) {
	w.key = keyOf(job)
	w.code, w.memory = job.Code, job.MemoryLimit
}

func keyOf(job *exec.Job) key {
	return key{function: job.Function, version: job.Version, user: job.UserID}
}

// run executes one job. The worker may serve another only if fit. errStale
// says that nothing was begun.
func (w *worker) run(ctx context.Context, job *exec.Job, line func(wire.LogLine)) (_ exec.Ended, fit bool, _ error) {
	alive := context.AfterFunc(ctx, w.proc.signal)
	w.proc.out.begin(line)
	w.number++
	sent := time.Now()
	w.buf = w.buf[:0]
	if w.number == 1 {
		w.buf = appendLoad(w.buf, job)
	}
	w.buf = appendRun(w.buf, w.number, job)
	if _, err := w.proc.requests.Write(w.buf); err != nil && ctx.Err() == nil {
		alive()
		w.proc.out.end()
		return exec.Ended{}, false, errStale
	}
	var a answer
	r, err := w.await(kindDone)
	if err == nil {
		a, err = r.answer()
	}
	w.proc.empty()
	dropped := w.proc.out.end()
	fit = alive() && err == nil && a.warm && w.proc.frames.Buffered() == 0
	finished := time.Now()
	if err != nil {
		started := w.proc.started()
		ended := w.broken(ctx, err, job)
		if !started.Before(sent) { // else the last run's
			ended.Started = clamp(started, sent, finished)
		}
		ended.Finished = finished
		ended.Dropped = dropped
		return ended, false, nil
	}
	ended := a.ended()
	if a.started > 0 {
		ended.Started = clamp(time.Unix(0, a.started), sent, finished)
	}
	ended.Finished = finished
	ended.Dropped = dropped + max(a.dropped, 0)
	w.trim()
	return ended, fit, nil
}

// await reads frames until the answer to the current request, and takes the
// output that comes before it.
func (w *worker) await(kind byte) (r response, err error) {
	for {
		if r, w.buf, err = readFrame(w.proc.frames, w.buf); err != nil {
			return r, err
		}
		switch {
		case r.number != w.number:
			return r, fmt.Errorf("a frame of request %d during request %d", r.number, w.number)
		case r.kind == kindOutput:
			nanos, stream, text, err := r.printed()
			if err != nil {
				return r, err
			}
			w.proc.out.take(nanos, stream, text)
		case r.kind != kind:
			return r, fmt.Errorf("a frame of kind %q", r.kind)
		default:
			return r, nil
		}
	}
}

// broken says how a run ended whose worker did not answer. The worker is
// stopped afterwards.
func (w *worker) broken(ctx context.Context, err error, job *exec.Job) exec.Ended {
	if ctx.Err() != nil {
		w.proc.stop()
		return interrupted(ctx, job)
	}
	how := w.proc.exit()
	if !errors.Is(err, errGone) {
		how = "it sent " + err.Error()
	}
	return failed(errorCrashed, "the Python process ended during the run: "+how)
}

// interrupted says how a run ended that its context ended.
func interrupted(ctx context.Context, job *exec.Job) exec.Ended {
	if errors.Is(context.Cause(ctx), errTimeout) {
		ended := failed(errorTimeout, fmt.Sprintf("no result within %s", job.Timeout))
		ended.Kind = wire.TimedOut
		return ended
	}
	return exec.Ended{Kind: wire.Canceled}
}

// ended holds an answer to the limits: what runs in the worker may have written it.
func (a answer) ended() exec.Ended {
	switch {
	case a.failure != nil:
		return exec.Ended{Kind: wire.Failed, Error: &wire.Error{
			Type:      cut(a.failure.Type, errorTypeBytesMax),
			Message:   cut(a.failure.Message, wire.MessageBytesMax),
			Traceback: cut(a.failure.Traceback, wire.TracebackBytesMax),
		}}
	case len(a.result) > wire.ResultBytesMax:
		return failed(errorTooLarge, fmt.Sprintf("the result is %d bytes of JSON; %d are allowed: return less",
			len(a.result), wire.ResultBytesMax))
	}
	return exec.Ended{Kind: wire.Completed, Result: a.result}
}

func failed(kind, message string) exec.Ended {
	return exec.Ended{Kind: wire.Failed, Error: &wire.Error{Type: kind, Message: message}}
}

// trim lets go of a buffer that one large run has left.
func (w *worker) trim() {
	if cap(w.buf) > keptBytesMax {
		w.buf = nil
	}
}

// keptBytesMax is how large a buffer an idle worker keeps.
const keptBytesMax = 16 << 10

func clamp(t, earliest, latest time.Time) time.Time {
	switch {
	case t.Before(earliest):
		return earliest
	case t.After(latest):
		return latest
	}
	return t
}

func cut(s string, bytesMax int) string {
	if len(s) <= bytesMax {
		return s
	}
	return strings.ToValidUTF8(s[:bytesMax], "")
}
