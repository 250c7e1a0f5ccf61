//go:build linux

package chaos

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/testing/check"
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
	powerCut     = "power cut"
	diskFull     = "disk full"
)

// kinds are the faults that this storm may throw.
func (s *storm) kinds() []string {
	all := []string{
		killAnywhere, killCreate, killClaim, killRun, killSnapshot, restart, standstill, standstill, workerKilled, pythonKilled,
	}
	if s.disk != nil {
		all = append(all, powerCut, powerCut, diskFull)
	}
	return all
}

// strike throws one fault and mends it.
func (s *storm) strike(ctx context.Context, kind string) {
	f := check.Fault{Kind: kind, Node: "local", From: time.Now()}
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
		s.amidstARun(ctx)
	case killSnapshot:
		s.amidstTheSnapshot()
	case restart:
		if err := s.p.Stop(); err != nil {
			s.t.Errorf("SIGTERM: %v: %s", err, s.p.Stderr())
		}
	case standstill:
		s.signal(syscall.SIGSTOP)
		time.Sleep(s.upTo(7 * time.Second))
		s.signal(syscall.SIGCONT)
	case workerKilled, pythonKilled:
		for n, pid := range children(s.p.Pid()) {
			if kind == pythonKilled || n == 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			}
		}
	case powerCut:
		s.must(s.disk.cut(s.p))
	case diskFull:
		s.must(s.disk.fill())
		time.Sleep(2*time.Second + s.upTo(3*time.Second))
		s.must(s.disk.free())
		s.p.Kill() // as an operator would: the server may not recover by itself
	}
	if !s.p.Runs() {
		time.Sleep(s.upTo(1500 * time.Millisecond))
		s.p.Start()
	}
	f.To = time.Now()
	s.faults = append(s.faults, f)
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

// amidstARun kills when a function has begun and not ended.
func (s *storm) amidstARun(ctx context.Context) {
	id := s.own.ask(ctx, "item", "create", map[string]any{
		"name": "long", "run_date_time": stamp(time.Now()), "function": "journal", "data": map[string]any{"journal": s.file, "seconds": 2},
	})
	run := "run_" + strings.TrimPrefix(id, "sci_")
	for range 100 {
		if raw, err := os.ReadFile(s.file); err == nil && id != "" && strings.Contains(string(raw), run) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(s.upTo(100 * time.Millisecond))
	s.p.Kill()
}

// amidstTheSnapshot kills while a process ends, which writes its last snapshot.
func (s *storm) amidstTheSnapshot() {
	s.signal(syscall.SIGTERM)
	time.Sleep(s.upTo(60 * time.Millisecond))
	s.p.Kill()
}

// children are the processes that a process has started.
func children(of int) (pids []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(raw), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(of) {
			pids = append(pids, pid)
		}
	}
	return pids
}
