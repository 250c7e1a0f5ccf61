//go:build linux

package chaos

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// judge lets the judge see the log, what callers were told, what functions wrote,
// and the faults.
func (s *storm) judge() *check.Verdict {
	s.t.Helper()
	s.sound()
	commits := cluster.Commits(s.t, s.p.Conn())
	for _, p := range []*cluster.Process{s.apart, s.p} {
		if err := p.Stop(); err != nil {
			s.errorf("SIGTERM at the end: %v: %s", err, p.Stderr())
		}
	}
	v := check.Log(commits)
	v.Reproduce = fmt.Sprintf("CHAOS_SEED=%d CHAOS_MINUTES=1 go test -v -run TestStorm ./testing/chaos", s.seed)
	if s.length == shortRound {
		v.Reproduce = fmt.Sprintf("CHAOS_SEED=%d go test -v -run TestStorm ./testing/chaos", s.seed)
	}
	v.Lateness = lateMax
	v.Faults(s.faults)
	v.History(asChanges(s.history.ops, commits))
	v.Lines(journal(s.t, s.file))
	v.Owned("local")
	v.AllEnded()
	if report := v.Report(v.Reproduce); report != "" {
		s.errorf("%s\nevidence: %s", report, s.keep(commits))
	}
	for _, found := range wrongful(&s.history) {
		s.errorf("%s\nagain: %s", found, v.Reproduce)
	}
	if err := v.Enough(check.Minimum{Ops: 50, Events: 100, Faults: faultsMin, Ended: 20}); err != nil {
		s.errorf("%v", err)
	}
	var n taken
	n.of(v, s.faults)
	fmt.Printf("chaos: seed %d: %s, %d commits, %d events, %d runs of triggers and calls, items ended %v, in %s: %s\n  faults: %s\n  %s\n",
		s.seed, outcomes(s.history.ops), v.Commits, v.Events, len(v.Runs), v.Counts(), time.Since(s.began).Round(time.Second), v.Outcome(), kinds(s.faults), &n)
	return v
}

// keep writes down what the judge saw, for whoever looks for the cause.
func (s *storm) keep(commits []check.Commit) string {
	dir, err := os.MkdirTemp("", fmt.Sprintf("chaos-%d-", s.seed))
	s.must(err)
	var log []byte
	for _, c := range commits {
		log = fmt.Appendf(log, "%d %s %s\n", c.Seq, c.Subject, c.Body)
	}
	for name, of := range map[string]any{"ops.json": s.history.ops, "faults.json": s.faults, "lines.json": journal(s.t, s.file)} {
		raw, err := json.Marshal(of)
		s.must(err)
		s.must(os.WriteFile(filepath.Join(dir, name), raw, 0o600))
	}
	s.must(os.WriteFile(filepath.Join(dir, "log"), log, 0o600))
	return dir
}

// outcomes counts operations by what clients were told.
func outcomes(ops []check.Op) string {
	count := map[check.Outcome]int{}
	for n := range ops {
		count[ops[n].Outcome]++
	}
	text := fmt.Sprintf("%d operations", len(ops))
	for _, o := range []check.Outcome{check.Acknowledged, check.Refused, check.Unavailable, check.Unknown} {
		text += fmt.Sprintf(", %d %s", count[o], o)
	}
	return text
}

// kinds counts faults by their kind.
func kinds(faults []check.Fault) string {
	count := map[string]int{}
	for _, f := range faults {
		count[f.Kind]++
	}
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		all = append(all, fmt.Sprintf("%d %s", count[kind], kind))
	}
	return strings.Join(all, "; ")
}

// tally is what all rounds came to.
type tally struct {
	rounds, ops, unknown, events, runs, lines int
	taken                                     taken
	thrown                                    map[string]int
}

func (t *tally) add(s *storm, v *check.Verdict) {
	t.ops, t.events = t.ops+len(s.history.ops), t.events+v.Events
	t.runs, t.lines = t.runs+len(v.Runs), t.lines+len(journal(s.t, s.file))
	t.taken.of(v, s.faults)
	for n := range s.history.ops {
		if s.history.ops[n].Outcome == check.Unknown {
			t.unknown++
		}
	}
	for _, f := range s.faults {
		t.thrown[f.Kind]++
	}
}

// String is a table, as testing/README.md has it.
func (t *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d rounds, %d operations (%d unknown), %d events, %d runs of triggers and calls, %d lines in journals;\n%s\n\n",
		t.rounds, t.ops, t.unknown, t.events, t.runs, t.lines, &t.taken)
	b.WriteString("| fault | thrown |\n|---|---|\n")
	for _, kind := range slices.Sorted(maps.Keys(t.thrown)) {
		fmt.Fprintf(&b, "| %s | %d |\n", kind, t.thrown[kind])
	}
	return b.String()
}
