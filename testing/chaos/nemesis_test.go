//go:build linux

package chaos

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// The faults.
const (
	killAnywhere = "kill -9"
	killCreate   = "kill -9 amidst creates"
	killClaim    = "kill -9 at a claim"
	killRun      = "kill -9 amidst a run"
	killSnapshot = "kill -9 amidst the last snapshot"
	restart      = "SIGTERM and start"
	standstill   = "SIGSTOP, SIGCONT"
	workerKilled = "a Python worker killed"
	pythonKilled = "all Python killed"
	workLost     = "all Python killed amidst a run"
	powerLoss    = "power loss" // the word cut would mean the network to the judge
	diskFull     = "disk full"
)

// kinds are the faults that this storm may throw, besides those of executors.
func (s *storm) kinds() []string {
	all := []string{
		killAnywhere, killCreate, killClaim, killRun, killSnapshot, restart, standstill, standstill, workerKilled, pythonKilled, workLost,
	}
	if s.disk != nil {
		all = append(all, powerLoss, powerLoss, diskFull)
	}
	return all
}

// strike throws one fault and mends it. What was not thrown is not noted.
func (s *storm) strike(ctx context.Context, kind string) {
	s.sound()
	f, thrown := check.Fault{Kind: kind, Node: "local", From: time.Now()}, true
	switch kind {
	case killAnywhere:
		s.p.Kill()
	case killCreate:
		s.amidstCreates(ctx)
	case killClaim:
		due := time.Now().Add(700 * time.Millisecond)
		s.own.createItem(ctx, due)
		time.Sleep(time.Until(due) + s.upTo(4*time.Millisecond))
		s.p.Kill()
	case killRun:
		if !s.untilARun(ctx) {
			f.Kind = killAnywhere
		}
		s.p.Kill()
	case killSnapshot:
		f.Kind = s.amidstTheSnapshot()
	case restart:
		if err := s.p.Stop(); err != nil {
			s.errorf("SIGTERM: %v: %s", err, s.p.Stderr())
		}
	case executorKilled, executorDrained, executorFrozen, bothKilled:
		f.Kind, f.Node = s.strikeApart(ctx, kind), apart
	case standstill:
		s.signal(syscall.SIGSTOP)
		time.Sleep(s.stands())
		s.signal(syscall.SIGCONT)
	case workerKilled:
		all := s.python()
		if thrown = len(all) > 0; thrown {
			end(all[s.random.IntN(len(all))])
		}
		s.sound()
	case pythonKilled, workLost:
		if kind == workLost && !s.untilARun(ctx) {
			f.Kind = pythonKilled
		}
		all := s.python()
		thrown = len(all) > 0
		end(all...)
		s.sound()
	case powerLoss:
		s.must(s.disk.Cut(s.p))
	case diskFull:
		s.must(s.disk.Fill())
		s.own.createItem(ctx, s.own.soon())
		time.Sleep(2*time.Second + s.upTo(3*time.Second))
		s.must(s.disk.Free())
		s.again(ctx)
	}
	for _, p := range []*cluster.Process{s.p, s.apart} {
		if !p.Runs() {
			time.Sleep(s.upTo(1500 * time.Millisecond))
			p.Start()
		}
	}
	if f.To = time.Now(); thrown {
		s.faults = append(s.faults, f)
	}
}

// sound says that node and executor live, unless a fault has just ended them, and
// have met neither a panic nor a race: a start would hide that.
func (s *storm) sound() {
	s.t.Helper()
	for name, p := range map[string]*cluster.Process{"node": s.p, "executor": s.apart} {
		if !p.Runs() {
			s.errorf("the %s ended by itself: %s", name, p.Stderr())
			continue
		}
		for _, bad := range []string{"panic: ", "DATA RACE", "fatal error: "} {
			if strings.Contains(p.Stderr(), bad) {
				s.errorf("the %s said: %s", name, p.Stderr())
			}
		}
	}
}

func (s *storm) shuffled(kinds []string) []string {
	s.random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	return kinds
}

func (s *storm) upTo(d time.Duration) time.Duration { return time.Duration(s.random.Int64N(int64(d))) }

func (s *storm) signal(sig syscall.Signal) { s.must(syscall.Kill(s.p.Pid(), sig)) }

// amidstCreates kills while several clients' creates are on their way.
func (s *storm) amidstCreates(ctx context.Context) {
	asking := make(chan struct{})
	go func() {
		defer close(asking)
		for range 5 {
			s.own.createItem(ctx, s.own.soon())
		}
	}()
	time.Sleep(s.upTo(6 * time.Millisecond))
	s.p.Kill()
	time.Sleep(s.upTo(time.Second))
	s.p.Start() // the creates go on meanwhile
	<-asking
}

// end kills processes, of which some may have ended.
func end(pids ...int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// stands is how long a process stands still: one time in four so long that
// everybody has given it up, where there is time for it.
func (s *storm) stands() time.Duration {
	if s.length == roundLength && s.random.IntN(4) == 0 {
		return 7*time.Second + s.upTo(13*time.Second)
	}
	return time.Second + s.upTo(4*time.Second)
}

// again does what an operator does once a full disk has room: the node is started
// again if it does not take up its work.
func (s *storm) again(ctx context.Context) {
	switch {
	case s.own.createItem(ctx, s.own.soon()) != "":
	case s.random.IntN(2) == 0:
		s.p.Kill()
	default:
		if err := s.p.Stop(); err != nil {
			s.errorf("SIGTERM after the disk was full: %v: %s", err, s.p.Stderr())
		}
	}
}

// untilARun returns when a function has begun and not ended; false if none would.
func (s *storm) untilARun(ctx context.Context) bool {
	id := s.long(ctx)
	return id != "" && s.whenOneBegan(func(string) bool { return true }, []string{"run_" + strings.TrimPrefix(id, "sci_")})
}

// long creates an item that runs at once, for two seconds.
func (s *storm) long(ctx context.Context) string {
	return s.own.ask(ctx, "item", "create", map[string]any{
		"name": "long", "run_date_time": stamp(time.Now()), "function": "journal", "data": map[string]any{"journal": s.file, "seconds": 2},
	})
}

// amidstTheSnapshot ends a process, and kills it as soon as the new file of its
// last snapshot is there. It returns what came of it.
func (s *storm) amidstTheSnapshot() string {
	file := filepath.Join(s.p.Dir, "snapshot.new")
	_ = os.Remove(file) // of an earlier kill
	s.signal(syscall.SIGTERM)
	for deadline := time.Now().Add(time.Minute); s.p.Runs() && time.Now().Before(deadline); {
		if _, err := os.Stat(file); err == nil {
			s.p.Kill()
			return killSnapshot
		}
		time.Sleep(50 * time.Microsecond)
	}
	if err := s.p.Stop(); err != nil {
		s.errorf("SIGTERM: %v: %s", err, s.p.Stderr())
	}
	return restart
}

// descendants are the processes that a process has started, and those that they
// have: the parent of Python's workers comes first.
func descendants(of int) []int {
	all := cluster.Children(of)
	for n := 0; n < len(all); n++ {
		all = append(all, cluster.Children(all[n])...)
	}
	return all
}
