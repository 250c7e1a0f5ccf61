//go:build linux

package chaos

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/check"
)

// apart is the name of the executor that is a process of its own.
const apart = "apart"

// The faults of an executor of its own. The name of one that strikes where no run
// was under way there is without the part that says so.
const (
	executorKilled  = "an executor killed"
	executorDrained = "an executor drained"
	executorFrozen  = "an executor frozen, given up and thawed"
	bothKilled      = "kill -9 of a node and its executor"
	amidstARun      = " amidst a run"
)

// kindsOfExecutors are these faults. Every third one that is thrown is among them.
func kindsOfExecutors() []string {
	return []string{executorKilled, executorDrained, executorFrozen, executorFrozen, bothKilled}
}

// strikeApart throws one of these, mostly while a run is under way there.
func (s *storm) strikeApart(ctx context.Context, kind string) string {
	if s.untilARunOn(ctx, apart) {
		kind += amidstARun
	}
	switch strings.TrimSuffix(kind, amidstARun) {
	case executorKilled:
		s.apart.Kill()
	case executorDrained:
		if err := s.apart.Stop(); err != nil {
			s.errorf("SIGTERM: an executor: %v: %s", err, s.apart.Stderr())
		}
	case executorFrozen:
		s.freeze()
	case bothKilled:
		s.apart.Kill()
		s.p.Kill()
	}
	return kind
}

// freeze has the executor stand still until it was given up: what it runs goes on
// without it, or stands still as well. It thaws with what it believes to have.
func (s *storm) freeze() {
	pids := []int{s.apart.Pid()}
	if s.random.IntN(2) == 0 {
		pids = append(pids, descendants(s.apart.Pid())...)
	}
	longer := time.Second
	if s.length == roundLength {
		longer = 4 * time.Second
	}
	signalAll(syscall.SIGSTOP, pids)
	time.Sleep(wire.LostAfter + 500*time.Millisecond + s.upTo(longer))
	signalAll(syscall.SIGCONT, pids)
}

// untilARunOn returns when a function has begun on an executor and not ended; false
// if none would. Of several some come there, whoever else there is.
func (s *storm) untilARunOn(ctx context.Context, executor string) bool {
	var runs []string
	for range 4 {
		if id := s.long(ctx); id != "" {
			runs = append(runs, "run_"+strings.TrimPrefix(id, "sci_"))
		}
	}
	return s.whenOneBegan(func(run string) bool {
		r, err := s.own.client.GetRun(ctx, run)
		return err == nil && r.Executor == executor && r.Status == api.Processing
	}, runs)
}

// whenOneBegan waits until one of these runs has, of which something holds.
func (s *storm) whenOneBegan(holds func(run string) bool, runs []string) bool {
	for range 100 {
		raw, err := os.ReadFile(s.file)
		for _, run := range runs {
			if err == nil && strings.Contains(string(raw), run) && holds(run) {
				time.Sleep(s.upTo(100 * time.Millisecond))
				return true
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// python is what runs functions, of both executors: of each the parent comes first.
func (s *storm) python() []int {
	return append(descendants(s.p.Pid()), descendants(s.apart.Pid())...)
}

// taken counts the attempts of the executor apart, those that another one followed
// (they were lost, handed back, or failed), and those of which it did before the
// frozen executor that had them was thawed.
type taken struct{ attempts, followed, frozen int }

func (n *taken) of(v *check.Verdict, faults []check.Fault) {
	for _, l := range v.Items {
		n.ofClaims(l.Claims, faults)
	}
	for _, l := range v.Runs {
		n.ofClaims(l.Claims, faults)
	}
}

func (n *taken) ofClaims(claims []check.Claim, faults []check.Fault) {
	for k, c := range claims {
		if c.Executor != apart {
			continue
		}
		n.attempts++
		if k+1 == len(claims) {
			continue
		}
		n.followed++
		next := claims[k+1].At
		if slices.ContainsFunc(faults, func(f check.Fault) bool {
			return strings.HasPrefix(f.Kind, executorFrozen) && c.At.Before(f.From) && next.After(f.From) && next.Before(f.To)
		}) {
			n.frozen++
		}
	}
}

func (n *taken) String() string {
	return fmt.Sprintf("%d attempts on the executor apart, %d followed by another, %d of them while it was frozen", n.attempts, n.followed, n.frozen)
}

func signalAll(sig syscall.Signal, pids []int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig) // it may have ended
	}
}
