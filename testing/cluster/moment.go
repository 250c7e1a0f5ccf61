package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/check"
)

// momentFunction is what the triggers of AtOneMoment run.
const momentFunction = "noop"

// AtOneMoment makes n triggers whose next occurrence is at the same moment, lets
// them fire, and returns the judged log and the moment when all runs have ended.
// The process must run.
func AtOneMoment(t testing.TB, p *Process, n int) (*check.Verdict, time.Time) {
	t.Helper()
	c := p.Client(api.Admin)
	name, code := momentFunction, "def execute(current_user, **kwargs):\n    return None\n"
	if _, err := c.CreateFunction(t.Context(), api.FunctionInput{Name: &name, Code: &code}); err != nil {
		t.Fatal(err)
	}
	const creators, each = 16, 5 * time.Millisecond
	moment := time.Now().Add(6*time.Second + time.Duration(n)*each).Truncate(time.Second).UTC()
	schedule := fmt.Sprintf("%d %d %d * * *", moment.Second(), moment.Minute(), moment.Hour())
	var creating sync.WaitGroup
	for w := range creators {
		mine := p.Client(api.Admin)
		creating.Go(func() {
			for k := w; k < n; k += creators {
				name := fmt.Sprint("at one moment ", k)
				if _, err := mine.CreateTrigger(t.Context(), api.TriggerInput{
					Name: &name, CronSchedule: &schedule, Function: &api.RefInput{IDOrName: momentFunction},
				}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	creating.Wait()
	if ahead := time.Until(moment); ahead < 0 || t.Failed() {
		t.Fatalf("inconclusive: %d triggers were made %v after their moment", n, -ahead)
	}
	time.Sleep(time.Until(moment)) // real processes, real time
	WaitRuns(t, p, n, 2*time.Minute)
	v := Judge(t, p.Conn())
	return v, moment
}

// WaitRuns returns when so many runs have completed and none is open.
func WaitRuns(t testing.TB, p *Process, completed int, most time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	c := p.Client(api.Admin)
	var failed error // the last call that did: on a busy machine one may, or after a fault
	count := func(status api.Status) (n int) {
		limit := 200 // each run is read back from the log: a page has to fit its time-out
		for in := (api.RunList{List: api.List{Limit: &limit}, Status: status}); ; {
			page, err := c.ListRuns(ctx, in)
			if err != nil {
				failed = fmt.Errorf("runs of status %s: %w", status, err)
				return n
			}
			n += len(page.Records)
			if in.Cursor = page.Next; in.Cursor == "" {
				return n
			}
		}
	}
	for {
		failed = nil
		open := count(api.Queued) + count(api.Processing)
		done := 0
		if open == 0 && completed > 0 {
			done = count(api.Completed)
		}
		if failed == nil && open == 0 && done >= completed {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %v %d runs are open, %d of %d completed; %v", most, open, done, completed, failed)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Starts are how long after a moment the runs of triggers began, the first one
// first.
func Starts(v *check.Verdict, moment time.Time) (after []time.Duration) {
	for _, r := range v.Runs {
		after = append(after, r.Started.Sub(moment))
	}
	slices.Sort(after)
	return after
}

// Outcomes are how many occurrences of all triggers had which: "fired", "by
// hand", or the reason for which they were skipped.
func Outcomes(v *check.Verdict) map[string]int {
	counts := map[string]int{}
	for _, t := range v.Triggers {
		counts["fired"] += t.Fired
		counts["by hand"] += t.ByHand
		for why, n := range t.Skipped {
			counts[why] += n
		}
	}
	return counts
}
