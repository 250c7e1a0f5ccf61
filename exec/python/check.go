package python

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/exec/wire"
)

// Check parses code in a process of its own, which is kept for the next
// check; one check at a time. Nothing of the code is executed.
func (r *Runtime) Check(ctx context.Context, name, code string) (*wire.CodeError, error) {
	if len(code) > wire.CodeBytesMax {
		return &wire.CodeError{Message: fmt.Sprintf("the code has %d bytes; %d are allowed: move data out of it",
			len(code), wire.CodeBytesMax)}, nil
	}
	if !r.enter() {
		return nil, errClosed
	}
	defer r.wg.Done()
	if ctx.Err() != nil { // a select with a free checker would choose by chance
		return nil, context.Cause(ctx)
	}
	var w *worker
	select {
	case w = <-r.checker:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { r.checker <- w }()
	for fresh := 0; fresh < freshTriesMax; {
		if w == nil {
			var err error
			if w, err = r.fresh(ctx, wants{level: r.level}); err != nil {
				return nil, err
			}
			fresh++
		}
		flaw, fit, err := w.check(ctx, name, code)
		if !fit {
			w.proc.stop()
			w = nil
		}
		switch {
		case errors.Is(err, errStale):
		case r.isClosed() && !fit:
			return nil, errClosed
		default:
			return flaw, err
		}
	}
	return nil, errStale
}

// check asks the worker, which must never have run code, to parse some.
func (w *worker) check(ctx context.Context, name, code string) (_ *wire.CodeError, fit bool, _ error) {
	timed, cancel := context.WithTimeoutCause(ctx, checkMax, errTimeout)
	defer cancel()
	alive := context.AfterFunc(timed, w.proc.signal)
	w.proc.out.begin(discard, mask{})
	defer w.proc.out.end()
	w.number++
	w.buf = appendCheck(w.buf[:0], w.number, name, code)
	if _, err := w.proc.requests.Write(w.buf); err != nil && timed.Err() == nil {
		alive()
		return nil, false, errStale
	}
	var flaw *wire.CodeError
	r, err := w.await(kindChecked, nil)
	if err == nil {
		err = json.Unmarshal(r.body, &flaw)
	}
	fit = alive() && err == nil
	w.trim()
	switch {
	case err == nil:
		return flaw, fit, nil
	case ctx.Err() != nil:
		return nil, false, context.Cause(ctx)
	case timed.Err() != nil:
		return &wire.CodeError{Message: fmt.Sprintf("Python did not parse the code within %s: make it simpler", checkMax)}, false, nil
	}
	how, killed := w.proc.exit()
	switch {
	case errors.Is(err, errSandbox):
		return nil, false, err
	case killed || !w.ready:
		return nil, false, errKilled
	}
	return &wire.CodeError{
		Message: "Python's parser crashed on the code (" + how + "): make it simpler; it may be nested too deeply",
	}, false, nil
}

// errKilled: no parser ends itself so. It says nothing of the code.
var errKilled = errors.New("the parser was killed while it read the code: try again")
