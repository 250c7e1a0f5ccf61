package python

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

// Types of errors that are Belfry's own, not a Python class.
const (
	errorTimeout      = "Timeout"
	errorCrashed      = "WorkerCrashed"
	errorTooLarge     = "ResultTooLarge"
	errorStartFailed  = "WorkerStartFailed"
	errorSandbox      = "SandboxUnavailable"
	errorEnv          = "VariableMissing"
	errorProcessor    = "CPULimitExceeded"
	errorTypeBytesMax = 200
)

// errTimeout is the cause of a run's context when its time is over.
var errTimeout = errors.New("time-out")

// errStale says that a worker was gone before it was given the run.
var errStale = errors.New("the worker is gone")

// wants says whose runs a worker serves, and to what it is kept. What one leaves
// in the process, no other sees. The same version with other code is another
// function: a stream was restored.
type wants struct {
	function, user   string
	version          int
	code             string
	memory           int64
	level            Level
	processes, files int
	env              string // names, each ended by a NUL
	alone            bool   // it serves one run
}

// wants reads them from a job. A failure says what cannot be had.
func (r *Runtime) wants(job *exec.Job) (wants, *wire.Error) {
	level, err := r.levelFor(job.Sandbox)
	if err != nil {
		return wants{}, &wire.Error{Type: errorSandbox, Message: err.Error()}
	}
	for _, name := range job.Env {
		if _, given := r.cfg.Env[name]; !given {
			return wants{}, &wire.Error{Type: errorEnv, Message: "the function wants the variable " + name + ", which this executor was not given: add it to its --env-file"}
		}
	}
	return wants{
		function: job.Function, user: job.UserID, version: job.Version, code: job.Code, memory: job.MemoryLimit,
		level: level, processes: job.ProcessLimit, files: job.FileLimit, env: strings.Join(job.Env, "\x00"), alone: job.Fresh,
	}, nil
}

// worker is a process that serves the runs of those who want the same, one at a
// time.
type worker struct {
	proc   *process
	number uint64 // of the last request
	buf    []byte // of frames, both ways
	wants  wants
	mask   mask
	ready  bool      // it has said hello
	since  time.Time // idle since; the pool's
}

// grown says that the worker has kept so much memory that it had better go.
func (w *worker) grown() bool {
	return w.number%grownEvery == 0 && residentBytes(int(w.proc.pid.Load())) > max(grownBytes, w.wants.memory/2)
}

// run executes one job. The worker may serve another only if fit. errStale
// says that nothing was begun.
func (w *worker) run(ctx context.Context, job *exec.Job, line func(wire.LogLine)) (_ exec.Ended, fit bool, _ error) {
	answered := make(chan struct{})
	if job.CPULimit > 0 {
		var unwatch func()
		ctx, unwatch = w.watchProcessor(ctx, job.CPULimit)
		defer unwatch()
	}
	alive := context.AfterFunc(ctx, func() { w.end(context.Cause(ctx), answered) })
	w.proc.out.begin(line, w.mask)
	w.number++
	sent := time.Now()
	w.buf = w.buf[:0]
	if w.number == 1 {
		w.buf = appendLoad(w.buf, job)
	}
	w.buf = appendRun(w.buf, w.number, job, sent)
	if _, err := w.proc.requests.Write(w.buf); err != nil && ctx.Err() == nil && w.number > 1 {
		alive()
		w.proc.out.end()
		return exec.Ended{}, false, errStale
	}
	var a answer
	r, err := w.await(kindDone, func(r response) error { return w.schedule(ctx, job, r) })
	if err == nil {
		a, err = r.answer()
	}
	close(answered)
	w.proc.empty()
	dropped := w.proc.out.end()
	whole := alive()
	fit = whole && err == nil && a.warm && w.proc.frames.Buffered() == 0
	finished := time.Now()
	var ended exec.Ended
	switch {
	case !whole:
		ended = interrupted(ctx, job)
		ended.Stopped = "killed"
		if err == nil {
			ended.Stopped = "asked"
			if ended.Error != nil && a.failure != nil {
				ended.Error.Traceback = cut(a.failure.Traceback, wire.TracebackBytesMax) // where it was
			}
		}
	case err != nil:
		ended = w.broken(err)
	default:
		ended = a.ended()
	}
	started := w.proc.started()
	if err == nil && a.started > 0 {
		started = time.Unix(0, a.started)
	}
	if !started.Before(sent) { // else it is the last run's
		ended.Started = clamp(started, sent, finished)
	}
	if ended.Kind != wire.Lost {
		ended.Sandbox = string(w.wants.level)
	}
	ended.Finished = finished
	ended.Dropped = dropped + max(a.dropped, 0)
	w.conceal(&ended)
	w.trim()
	return ended, fit, nil
}

// end ends a run before its time: its code is told, and has a moment.
func (w *worker) end(cause error, answered <-chan struct{}) {
	switch {
	case errors.Is(cause, errProcessor):
		w.proc.signal()
		return
	case errors.Is(cause, errTimeout):
		w.proc.tell(syscall.SIGUSR1)
	default:
		w.proc.tell(syscall.SIGUSR2)
	}
	late := time.NewTimer(askedMax)
	defer late.Stop()
	select {
	case <-answered:
	case <-late.C:
		w.proc.signal()
	}
}

// conceal masks the secrets in what an attempt came to.
func (w *worker) conceal(ended *exec.Ended) {
	ended.Result = w.mask.result(ended.Result)
	if e := ended.Error; e != nil {
		e.Message, e.Traceback = w.mask.text(e.Message), w.mask.text(e.Traceback)
	}
}

// schedule answers what the code of the run wants scheduled.
func (w *worker) schedule(ctx context.Context, job *exec.Job, r response) error {
	var item wire.Item
	if err := json.Unmarshal(r.body, &item); err != nil {
		return errors.New("a question that is no JSON")
	}
	item.Data = w.mask.result(item.Data) // it goes into an event
	var answer wire.ScheduleAnswer
	if w.mask.text(item.Name) != item.Name { // masked, two names could become one
		answer.Error = &wire.Refusal{Code: "invalid", Field: "name", Message: "name holds the value of a variable: give it another"}
	} else {
		var err error
		if answer, err = job.Schedule(ctx, item); err != nil {
			return nil // the run is told to end, and its worker is not used again
		}
	}
	frame, err := scheduledFrame(w.number, answer)
	if err != nil {
		return err
	}
	if _, err = w.proc.requests.Write(frame); err != nil {
		return errGone
	}
	return nil
}

// await reads frames until the answer to the current request, and takes the
// output that comes before it. Asked is given what its code asks meanwhile.
func (w *worker) await(kind byte, asked func(response) error) (r response, err error) {
	for {
		if r, w.buf, err = readFrame(w.proc.frames, w.buf); err != nil {
			return r, err
		}
		switch {
		case r.kind == kindHello && !w.ready:
			if w.ready = true; len(r.body) > 0 {
				return r, fmt.Errorf("%w: %s", errSandbox, r.body)
			}
		case r.number != w.number:
			return r, fmt.Errorf("a frame of request %d during request %d", r.number, w.number)
		case r.kind == kindOutput:
			nanos, stream, text, err := r.printed()
			if err != nil {
				return r, err
			}
			w.proc.out.take(nanos, stream, text)
		case r.kind == kindSchedule && asked != nil:
			if err := asked(r); err != nil {
				return r, err
			}
		case r.kind != kind:
			return r, fmt.Errorf("a frame of kind %q", r.kind)
		default:
			return r, nil
		}
	}
}

// errSandbox says that a worker could not enter its sandbox.
var errSandbox = errors.New("the sandbox cannot be entered")

// broken says how a run ended whose worker did not answer, and stops the worker.
func (w *worker) broken(err error) exec.Ended {
	how, _ := w.proc.exit()
	switch {
	case errors.Is(err, errSandbox), !w.ready && errors.Is(err, errGone):
		return lost(fmt.Errorf("%w: %s", err, how))
	case !errors.Is(err, errGone):
		how = "it sent " + err.Error()
	}
	return failed(errorCrashed, "the Python process ended during the run: "+how)
}

// interrupted says how a run ended that its context ended.
func interrupted(ctx context.Context, job *exec.Job) exec.Ended {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTimeout):
		ended := failed(errorTimeout, fmt.Sprintf("no result within %s", job.Timeout))
		ended.Kind = wire.TimedOut
		return ended
	case errors.Is(cause, errProcessor):
		return failed(errorProcessor, fmt.Sprintf("the run used more than the %s of processor time that it may", job.CPULimit))
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
