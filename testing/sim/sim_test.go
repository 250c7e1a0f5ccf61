package sim

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/testing/check"
)

func seedFrom(t *testing.T, name string, or uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return or
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func runSeed(t *testing.T, seed uint64) (w *World) {
	t.Helper()
	dir := t.TempDir()
	cryptotest.SetGlobalRandom(t, seed) // ids are drawn from it
	var talk bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(seed, dir)
		if os.Getenv("SIM_LOG") != "" {
			w.talk = &talk
		}
		began := time.Now()
		w.live()
		hashes := w.hashes()
		w.breaks = append(w.breaks, w.objections()...)
		w.stop()
		v := check.Log(w.commits())
		_ = hashes
		v.AllEnded()
		for _, b := range w.breaks {
			t.Error(b)
		}
		for n, x := range v.Violations {
			if n < 10 {
				t.Error(x)
			}
		}
		t.Logf("seed %d: %d nodes, scale %s: %s, %d commits, %d events, %d items, %d triggers, %d runs, %d ops, %d faults, %d lines", seed, w.plan.nodes, w.plan.scale, time.Since(began),
			v.Commits, v.Events, len(v.Items), len(v.Triggers), len(v.Runs), len(w.history.all()), len(w.faults.all()), len(w.journal.all()))
	})
	if t.Failed() && w.talk != nil {
		_ = os.WriteFile("/tmp/sim.log", talk.Bytes(), 0o600)
	}
	return w
}

func TestSeeds(t *testing.T) {
	first := seedFrom(t, "SIM_SEED", 1)
	count := seedFrom(t, "SIM_SEEDS", 20)
	for n := range count {
		t.Run(fmt.Sprint(first+n), func(t *testing.T) { runSeed(t, first+n) })
	}
}
