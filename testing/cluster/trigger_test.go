package cluster_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// runJournalCode writes one line outside of Belfry for each execution: the run,
// the attempt, the time of its first line. Then it may take a while.
const runJournalCode = `import os, time
import valstorm

def execute(current_user, **kwargs):
    began = time.time()
    line = "%s %s %.6f\n" % (valstorm.run.id, valstorm.run.attempt, began)
    fd = os.open(kwargs["journal"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, line.encode())
    os.close(fd)
    time.sleep(kwargs.get("seconds", 0))
    return {"status": "success"}
`

// everySecond is a trigger that fires each second and whose runs write into a
// journal and take so long.
func everySecond(name, journal string, seconds float64) api.TriggerInput {
	data, err := json.Marshal(map[string]any{"journal": journal, "seconds": seconds})
	if err != nil {
		panic(err)
	}
	return api.TriggerInput{Name: &name, CronSchedule: text("* * * * * *"), Function: &api.RefInput{IDOrName: "journal"}, Data: data}
}

// judged is a log in which everything was decided and has ended, compared with
// the journal.
func judged(t testing.TB, p *cluster.Process, journal string) *check.Verdict {
	t.Helper()
	v := cluster.Judge(t, p.Conn())
	v.Violations = nil // reported by Judge
	v.AllDecided(time.Time{})
	v.AllEnded()
	wrote := cluster.Journal(t, journal)
	v.Journal(wrote)
	cluster.Report(t, v)
	claims, lines := 0, 0
	for _, r := range v.Runs {
		claims += len(r.Claims)
	}
	for _, n := range wrote {
		lines += n
	}
	t.Logf("%d triggers: %v; %d runs, %d claims, %d journal lines; %d events in %d commits",
		len(v.Triggers), cluster.Outcomes(v), len(v.Runs), claims, lines, v.Events, v.Commits)
	return v
}

// Triggers fire each second, kill -9 amidst them: each occurrence has exactly
// one outcome, and what the functions wrote agrees with the stream.
func TestTriggersKill9(t *testing.T) {
	t.Parallel()
	n := fromEnv(t, "TRIGGERS", 10)
	over := time.Duration(fromEnv(t, "TRIGGER_SECONDS", 8)) * time.Second
	kills := fromEnv(t, "TRIGGER_KILLS", 1)
	const missed = 2200 * time.Millisecond
	p := cluster.New(t, "--slots", fmt.Sprint(8+n/3))
	p.Start()
	c := p.Client(api.Admin)
	create(t, c, "journal", runJournalCode)
	journal := filepath.Join(t.TempDir(), "journal")
	takes := []float64{1.3, 0.3, 0, 0, 0} // overlaps; is killed; neither
	var ids []string
	for k := range n {
		x, err := c.CreateTrigger(t.Context(), everySecond(fmt.Sprint("each second ", k), journal, takes[k%len(takes)]))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, x.ID)
	}
	begin := time.Now()
	for k := range kills {
		// Amidst the longer runs, or just as occurrences are decided.
		at := begin.Add(over * time.Duration(k+1) / time.Duration(kills+1)).Truncate(time.Second).Add(150 * time.Millisecond)
		if k%2 == 1 {
			at = at.Add(-148 * time.Millisecond)
		}
		time.Sleep(time.Until(at)) // real processes, real time
		p.Kill()
		if k%2 == 0 { // seconds are missed
			time.Sleep(missed)
		}
		p.Start()
		t.Logf("kill %d: ready again after %v", k+1, p.Startup.Round(time.Millisecond))
	}
	time.Sleep(time.Until(begin.Add(over)))
	for _, id := range ids {
		if _, err := c.PauseTrigger(t.Context(), api.Pause{ID: id, Reason: "the end"}); err != nil {
			t.Fatal(err)
		}
	}
	cluster.WaitRuns(t, p, 0, time.Minute)
	v := judged(t, p, journal)
	again := 0
	for _, r := range v.Runs {
		again += max(0, len(r.Claims)-1)
	}
	if counts := cluster.Outcomes(v); again == 0 || counts["overlap"] == 0 || counts["missed"] == 0 {
		t.Errorf("inconclusive: %d attempts were repeated, outcomes %v", again, counts)
	}
	if len(v.Triggers) != n || v.Openings != kills+1 {
		t.Fatalf("%d of %d triggers, %d openings", len(v.Triggers), n, v.Openings)
	}
	for _, id := range ids {
		if x := v.Triggers[id]; x.Fired < 2 || len(x.Skipped) == 0 || x.Pauses != 1 {
			t.Errorf("inconclusive: trigger %s fired %d times, skipped %v, was paused %d times", id, x.Fired, x.Skipped, x.Pauses)
		}
	}
}

// Many triggers of one moment: each fires once, at it, and all their runs end.
func TestMinute(t *testing.T) {
	n := fromEnv(t, "MINUTE_TRIGGERS", 300)
	p := cluster.New(t)
	p.Start()
	v, moment := cluster.AtOneMoment(t, p, n)
	v.Violations = nil // reported by Judge
	v.AllDecided(time.Time{})
	v.AllEnded()
	cluster.Report(t, v)
	for id, x := range v.Triggers {
		if x.Fired != 1 || len(x.Skipped) > 0 || x.ByHand != 0 {
			t.Errorf("trigger %s fired %d times and skipped %v", id, x.Fired, x.Skipped)
		}
	}
	for id, r := range v.Runs {
		if !r.ScheduledFor.Equal(moment) || r.Status != "Completed" || r.Started.Before(moment) {
			t.Errorf("run %s of %v, to start at %v, started at %v and is %s", id, r.ScheduledFor, moment, r.Started, r.Status)
		}
	}
	after := cluster.Starts(v, moment)
	if len(after) != n {
		t.Fatalf("%d runs of %d triggers", len(after), n)
	}
	last := after[n-1]
	t.Logf("%d triggers of one moment: the first run started after %v, the median after %v, the last after %v", n, after[0], after[n/2], last)
	if most := fromEnv(t, "MINUTE_LAST_MS", 0); most > 0 && last > time.Duration(most)*time.Millisecond {
		t.Errorf("the last run started after %v, more than %d ms", last, most)
	}
}
