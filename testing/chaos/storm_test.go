//go:build linux

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

const (
	// roundLength is how long faults are thrown before the judge is asked.
	roundLength = time.Minute
	// shortRound is what a test run has time for.
	shortRound = 12 * time.Second
	// callers ask at the same time.
	callers = 3
	// lateMax is how late a run may start beside the faults themselves: what has
	// gathered meanwhile has to be worked off, in a few slots, and Python starts
	// cold on a machine that may have other things to do.
	lateMax = 15 * time.Second
	// faultsMin is how many faults a round has, however long each takes.
	faultsMin = 2
	// diskMegabytes hold a round, and are soon full.
	diskMegabytes = 192
)

// storm is one round on one node with an executor apart.
type storm struct {
	t      *testing.T
	seed   uint64
	random *rand.Rand
	p      *cluster.Process
	apart  *cluster.Process // an executor, beside the node's own or in its place
	disk   *cluster.Disk    // nil: this machine allows none
	file   string
	own    *caller // of the nemesis
	all    []*caller
	length time.Duration // of the faults
	began  time.Time

	history history
	faults  []check.Fault
	wrong   []string // what the round is told to be wrong, a line each
}

func number(t *testing.T, name string, or uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return or
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestStorm: rounds of load and faults from the seed CHAOS_SEED on, until
// CHAOS_MINUTES are over; a short one if nobody says. What is thrown follows from
// the seed, when it strikes does not: real processes keep their own time.
func TestStorm(t *testing.T) {
	seed, minutes := number(t, "CHAOS_SEED", uint64(time.Now().UnixNano())), number(t, "CHAOS_MINUTES", 0)
	began, length, total := time.Now(), roundLength, tally{thrown: map[string]int{}}
	if minutes == 0 {
		length = shortRound
	}
	var wrong []string
	for ; total.rounds == 0 || time.Since(began) < time.Duration(minutes)*time.Minute; seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			s := newStorm(t, seed)
			s.length = length
			s.blow()
			total.add(s, s.judge())
			wrong = s.wrong
		})
		if total.rounds++; t.Failed() {
			break
		}
	}
	fmt.Printf("chaos: %s\n%s", time.Since(began).Round(time.Second), &total)
	for _, line := range wrong { // once more, where whoever reads the end of it looks
		t.Error(line)
	}
}

func newStorm(t *testing.T, seed uint64) *storm {
	t.Helper()
	s := &storm{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), p: cluster.New(t, "--slots", "4"),
		file: filepath.Join(t.TempDir(), "journal"), began: time.Now(),
	}
	disk, err := cluster.NewDisk(t, diskMegabytes)
	if err != nil {
		cluster.LeftOut("chaos: power loss, disk full", err)
	} else {
		s.disk, s.p.Dir = disk, filepath.Join(disk.Dir, "data")
	}
	s.apart = s.p.Executor(apart, "--slots", "4")
	if s.random.IntN(3) == 0 {
		s.p.Args, s.apart.Args = []string{"--no-exec"}, []string{"--slots", "8"}
	}
	s.p.Start()
	s.apart.Start()
	s.own = connect(t, s.p, &s.history, "nemesis", s.file, seed)
	for n := range callers {
		s.all = append(s.all, connect(t, s.p, &s.history, fmt.Sprint("caller", n), s.file, seed+uint64(n)<<32))
	}
	if s.own.ask(t.Context(), "function", "create", map[string]any{"name": "journal", "code": code, "timeout": "30s"}) == "" {
		t.Fatal("the function was not stored")
	}
	return s
}

func (s *storm) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// errorf reports what is wrong, and keeps its first line for the end.
func (s *storm) errorf(format string, args ...any) {
	s.t.Helper()
	text := fmt.Sprintf(format, args...)
	s.t.Error(text)
	line, _, _ := strings.Cut(text, "\n")
	s.wrong = append(s.wrong, line)
}

// blow lets callers work and faults strike for a while, mends everything, and
// waits until nothing is open.
func (s *storm) blow() {
	ctx, stop := context.WithTimeout(s.t.Context(), s.length)
	defer stop()
	var working sync.WaitGroup
	for _, c := range s.all {
		working.Go(func() { c.work(ctx) })
	}
	deck, ofExecutors := s.shuffled(s.kinds()), s.shuffled(kindsOfExecutors())
	for n := 0; ctx.Err() == nil || len(s.faults) < faultsMin; n++ {
		time.Sleep(500*time.Millisecond + s.upTo(2500*time.Millisecond))
		kind := deck[n%len(deck)]
		if n%3 == 0 {
			kind = ofExecutors[n/3%len(ofExecutors)]
		}
		s.strike(s.t.Context(), kind)
	}
	working.Wait()
	s.rest()
}

// rest deletes all schedules, and returns when nothing is open.
func (s *storm) rest() {
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	for {
		page, err := s.own.client.ListTriggers(ctx, api.TriggerList{})
		if err == nil && len(page.Records) == 0 {
			break
		}
		for _, x := range page.Records {
			s.own.ask(ctx, "trigger", "delete", map[string]any{"id": x.ID})
		}
		if ctx.Err() != nil {
			s.t.Fatalf("triggers cannot be deleted after all faults had ended: %v", err)
		}
	}
	cluster.WaitRuns(s.t, s.p, 0, 2*time.Minute)
	for {
		st, err := s.own.client.ClusterStatus(ctx)
		if err == nil && st.Items[api.Queued]+st.Items[api.Processing] == 0 {
			return
		}
		if ctx.Err() != nil {
			s.t.Fatalf("items are open two minutes after all faults had ended: %v, %v", st.Items, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
