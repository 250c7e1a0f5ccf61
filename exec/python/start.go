package python

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// probe starts the first parent and learns the version of Python, the interpreter
// behind what may be a script that chooses one, and the sandboxes that it can enter.
func (r *Runtime) probe() error {
	var said tail
	ctx, cancel := context.WithTimeoutCause(r.ctx, r.cfg.StartMax, errSilent)
	defer cancel()
	p, err := r.startParent(ctx, &said)
	if errors.Is(err, errSilent) {
		return fmt.Errorf("%s does not answer as Python does within %s: %s", r.python, r.cfg.StartMax, install)
	}
	if err != nil {
		why := err.Error()
		if text := strings.TrimSpace(said.String()); text != "" {
			why = strings.Join(strings.Fields(text), " ")
		}
		return fmt.Errorf("%s is no Python that Belfry can use (%s): %s", r.python, why, install)
	}
	r.adopt(p)
	var major, minor int
	if _, err := fmt.Sscanf(p.told.Python, "%d.%d", &major, &minor); err != nil || major != 3 || minor < 9 {
		return fmt.Errorf("%s is Python %s, which is too old: %s", r.python, p.told.Python, install)
	}
	if p.told.Protocol != protocol {
		return fmt.Errorf("%s speaks protocol %d of the shim, not %d: give the runtime a directory of its own",
			r.python, p.told.Protocol, protocol)
	}
	r.version, r.levels = p.told.Python, p.told.Levels
	if filepath.IsAbs(p.told.Executable) {
		r.python = p.told.Executable
	}
	return nil
}

// errSilent is the cause when a parent says nothing in time.
var errSilent = errors.New("it did not answer in time")

// environment is what all workers have, and the parent itself.
func (r *Runtime) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TZ=UTC"}
}

// adopt makes a parent that of the workers to come. False after Close.
func (r *Runtime) adopt(p *parent) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parent = p
	return !r.closed
}

// forker is the parent of workers; a new one if the last has been killed.
func (r *Runtime) forker(ctx context.Context) (*parent, error) {
	r.starting.Lock()
	defer r.starting.Unlock()
	r.mu.Lock()
	p, closed := r.parent, r.closed
	r.mu.Unlock()
	switch {
	case closed:
		return nil, errClosed
	case !p.isOver():
		return p, nil
	}
	r.cfg.Logger.Warn("the parent of python workers was killed: another is started")
	ctx, cancel := context.WithTimeoutCause(ctx, r.cfg.StartMax, errSilent)
	defer cancel()
	var said tail
	p, err := r.startParent(ctx, &said)
	if err != nil {
		return nil, fmt.Errorf("python: no parent for workers: %w: %s", err, &said)
	}
	if !r.adopt(p) {
		p.close()
		return nil, errClosed
	}
	return p, nil
}

// fresh has a worker forked that has served nobody, for what a job wants.
func (r *Runtime) fresh(ctx context.Context, w wants) (*worker, error) {
	for tries := 0; ; tries++ {
		p, err := r.forker(ctx)
		if err != nil {
			return nil, err
		}
		b, values := r.bounds(w)
		proc, err := newProcess(p, r.work, b, func() { r.users.put(b.UID) })
		if err == nil {
			return &worker{proc: proc, wants: w, mask: newMask(values)}, nil
		}
		r.users.put(b.UID)
		if !errors.Is(err, errParent) || tries == freshTriesMax {
			return nil, err
		}
		<-p.ended // so that the next one is another
	}
}

// bounds are what a worker is kept to, and the values that are given to it alone.
func (r *Runtime) bounds(w wants) (_ *bounds, values []string) {
	b := &bounds{
		Level: string(w.level), Env: map[string]string{"PATH": os.Getenv("PATH"), "LANG": "C.UTF-8", "TZ": "UTC"},
		Processes: cmp.Or(w.processes, processesStandard), Files: cmp.Or(w.files, filesStandard),
	}
	if w.level == LevelNone {
		for _, entry := range os.Environ() {
			name, value, _ := strings.Cut(entry, "=")
			b.Env[name] = value
		}
	}
	if w.level.rank() >= LevelRestricted.rank() {
		b.UID = r.users.take()
	}
	for name := range strings.SplitSeq(w.env, "\x00") {
		if value, given := r.cfg.Env[name]; given {
			b.Env[name] = value
			values = append(values, value)
		}
	}
	return b, values
}
