package sim_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node"
)

// kill -9 amidst runs, at night after night: an attempt that was under way is
// interrupted, and its run is taken up again.
func TestKillsAmidstRuns(t *testing.T) {
	wholeBubble(t, wholeDay, func(w *whole) {
		w.executorTakes(10 * time.Minute)
		from := time.Now()
		w.function()
		s := wholeSchedule{cron: "0 0 * * *", is: func(time.Time) bool { return true }}
		s.id = w.trigger(s.cron, nil)
		const kills = 6
		for n := range time.Duration(kills) {
			night := from.Add((3*n + 3) * wholeDay)
			w.until(night.Add(5 * time.Minute)) // it runs
			if n%3 == 2 {
				w.until(night.Add(15 * time.Minute)) // it has ended
			}
			w.killed(time.Now().Add(n * time.Hour))
		}
		w.until(time.Now().Truncate(wholeDay).Add(2*wholeDay + time.Hour))
		v := w.judge()
		if want := len(wholeCalendar(from, time.Now(), 0, s.is)); v.Triggers[s.id].Fired != want {
			t.Errorf("%d fired, the calendar has %d", v.Triggers[s.id].Fired, want)
		}
		again := 0
		for _, r := range v.Runs {
			again += len(r.Claims) - 1
		}
		if again != kills-kills/3 || v.Openings != kills+1 {
			t.Errorf("%d attempts were repeated in %d processes", again, v.Openings)
		}
	})
}

// What a node shows is the same with its snapshot, after the snapshot is lost or
// damaged, and after a kill.
func TestSnapshotsCanBeThrownAway(t *testing.T) {
	wholeBubble(t, wholeDay, func(w *whole) {
		w.function()
		for _, s := range wholeSchedules() {
			w.trigger(s.cron, nil)
		}
		w.item(time.Now().Add(20 * wholeDay))
		w.item(time.Now().Add(300 * wholeDay)) // stays open
		w.until(time.Now().Add(40*wholeDay + time.Hour))
		want := w.shown()
		file := func() string { return filepath.Join(w.dir, "snapshot") }
		for _, c := range []struct {
			name string
			harm func() error
		}{
			{"with its snapshot", func() error { _, err := os.Stat(file()); return err }},
			{"without it", func() error { return os.Remove(file()) }},
			{"with half of it", func() error { return os.Truncate(file(), 1000) }},
			{"with another file", func() error { return os.WriteFile(file(), []byte("no snapshot"), 0o600) }},
		} {
			w.stop()
			w.must(c.harm())
			w.start()
			if got := w.shown(); got != want {
				t.Errorf("%s it shows\n%s, not\n%s", c.name, got, want)
			}
		}
		w.kill()
		w.must(os.Remove(file()))
		w.start()
		if got := w.shown(); got != want {
			t.Errorf("after a kill it shows\n%s, not\n%s", got, want)
		}
		w.open = 1
		w.judge()
	})
}

// The control: a store that lost what was acknowledged is refused, and the node
// that refuses it leaves nothing running.
func TestAStoreFromThePastIsRefused(t *testing.T) {
	wholeBubble(t, wholeDay, func(w *whole) {
		w.function()
		w.trigger("0 0 * * *", nil)
		w.until(time.Now().Add(10*wholeDay + time.Hour))
		synctest.Wait()
		past := w.dir + " past"
		w.must(os.CopyFS(past, os.DirFS(filepath.Join(w.dir, "nats"))))
		w.until(time.Now().Add(10 * wholeDay))
		w.kill()
		w.must(os.RemoveAll(filepath.Join(w.dir, "nats")))
		w.must(os.Rename(past, filepath.Join(w.dir, "nats")))
		w.must(os.Remove(filepath.Join(w.dir, "snapshot"))) // it remembers too
		n, err := node.New(node.Config{DataDir: w.dir, DontListen: true, NoExec: true, Idle: w.idle, Logger: wholeLogger(w.t)})
		w.must(err)
		if err := n.Start(w.t.Context()); !errors.Is(err, eventlog.ErrDamaged) {
			t.Errorf("it starts: %v", err)
		}
		w.must(n.Stop(context.Background()))
	})
}

// Two hours at the product's own pace, in which executors vanish amidst runs.
func TestHoursAtFullPace(t *testing.T) {
	wholeBubble(t, time.Second, func(w *whole) {
		w.executorTakes(20 * time.Second)
		from := time.Now()
		w.function()
		id := w.trigger("*/5 * * * *", nil)
		const losses = 4
		for n := range time.Duration(losses) {
			w.until(from.Add((4*n+1)*5*time.Minute + 10*time.Second))
			gone := time.Now()
			w.loseExecutor()
			time.Sleep(n * 4 * time.Second) // 0 and 4 s: it is not yet taken for lost
			w.startExecutor()
			w.outage("executor", gone)
		}
		w.until(from.Add(2*time.Hour + time.Minute))
		v := w.judge()
		lost := w.interrupted("executor_lost")
		if x := v.Triggers[id]; x.Fired != 24 || lost != losses || v.Openings != 1 {
			t.Errorf("%d fired, skipped %v, %d attempts were lost and %d handed back in %d processes",
				x.Fired, x.Skipped, lost, w.interrupted("handed_back"), v.Openings)
		}
	})
}

// interrupted counts the attempts that ended for a reason and were repeated.
func (w *whole) interrupted(reason string) (n int) {
	w.t.Helper()
	for _, c := range w.commits() {
		n += bytes.Count(c.Body, []byte(`"reason":"`+reason+`"`))
	}
	return n
}
