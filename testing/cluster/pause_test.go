package cluster_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/cluster"
)

// rest is a time in which nothing of a trigger may start: from the answer to a
// pause or a deletion until the resumption was asked for.
type rest struct {
	trigger  string
	from, to time.Time // no end: zero
}

// racers pause, resume and delete triggers around full seconds.
type racers struct {
	journal   string
	end       time.Time
	offset    atomic.Int64 // of all racers, in nanoseconds from the full second
	won, lost atomic.Int64
	deletes   atomic.Int64

	mu    sync.Mutex
	rests []rest
}

// race lets one trigger after the other race until the end: it is paused around
// each second, every fourth time deleted.
func (r *racers) race(t *testing.T, c *client.Client, number int) {
	const spread, firstStep, leastStep, deleteEach = 200 * time.Microsecond, 800 * time.Microsecond, 100 * time.Microsecond, 4
	trigger := api.Trigger{}
	for n := 0; time.Now().Before(r.end); n++ {
		var err error
		if trigger.ID == "" {
			in := everySecond(fmt.Sprint("racer ", number), r.journal, 0)
			if trigger, err = c.CreateTrigger(t.Context(), in); err != nil {
				t.Error(err)
				return
			}
		}
		second := time.Now().Truncate(time.Second).Add(time.Second)
		time.Sleep(time.Until(second.Add(time.Duration(number-20)*spread + time.Duration(r.offset.Load())))) // real processes, real time
		if n%deleteEach == deleteEach-1 {
			if _, err := c.DeleteTrigger(t.Context(), api.Delete{ID: trigger.ID}); err != nil {
				t.Error(err)
				return
			}
			r.rested(rest{trigger: trigger.ID, from: time.Now()})
			r.deletes.Add(1)
			trigger.ID = ""
			continue
		}
		if trigger, err = c.PauseTrigger(t.Context(), api.Pause{ID: trigger.ID, Reason: "raced"}); err != nil || trigger.Active {
			t.Errorf("a pause: active %v, %v", trigger.Active, err)
			return
		}
		answered := time.Now()
		// A pause that came before the claim is sent later the next time, one
		// that came after it earlier: half of them win on any machine.
		step := max(leastStep, firstStep/time.Duration(n+1))
		if last := trigger.LastRun; last != nil && last.ScheduledFor == eventlog.TimeOf(second) && last.Status != api.Canceled {
			r.lost.Add(1)
			r.offset.Add(-int64(step))
		} else {
			r.won.Add(1)
			r.offset.Add(int64(step))
		}
		time.Sleep(time.Until(second.Add(500 * time.Millisecond)))
		r.rested(rest{trigger.ID, answered, time.Now()})
		if trigger, err = c.ResumeTrigger(t.Context(), api.Pause{ID: trigger.ID}); err != nil || !trigger.Active {
			t.Errorf("a resumption: active %v, %v", trigger.Active, err)
			return
		}
	}
	if trigger.ID != "" {
		if _, err := c.PauseTrigger(t.Context(), api.Pause{ID: trigger.ID}); err != nil {
			t.Error(err)
		}
		r.rested(rest{trigger: trigger.ID, from: time.Now()})
	}
}

func (r *racers) rested(one rest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rests = append(r.rests, one)
}

// Pauses and deletions race the full second of triggers that fire each second:
// once one was answered, nothing starts until the resumption, by the stream, by
// the clock, and by the journal.
func TestPauseRaces(t *testing.T) {
	t.Parallel()
	const triggers, clients = 40, 8
	over := time.Duration(fromEnv(t, "PAUSE_SECONDS", 5)) * time.Second
	p := cluster.New(t)
	p.Start()
	create(t, p.Client(api.Admin), "journal", runJournalCode)
	r := &racers{journal: filepath.Join(t.TempDir(), "journal"), end: time.Now().Add(over)}
	var asking []*client.Client
	for range clients {
		asking = append(asking, p.Client(api.Admin))
	}
	var racing sync.WaitGroup
	for n := range triggers {
		racing.Go(func() { r.race(t, asking[n%clients], n) })
	}
	racing.Wait()
	cluster.WaitRuns(t, p, 0, time.Minute)
	v := judged(t, p, r.journal)

	claims := map[string][]time.Time{}
	for _, run := range v.Runs {
		if len(run.Claims) > 0 && !run.Manual {
			claims[run.Trigger] = append(claims[run.Trigger], run.Claims[0].At)
		}
	}
	pauses := map[string]int{}
	for _, one := range r.rests {
		x := v.Triggers[one.trigger]
		if x == nil {
			t.Fatalf("trigger %s was answered and is not in the log", one.trigger)
		}
		if x.Status != "deleted" {
			pauses[one.trigger]++
		}
		for _, at := range claims[one.trigger] {
			if at.After(one.from) && (one.to.IsZero() || at.Before(one.to)) {
				t.Errorf("%s rested from %v to %v; a run was claimed at %v", one.trigger, one.from, one.to, at)
			}
		}
	}
	for id, n := range pauses {
		if x := v.Triggers[id]; x.Pauses != n || x.Status != "paused" {
			t.Errorf("trigger %s: %d pauses were answered, %d are in the log, it is %s", id, n, x.Pauses, x.Status)
		}
	}
	won, lost := r.won.Load(), r.lost.Load()
	canceled := 0
	for _, run := range v.Runs {
		if run.Status == "Canceled" {
			canceled++
		}
	}
	t.Logf("%d pauses before the claim, %d after it, %d deletions; %d runs canceled as they waited; sent %v off the second in the end",
		won, lost, r.deletes.Load(), canceled, time.Duration(r.offset.Load()))
	if all := won + lost; won < all/20 || lost < all/20 || all == 0 {
		t.Errorf("inconclusive: %d won, %d lost", won, lost)
	}
}
