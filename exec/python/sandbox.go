package python

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Level says what code is kept from. Each has all that the one before it has.
type Level string

// The levels. What each means is told in shim/belfry_shim/sandbox.py, which
// enters them.
const (
	LevelNone       Level = "none"
	LevelProcess    Level = "process"
	LevelRestricted Level = "restricted"
	LevelIsolated   Level = "isolated"
)

// Levels are all of them, the least first.
func Levels() []Level {
	return []Level{LevelNone, LevelProcess, LevelRestricted, LevelIsolated}
}

func (l Level) rank() int { return slices.Index(Levels(), l) }

// Offer is a level and whether it can be had here.
type Offer struct {
	Level Level  `json:"level"`
	Why   string `json:"why,omitzero"` // it cannot; "": it can
}

// Offers says which levels can be had here: each was tried.
func (r *Runtime) Offers() (all []Offer) {
	for _, l := range Levels() {
		all = append(all, Offer{l, r.levels[string(l)]})
	}
	return all
}

// Level is the one in which functions run that want no higher one.
func (r *Runtime) Level() Level { return r.level }

// chooseLevel takes the level of the Config, or the highest up to restricted that
// can be had.
func (r *Runtime) chooseLevel() error {
	if want := r.cfg.Sandbox; want != "" {
		if why := r.levels[string(want)]; why != "" {
			return fmt.Errorf("the sandbox %s cannot be had (%s): ask for a lower level with --sandbox", want, why)
		}
		r.level = want
		return nil
	}
	for _, l := range []Level{LevelRestricted, LevelProcess, LevelNone} {
		if r.level = l; r.levels[string(l)] == "" {
			break
		}
		r.cfg.Logger.Warn("functions run in a lower sandbox", "not", string(l), "why", r.levels[string(l)])
	}
	return nil
}

// levelFor is the level in which a function runs that wants at least one.
func (r *Runtime) levelFor(want string) (Level, error) {
	l := Level(want)
	if want == "" || l.rank() <= r.level.rank() && l.rank() >= 0 {
		return r.level, nil
	}
	if l.rank() < 0 {
		return "", fmt.Errorf("there is no sandbox %q", want)
	}
	if why := r.levels[want]; why != "" {
		return "", fmt.Errorf("the function wants the sandbox %s, and this executor reaches %s (%s)", l, r.level, why)
	}
	return l, nil
}

// sandConfig is what the parent's sandboxes are made of.
type sandConfig struct {
	// OwnUser begins the users that workers can be: those after it. nil: there are none.
	OwnUser *int `json:"own_user"`
	// Work is the directory of the workers' directories, which goes with the parent.
	Work string `json:"work"`
}

// Users of workers, when we are root. They are blocks of numbers at the end of
// those that systemd reserves for nobody (UIDS-GIDS, "Unused"), each held by one
// runtime on a machine for as long as it lives: two would kill each other's.
const (
	usersFirst  = 1_879_048_192
	usersBlock  = 4096
	usersBlocks = (1<<31 - usersFirst) / usersBlock
)

// users gives each worker a user of its own.
type users struct {
	// held is an abstract socket. The parent of workers holds it, too: when we are
	// killed it cleans up after us, and until then the block is nobody else's.
	held  *os.File
	first int

	mu   sync.Mutex
	used map[int]bool
	next int
}

// newUsers holds a block of users, or returns nil if we cannot change users.
func newUsers() (*users, error) {
	if os.Geteuid() != 0 || runtime.GOOS != "linux" {
		return nil, nil
	}
	for block := range usersBlocks {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fmt.Sprintf("@belfry-users-%d", block), Net: "unix"})
		if err != nil {
			continue
		}
		held, err := l.File()
		if err = errors.Join(err, l.Close()); err != nil {
			return nil, fmt.Errorf("python: a block of users cannot be held: %w", err)
		}
		return &users{held: held, first: usersFirst + block*usersBlock, used: map[int]bool{}}, nil
	}
	return nil, fmt.Errorf("python: no users are left for workers: all %d blocks are held", usersBlocks)
}

// take gives a user that no worker is; nil if there are none. Never the first: as
// that one the parent kills those of others (shim/belfry_shim/killer.py).
func (u *users) take() *int {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for range usersBlock - 1 {
		u.next = u.next%(usersBlock-1) + 1
		if !u.used[u.next] {
			u.used[u.next] = true
			uid := u.first + u.next
			return &uid
		}
	}
	return nil
}

func (u *users) put(uid *int) {
	if uid == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.used, *uid-u.first)
}

func (u *users) close() {
	if u != nil {
		_ = u.held.Close()
	}
}

// passable says that any user may go through a directory.
func passable(dir string) bool {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		if at == filepath.Dir(at) {
			return true
		}
	}
}

// workDir makes the directory of the workers' directories: below dir, unless the
// workers have users of their own and these cannot get there. Its name is never
// that of another start: the parent of a runtime that was killed may yet remove its own.
func workDir(dir string, users *users) (string, error) {
	if users == nil {
		return os.MkdirTemp(dir, "work-")
	}
	within := dir
	if passable(filepath.Dir(dir)) {
		if err := os.Chmod(dir, 0o711); err != nil {
			return "", err
		}
	} else {
		within = os.TempDir()
		for _, old := range stale(within, dir) {
			_ = removeAll(old)
		}
	}
	work, err := os.MkdirTemp(within, workPrefix(dir))
	if err == nil {
		err = os.Chmod(work, 0o711) // each within is its user's alone
	}
	return work, err
}

// workPrefix begins the name of the work directory of a runtime in dir.
func workPrefix(dir string) string {
	return "belfry-work-" + strings.ReplaceAll(strings.Trim(dir, "/"), "/", "-") + "-"
}

// stale are the work directories that a killed runtime in dir has left.
func stale(parent, dir string) []string {
	all, _ := filepath.Glob(filepath.Join(parent, workPrefix(dir)+"*"))
	return slices.DeleteFunc(all, func(path string) bool {
		info, err := os.Lstat(path)
		return err != nil || !info.IsDir() // a link is somebody else's
	})
}
