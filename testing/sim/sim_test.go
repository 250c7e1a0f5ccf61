package sim

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
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
		v := w.judge()
		w.stop()
		again := fmt.Sprintf("SIM_SEED=%d SIM_SEEDS=1 go test -run TestSeeds ./testing/sim", seed)
		for _, b := range w.breaks {
			t.Errorf("%s\nagain: %s", b, again)
		}
		if report := v.Report(again); report != "" {
			t.Error(report)
		}
		if err := v.Enough(check.Minimum{Ops: 20, Events: 30, Faults: 5, Ended: 5}, len(w.history.all())); err != nil {
			t.Errorf("%v\nagain: %s", err, again)
		}
		t.Logf("seed %d: %d nodes, scale %s: %s, %d commits, %d events, %d items, %d triggers, %d runs, %d ops, %d faults, %d lines", seed, w.plan.nodes, w.plan.scale, time.Since(began),
			v.Commits, v.Events, len(v.Items), len(v.Triggers), len(v.Runs), len(w.history.all()), len(w.faults.all()), len(w.journal.all()))
	})
	if t.Failed() && w.talk != nil {
		_ = os.WriteFile(filepath.Join(os.TempDir(), "belfry-sim.log"), talk.Bytes(), 0o600)
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
