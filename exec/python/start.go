package python

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/exec/wire"
)

const install = "install Python 3.9 or later or name one with --python"

// find returns the absolute path of the interpreter.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case errors.Is(err, exec.ErrNotFound) && name == "python3", errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("no Python found: %s", install)
	case errors.Is(err, os.ErrPermission):
		return "", fmt.Errorf("%s cannot be executed: %s", name, install)
	case err != nil:
		return "", fmt.Errorf("no Python found at %s: %s", name, install)
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("no Python found at %s: %w", name, err)
	}
	return path, nil
}

// probe starts the first worker and learns the version of Python, and the
// interpreter behind what may be a script that chooses one.
func (r *Runtime) probe() (*worker, error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.StartMax)
	defer cancel()
	var said strings.Builder
	w, hello, err := r.launch(ctx, func(l wire.LogLine) { said.WriteString(l.Text + " ") })
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s does not answer as Python does within %s: %s", r.python, r.cfg.StartMax, install)
	}
	if err != nil {
		why := err.Error()
		if said.Len() > 0 {
			why = cut(strings.TrimSpace(said.String()), errorTypeBytesMax)
		}
		return nil, fmt.Errorf("%s is no Python that Belfry can use (%s): %s", r.python, why, install)
	}
	var major, minor int
	if _, err := fmt.Sscanf(hello.Python, "%d.%d", &major, &minor); err != nil || major != 3 || minor < 9 {
		w.proc.stop()
		return nil, fmt.Errorf("%s is Python %s, which is too old: %s", r.python, hello.Python, install)
	}
	if hello.Protocol != protocol {
		w.proc.stop()
		return nil, fmt.Errorf("%s speaks protocol %d of the shim, not %d: give the runtime a directory of its own",
			r.python, hello.Protocol, protocol)
	}
	r.version = hello.Python
	if filepath.IsAbs(hello.Executable) {
		r.python = hello.Executable
	}
	return w, nil
}

// fresh gives a worker that has served nobody: a spare, else a new one.
func (r *Runtime) fresh(ctx context.Context) (*worker, error) {
	r.mu.Lock()
	var w *worker
	if n := len(r.spares); n > 0 {
		w, r.spares = r.spares[n-1], r.spares[:n-1]
	}
	r.refill()
	r.mu.Unlock()
	if w != nil {
		return w, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.StartMax)
	defer cancel()
	w, _, err := r.launch(ctx, func(wire.LogLine) {})
	return w, err
}

// refill starts spares, one after the other, until there are enough. It needs
// mu, and does nothing while it is under way already.
func (r *Runtime) refill() {
	if r.filling || r.closed || len(r.spares) >= r.cfg.Spares {
		return
	}
	r.filling = true
	r.wg.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, r.cfg.StartMax)
		defer cancel()
		w, _, err := r.launch(ctx, func(wire.LogLine) {})
		r.mu.Lock()
		defer r.mu.Unlock()
		r.filling = false
		if err != nil {
			if !r.closed {
				r.cfg.Logger.Warn("no spare python worker: runs start their own", "error", err)
			}
			return
		}
		r.spares = append(r.spares, w)
		r.refill()
	})
}

// launch starts a process and waits for its hello. What it prints until then
// goes to line.
func (r *Runtime) launch(ctx context.Context, line func(wire.LogLine)) (*worker, hello, error) {
	p, err := startProcess(r.spawner, r.python, r.entry, r.work, r.cfg.Env, line)
	if err != nil {
		return nil, hello{}, err
	}
	if !r.adopt(p) {
		p.stop()
		return nil, hello{}, errClosed
	}
	alive := context.AfterFunc(ctx, p.signal)
	w := &worker{proc: p}
	var said hello
	var first response
	first, w.buf, err = readFrame(p.frames, w.buf)
	p.empty()
	p.out.end()
	switch {
	case !alive():
		p.stop()
		return nil, said, context.Cause(ctx)
	case errors.Is(err, errGone):
		return nil, said, fmt.Errorf("python: a worker ended before its hello: %s", p.exit())
	case err != nil || first.kind != kindHello || json.Unmarshal(first.body, &said) != nil:
		p.stop()
		return nil, said, errors.New("python: a worker began with another thing than a hello")
	}
	return w, said, nil
}

// adopt notes a process for Close. False after Close.
func (r *Runtime) adopt(p *process) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.live[p] = struct{}{}
	p.whenGone(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.live, p)
	})
	return true
}
