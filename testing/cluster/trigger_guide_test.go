package cluster_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/check/crontab"
	"github.com/belfryhq/belfry/testing/cluster"
)

// reportCode is a version of the guide's report.
func reportCode(version int) *string {
	return text(fmt.Sprintf(`from valstorm.models import User

def execute(current_user: User, **kwargs):
    print(f"Hello {current_user.name}")
    return {"report": kwargs.get("report_type"), "version": %d}
`, version))
}

// report is what reportCode returns.
type report struct {
	Report  *string
	Version int
}

func reported(t *testing.T, r api.Run) (got report) {
	t.Helper()
	if r.Status != api.Completed {
		t.Fatalf("run %s is %s: %+v", r.ID, r.Status, r.Error)
	}
	if err := json.Unmarshal(r.Result, &got, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("run %s returned %s: %v", r.ID, r.Result, err)
	}
	return got
}

// guide is a process that the guide's steps are done on.
type guide struct {
	*testing.T
	c      *client.Client
	weekly api.Trigger
}

// get is what a request answers that must not be refused.
func get[R any](t *testing.T) func(R, error) R {
	return func(r R, err error) R {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// friday is the Friday, 12:00 UTC, that follows a moment.
func friday(t *testing.T, after time.Time) eventlog.Time {
	t.Helper()
	at, err := crontab.Occurrences("0 12 * * 5", time.Time{}, after, after.AddDate(0, 0, 8))
	if err != nil || len(at) == 0 {
		t.Fatal(err)
	}
	return eventlog.TimeOf(at[0])
}

// The guide's examples of a Schedule Trigger Setting work as printed.
func TestGuideTriggers(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	g := guide{T: t, c: p.Client(api.Admin)}
	create(t, g.c, "Generate Report Script", *reportCode(1))
	g.schedule()
	g.pausing()
	g.newestCode()
	g.newestCodeEachSecond()
	g.canceling()
	g.calling()
	g.deleting()
	cluster.WaitRuns(t, p, 0, time.Minute)
	v := cluster.Judge(t, p.Conn())
	v.Violations = nil // reported by Judge
	v.AllDecided(time.Time{})
	v.AllEnded()
	cluster.Report(t, v)
}

func (g *guide) schedule() {
	var err error
	g.weekly, err = g.c.CreateTrigger(g.Context(), api.TriggerInput{
		Name: text("Weekly Report"), CronSchedule: text("0 12 * * 5"),
		Function: &api.RefInput{IDOrName: "Generate Report Script"}, Data: []byte(`{"report_type": "summary"}`),
	})
	if err != nil {
		g.Fatal(err)
	}
	w := g.weekly
	if !w.Active || w.CronSchedule != "0 12 * * 5" || w.NextRun != friday(g.T, w.CreatedDate.Std()) || w.Function == nil || w.Function.Name != "Generate Report Script" ||
		w.RunningUser.ID != api.Admin || w.Overlap != "skip" || w.CatchUp != "latest" || time.Duration(w.CatchUpWindow) != 24*time.Hour || w.Revision != 1 || w.LastRun != nil {
		g.Errorf("the schedule of the guide became %+v", w)
	}
	count := 3
	seen, err := g.c.PreviewTrigger(g.Context(), api.Preview{ID: w.ID, Count: &count})
	if err != nil || len(seen.Times) != 3 || seen.Times[0] != w.NextRun || seen.Times[2].Std() != w.NextRun.Std().AddDate(0, 0, 14) {
		g.Errorf("the next three are %v: %v", seen.Times, err)
	}
}

// pausing sets active to false, and to true again.
func (g *guide) pausing() {
	off, on := false, true
	paused := get[api.Trigger](g.T)(g.c.UpdateTrigger(g.Context(), api.TriggerInput{ID: g.weekly.ID, Active: &off}))
	if paused.Active || paused.NextRun != 0 || paused.CronSchedule != g.weekly.CronSchedule {
		g.Errorf("after active was set to false: %+v", paused)
	}
	if got := get[api.Trigger](g.T)(g.c.GetTrigger(g.Context(), "Weekly Report")); got.Active || got.Revision != paused.Revision {
		g.Errorf("it reads %+v", got)
	}
	page := get[api.Page[api.Trigger]](g.T)(g.c.ListTriggers(g.Context(), api.TriggerList{Active: &off}))
	if len(page.Records) != 1 || page.Records[0].ID != g.weekly.ID {
		g.Errorf("triggers that are not active: %+v", page.Records)
	}
	run := get[api.Run](g.T)(g.c.RunTrigger(g.Context(), api.TriggerRun{ID: g.weekly.ID, Wait: "30s"}))
	if reported(g.T, run); !run.Manual {
		g.Errorf("a run by hand of a paused trigger: %+v", run)
	}
	resumed := get[api.Trigger](g.T)(g.c.UpdateTrigger(g.Context(), api.TriggerInput{ID: g.weekly.ID, Active: &on}))
	if !resumed.Active || resumed.NextRun != friday(g.T, resumed.ModifiedDate.Std()) || resumed.LastRun == nil || resumed.LastRun.ID != run.ID {
		g.Errorf("after active was set to true: %+v", resumed)
	}
	var was api.Trigger
	raw, err := g.c.AuditAt(g.Context(), api.AuditAt{Entity: "trigger", ID: g.weekly.ID, Seq: paused.Seq})
	if err == nil {
		err = json.Unmarshal(raw, &was)
	}
	if err != nil || was.Active || was.Revision != paused.Revision || was.LastRun != nil {
		g.Errorf("as of %d it was %s: %v", paused.Seq, raw, err)
	}
}

// newestCode changes the code and not the schedule: the next run uses it.
func (g *guide) newestCode() {
	run := func() api.Run {
		g.Helper()
		return get[api.Run](g.T)(g.c.RunTrigger(g.Context(), api.TriggerRun{ID: g.weekly.ID, Wait: "30s"}))
	}
	before := run()
	if got := reported(g.T, before); got.Version != 1 || got.Report == nil || *got.Report != "summary" {
		g.Errorf("the first version returned %s", before.Result)
	}
	get[api.Function](g.T)(g.c.UpdateFunction(g.Context(), api.FunctionInput{ID: g.weekly.Function.ID, Code: reportCode(2)}))
	after := run()
	if got := reported(g.T, after); got.Version != 2 || after.FunctionVersion != 2 || after.Source.Kind != "trigger" || after.Source.ID != g.weekly.ID || !after.Manual {
		g.Errorf("after the code changed: %+v", after)
	}
	if got := get[api.Run](g.T)(g.c.GetRun(g.Context(), after.ID)); got.Status != api.Completed || len(got.Logs) != 1 || got.Logs[0].Text != "Hello admin" || got.LatenessMS == nil {
		g.Errorf("the run reads %+v", got)
	}
	if now := get[api.Trigger](g.T)(g.c.GetTrigger(g.Context(), g.weekly.ID)); now.CronSchedule != g.weekly.CronSchedule || now.NextRun == 0 || now.LastRun == nil || now.LastRun.ID != after.ID || now.LastRun.Status != api.Completed {
		g.Errorf("the schedule is %+v", now)
	}
}

// newestCodeEachSecond does the same to a trigger that fires by itself.
func (g *guide) newestCodeEachSecond() {
	each := get[api.Trigger](g.T)(g.c.CreateTrigger(g.Context(), api.TriggerInput{
		Name: text("Each second"), CronSchedule: text("* * * * * *"), Function: &api.RefInput{IDOrName: g.weekly.Function.ID},
	}))
	g.await(each.ID, func(r api.Run) bool { return r.FunctionVersion == 2 })
	get[api.Function](g.T)(g.c.UpdateFunction(g.Context(), api.FunctionInput{ID: g.weekly.Function.ID, Code: reportCode(3)}))
	changed := time.Now()
	g.await(each.ID, func(r api.Run) bool { return r.ScheduledFor.Std().After(changed) })
	get[api.Trigger](g.T)(g.c.PauseTrigger(g.Context(), api.Pause{ID: each.ID}))
	runs := get[api.Page[api.Run]](g.T)(g.c.ListRuns(g.Context(), api.RunList{Trigger: each.ID, Status: api.Completed})).Records
	if !slices.IsSortedFunc(runs, func(a, b api.Run) int { return int(b.ScheduledFor - a.ScheduledFor) }) {
		g.Error("the runs are not listed newest first")
	}
	versions := map[int]int{}
	for _, listed := range runs {
		r := get[api.Run](g.T)(g.c.GetRun(g.Context(), listed.ID))
		got := reported(g.T, r)
		versions[got.Version]++
		if r.Source != (api.Source{Kind: "trigger", ID: each.ID}) || r.Manual || r.ScheduledFor%1000 != 0 || r.Attempt != 1 ||
			r.LatenessMS == nil || *r.LatenessMS < 0 || got.Report != nil || got.Version != r.FunctionVersion {
			g.Errorf("a scheduled run reads %+v", r)
		}
		if r.ScheduledFor.Std().After(changed) && got.Version != 3 {
			g.Errorf("the run of %v ran version %d, 3 was acknowledged at %v", r.ScheduledFor, got.Version, changed)
		}
	}
	if versions[2] == 0 || versions[3] == 0 {
		g.Errorf("inconclusive: versions %v ran", versions)
	}
	g.Logf("runs by version: %v", versions)
}

// await returns when a run of a trigger has completed that is as wanted.
func (g *guide) await(trigger string, wanted func(api.Run) bool) {
	g.Helper()
	ctx, cancel := context.WithTimeout(g.Context(), 30*time.Second)
	defer cancel()
	for {
		page, err := g.c.ListRuns(ctx, api.RunList{Trigger: trigger, Status: api.Completed})
		if err != nil {
			g.Fatal(err)
		}
		if slices.ContainsFunc(page.Records, wanted) {
			return
		}
		time.Sleep(50 * time.Millisecond) // real processes, real time
	}
}

// canceling stops runs that hang, of a trigger and of a call.
func (g *guide) canceling() {
	f := create(g.T, g.c, "hang", "import time\ndef execute(current_user, **kwargs):\n    time.sleep(3600)\n")
	x := get[api.Trigger](g.T)(g.c.CreateTrigger(g.Context(), api.TriggerInput{Name: text("hangs"), CronSchedule: text("* * * * * *"), Function: &api.RefInput{IDOrName: f.ID}}))
	var scheduled string
	for deadline := time.Now().Add(30 * time.Second); scheduled == "" && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if page := get[api.Page[api.Run]](g.T)(g.c.ListRuns(g.Context(), api.RunList{Trigger: x.ID, Status: api.Processing})); len(page.Records) > 0 {
			scheduled = page.Records[0].ID
		}
	}
	get[api.Trigger](g.T)(g.c.PauseTrigger(g.Context(), api.Pause{ID: x.ID, Reason: "it hangs"}))
	call := get[api.Run](g.T)(g.c.RunFunction(g.Context(), api.Call{ID: "hang", Wait: "500ms"}))
	if call.Status.Final() || call.Source.Kind != "call" {
		g.Errorf("a call that hangs answers %+v", call)
	}
	manual := get[api.Run](g.T)(g.c.RunTrigger(g.Context(), api.TriggerRun{ID: x.ID}))
	for _, id := range []string{scheduled, call.ID, manual.ID} {
		if r := get[api.Run](g.T)(g.c.CancelRun(g.Context(), api.Cancel{ID: id, Reason: "enough"})); r.Status != api.Canceled {
			g.Errorf("after run.cancel %s is %s", id, r.Status)
		}
		if r := get[api.Run](g.T)(g.c.GetRun(g.Context(), id)); r.Status != api.Canceled || r.Finished == 0 {
			g.Errorf("the canceled run reads %+v", r)
		}
	}
	if got := get[api.Trigger](g.T)(g.c.GetTrigger(g.Context(), x.ID)); got.PauseReason != "it hangs" {
		g.Errorf("the reason of the pause is %q", got.PauseReason)
	}
}

// calling runs a function now.
func (g *guide) calling() {
	r := get[api.Run](g.T)(g.c.RunFunction(g.Context(), api.Call{ID: "Generate Report Script", Data: []byte(`{"report_type":"full"}`), Wait: "30s"}))
	if got := reported(g.T, r); *got.Report != "full" || r.Source.Kind != "call" || r.RunningUser.ID != api.Admin || r.Function == nil || r.Function.Name != "Generate Report Script" {
		g.Errorf("a call answers %+v", r)
	}
	if now := get[api.Run](g.T)(g.c.RunFunction(g.Context(), api.Call{ID: g.weekly.Function.ID})); now.ID == "" || now.ID == r.ID {
		g.Errorf("a call without wait answers %+v", now)
	}
}

// deleting takes the schedule away; what ran of it can still be read.
func (g *guide) deleting() {
	runs := get[api.Page[api.Run]](g.T)(g.c.ListRuns(g.Context(), api.RunList{Trigger: g.weekly.ID})).Records
	if len(runs) != 3 {
		g.Errorf("the weekly report has %d runs, not 3", len(runs))
	}
	if d := get[api.Deleted](g.T)(g.c.DeleteTrigger(g.Context(), api.Delete{ID: g.weekly.ID})); !d.Deleted || d.ID != g.weekly.ID {
		g.Errorf("a deletion answers %+v", d)
	}
	if _, err := g.c.GetTrigger(g.Context(), g.weekly.ID); err == nil {
		g.Error("a deleted trigger can be read")
	}
	for _, r := range runs {
		if again := get[api.Run](g.T)(g.c.GetRun(g.Context(), r.ID)); again.Status != api.Completed || again.Source.ID != g.weekly.ID {
			g.Errorf("a run of a deleted trigger reads %+v", again)
		}
	}
}
