package cluster_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

// Cancels race the due time of thousands of items over NATS: one that was
// answered is never followed by a claim, by the stream and by the journal.
func TestCancelRaces(t *testing.T) {
	t.Parallel()
	races := fromEnv(t, "RACES", 800)
	const clients = 8
	p := cluster.New(t)
	p.Start()
	c := p.Client(api.Admin)
	create(t, c, "journal", journalCode)
	journal := filepath.Join(t.TempDir(), "journal")
	var canceled sync.Map
	var won, refused atomic.Int64
	var racing sync.WaitGroup
	for w := range clients {
		racing.Go(func() {
			mine := p.Client(api.Admin)
			// The cancel is sent later after each one that won, earlier after
			// each that lost: half of them win on any machine. An item is due when
			// it has surely been created, by how long that took the last time.
			const atLeast, step = 50 * time.Millisecond, 500 * time.Microsecond
			ahead, offset := atLeast, time.Duration(0)
			for n := w; n < races; n += clients {
				begun := time.Now()
				due := begun.Add(ahead)
				if !insist(t, mine, n, due, journal) {
					return
				}
				ahead = max(atLeast, 3*time.Since(begun))
				time.Sleep(time.Until(due.Add(offset)))
				_, err := mine.CancelItem(t.Context(), api.Cancel{ID: itemID(n), Reason: "raced"})
				if err == nil {
					won.Add(1)
					canceled.Store(itemID(n), true)
					offset += step
				} else {
					refused.Add(1)
					offset = max(offset-step, -ahead)
				}
			}
		})
	}
	racing.Wait()
	waitEnded(t, c, time.Minute)
	v := cluster.Judge(t, p.Conn())
	wrote := cluster.Journal(t, journal)
	for id, i := range v.Items {
		_, answered := canceled.Load(id)
		if answered && (len(i.Claims) > 0 || wrote[id] > 0) {
			t.Errorf("the cancel of %s was answered; it has %d claims and ran %d times", id, len(i.Claims), wrote[id])
		}
		if !answered && i.Status != "Completed" {
			t.Errorf("the cancel of %s was refused, and it is %s", id, i.Status)
		}
	}
	t.Logf("%d races: %d cancels answered, %d refused", races, won.Load(), refused.Load())
	if won.Load() < int64(races)/20 || refused.Load() < int64(races)/20 {
		t.Errorf("inconclusive: %d won, %d refused", won.Load(), refused.Load())
	}
}

// The code is updated again and again while items run: each run uses a version
// at least as new as the newest acknowledged before its claim.
func TestTheNewestCodeUnderLoad(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	c := p.Client(api.Admin)
	code := func(n int) string {
		return fmt.Sprintf("def execute(current_user, **kwargs):\n    return %d\n", n)
	}
	f := create(t, c, "versioned", code(1))
	const items = 400
	type update struct {
		acknowledged time.Time
		version      int
	}
	updates := []update{{time.Now(), 1}}
	var creating sync.WaitGroup
	created := make(chan struct{})
	creating.Go(func() {
		defer close(created)
		mine := p.Client(api.Admin)
		for n := range items {
			at := time.Now().Add(100 * time.Millisecond).UTC().Format(time.RFC3339Nano)
			if _, err := mine.CreateItem(t.Context(), api.ItemInput{
				ID: itemID(n), Name: text("v"), RunDateTime: &at, Function: &api.RefInput{IDOrName: f.ID},
			}); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(10 * time.Millisecond) // real processes, real time
		}
	})
	for n, busy := 2, true; busy; n++ {
		g, err := c.UpdateFunction(t.Context(), api.FunctionInput{ID: f.ID, Code: text(code(n))})
		if err != nil {
			t.Fatal(err)
		}
		updates = append(updates, update{time.Now(), g.Version})
		select {
		case <-created:
			busy = false
		case <-time.After(50 * time.Millisecond):
		}
	}
	creating.Wait()
	waitEnded(t, c, time.Minute)
	v := cluster.Judge(t, p.Conn())
	results := map[int]int{}
	for id, i := range v.Items {
		item, err := c.GetItem(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		run, err := c.GetRun(t.Context(), item.Run)
		if err != nil {
			t.Fatal(err)
		}
		var returned int
		if err := json.Unmarshal(item.Result, &returned); err != nil || returned != run.FunctionVersion {
			t.Errorf("%s says version %d and returned %s", id, run.FunctionVersion, item.Result)
		}
		results[returned]++
		for _, u := range updates {
			// A claim's time is to the millisecond, rounded down.
			if u.acknowledged.Before(i.Claims[0].At) && returned < u.version {
				t.Errorf("%s, claimed at %v, ran version %d; %d was acknowledged at %v", id, i.Claims[0].At, returned, u.version, u.acknowledged)
			}
		}
	}
	if len(results) < 5 {
		t.Errorf("inconclusive: only %d versions ran", len(results))
	}
	t.Logf("%d items ran %d of %d versions", items, len(results), len(updates))
}
