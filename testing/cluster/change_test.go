package cluster_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/cluster"
)

// change is what somebody does to a trigger: one of the things that a caller
// can, drawn at random.
func change(t *testing.T, c *client.Client, random *rand.Rand, id string) {
	t.Helper()
	one := func(of ...string) *string { return &of[random.IntN(len(of))] }
	from := func(most time.Duration) *string {
		if random.IntN(3) == 0 {
			return text("")
		}
		return text(time.Now().Add(time.Duration(random.Int64N(int64(most)))).UTC().Format(time.RFC3339Nano))
	}
	in := api.TriggerInput{ID: id}
	var err error
	switch random.IntN(12) {
	case 0, 1, 2:
		in.CronSchedule = one("* * * * * *", "*/2 * * * * *", "*/3 * * * * *", "@every 1s", "@every 1500ms", "1-59/2 * * * * *", "0-58/2,59 * * * * *", leapDay)
	case 3:
		in.StartsAt, in.EndsAt = from(2*time.Second), text("")
	case 4:
		in.StartsAt, in.EndsAt = text(""), from(4*time.Second)
	case 5:
		in.Overlap, in.Jitter = one("skip", "allow"), one("0s", "300ms")
	case 6:
		in.CatchUp, in.CatchUpWindow = one("latest", "none"), one("1m", "24h")
	case 7:
		active := random.IntN(2) == 0
		in.Active, in.CronSchedule = &active, one("* * * * * *", "*/2 * * * * *", "@every 1s")
	case 8:
		_, err = c.PauseTrigger(t.Context(), api.Pause{ID: id})
	case 9, 10:
		_, err = c.ResumeTrigger(t.Context(), api.Pause{ID: id})
	case 11:
		_, err = c.RunTrigger(t.Context(), api.TriggerRun{ID: id})
	}
	if err == nil && (in.CronSchedule != nil || in.StartsAt != nil || in.Overlap != nil || in.CatchUp != nil) {
		_, err = c.UpdateTrigger(t.Context(), in)
	}
	if err != nil {
		t.Errorf("%+v: %v", in, err)
	}
}

// Schedules are changed again and again while they fire, in whatever way a
// caller can, with a kill -9 between: by the log, each occurrence of what was
// the schedule then has exactly one outcome, and each next run is the right one.
func TestScheduleChanges(t *testing.T) {
	t.Parallel()
	const triggers, phases = 16, 2
	over := time.Duration(fromEnv(t, "CHANGE_SECONDS", 3)) * time.Second
	seed := uint64(fromEnv(t, "CHANGE_SEED", int(time.Now().UnixNano()&0xffffff)))
	t.Logf("seed: CHANGE_SEED=%d", seed)
	p := cluster.New(t, "--slots", "8")
	p.Start()
	c := p.Client(api.Admin)
	create(t, c, "journal", runJournalCode)
	journal := filepath.Join(t.TempDir(), "journal")
	ids := make([]string, triggers)
	for n := range ids {
		x, err := c.CreateTrigger(t.Context(), everySecond(fmt.Sprint("changing ", n), journal, float64(n%3)/2))
		if err != nil {
			t.Fatal(err)
		}
		ids[n] = x.ID
	}
	for phase := range phases {
		end := time.Now().Add(over)
		var changing sync.WaitGroup
		for n, id := range ids {
			random := rand.New(rand.NewPCG(seed, uint64(phase*triggers+n)))
			changing.Go(func() {
				for time.Now().Before(end) && !t.Failed() {
					change(t, c, random, id)
					time.Sleep(time.Duration(random.Int64N(int64(600 * time.Millisecond)))) // real processes, real time
				}
			})
		}
		changing.Wait()
		if phase+1 < phases {
			p.Kill()
			time.Sleep(1500 * time.Millisecond)
			p.Start()
		}
	}
	for _, id := range ids {
		if _, err := c.PauseTrigger(t.Context(), api.Pause{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	cluster.WaitRuns(t, p, 0, time.Minute)
	if counts := cluster.Outcomes(judged(t, p, journal)); counts["fired"] == 0 || counts["by hand"] == 0 {
		t.Errorf("inconclusive: %v", counts)
	}
}
