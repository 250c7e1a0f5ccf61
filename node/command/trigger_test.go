package command_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
)

const (
	sts = "sts_0000000000000001"
	run = "run_0000000000000001" // in the partition of sts
	aut = "aut_0000000000000001"
)

// hourly is an active trigger of fun's whose next occurrence is at.
func hourly(more ...func(*eventlog.TriggerCreated)) *eventlog.TriggerCreated {
	c := &eventlog.TriggerCreated{
		Name: "t", CronSchedule: "0 * * * *", Function: eventlog.Ref{ID: fun}, Active: true,
		Overlap: eventlog.OverlapSkip, CatchUp: eventlog.CatchUpLatest, CatchUpWindow: command.DefaultCatchUpWindow,
		Anchor: hour - 1, NextRun: hour,
	}
	for _, change := range more {
		change(c)
	}
	return c
}

// hour is a full hour after the worlds' events.
const hour = (at/3_600_000 + 1) * 3_600_000

func byAt(user string, now eventlog.Time) command.By {
	return command.By{User: user, Now: now, CauseIndex: -1}
}

func fire(now eventlog.Time) command.FireTrigger {
	return command.FireTrigger{By: command.BySystem(now), ID: sts, Run: run}
}

func update(now eventlog.Time, in api.TriggerInput) command.UpdateTrigger {
	in.ID = sts
	c, refused := command.NewUpdateTrigger(byAt("admin", now), in, run)
	if refused != nil {
		panic(refused)
	}
	return c
}

// What follows for a trigger, with the fields of events that matter.
func TestWhatMayFollowForTriggers(t *testing.T) {
	firedAt := &eventlog.TriggerFired{Run: run, ScheduledFor: hour, Name: "t", Function: eventlog.Ref{ID: fun}, RunningUser: "admin", NextRun: hour + 3_600_000}
	byHand := &eventlog.TriggerFired{Run: run, ScheduledFor: hour - 5, Manual: true, Name: "t", Function: eventlog.Ref{ID: fun}, RunningUser: "admin", NextRun: hour}
	no, yes := false, true
	weekly, every := "0 12 * * 5", "@every 90s"
	name, ann := "u", &eventlog.UserCreated{Name: "ann"}
	pausedNow := &eventlog.TriggerPaused{}
	h := eventlog.Time(3_600_000)
	for what, c := range map[string]struct {
		given *world
		when  command.Command
		then  string
	}{
		"an occurrence that is due fires":                  {given(fun, function(), sts, hourly()), fire(hour), "fired@0"},
		"one that is not due does not":                     {given(fun, function(), sts, hourly()), fire(hour - 1), ""},
		"a paused trigger does not fire":                   {given(fun, function(), sts, hourly(), pausedNow), fire(hour), ""},
		"a trigger that nobody knows does not fire":        {given(fun, function()), fire(hour), ""},
		"an occurrence fires once":                         {given(fun, function(), sts, hourly(), firedAt), fire(hour), ""},
		"nor again after a jump back":                      {given(fun, function(), sts, hourly(), firedAt), fire(hour - h), ""},
		"while a run is open, an occurrence is skipped":    {given(fun, function(), sts, hourly(), firedAt), fire(hour + h), "skipped@1-1:1:overlap"},
		"a run by hand is no overlap":                      {given(fun, function(), sts, hourly(), byHand), command.FireTrigger{By: command.BySystem(hour), ID: sts, Run: "run_x"}, "fired@0"},
		"overlap allow fires":                              {given(fun, function(), sts, hourly(func(c *eventlog.TriggerCreated) { c.Overlap = eventlog.OverlapAllow }), firedAt), command.FireTrigger{By: command.BySystem(hour + h), ID: sts, Run: "run_x"}, "fired@1"},
		"of a gap the latest fires":                        {given(fun, function(), sts, hourly()), fire(hour + 8*h + 5), "skipped@0-7:8:missed fired@8"},
		"with catch_up none the gap is skipped":            {given(fun, function(), sts, hourly(func(c *eventlog.TriggerCreated) { c.CatchUp = eventlog.CatchUpNone })), fire(hour + 8*h + 60_000), "skipped@0-8:9:missed"},
		"beyond the window nothing fires":                  {given(fun, function(), sts, hourly(func(c *eventlog.TriggerCreated) { c.CronSchedule = "0 0 1 1 *"; c.NextRun = hour })), fire(hour + 400*24*h), "skipped"},
		"an update decides what is due first":              {given(fun, function(), sts, hourly()), update(hour, api.TriggerInput{Name: &name}), "fired@0 updated@1"},
		"a new expression, too":                            {given(fun, function(), sts, hourly()), update(hour+5, api.TriggerInput{CronSchedule: &weekly}), "fired@0 updated"},
		"an update before the time decides nothing":        {given(fun, function(), sts, hourly()), update(hour-1, api.TriggerInput{Name: &name}), "updated@0"},
		"an update that changes nothing is none":           {given(fun, function(), sts, hourly()), update(hour-1, api.TriggerInput{Active: &yes}), ""},
		"active false pauses":                              {given(fun, function(), sts, hourly()), update(hour-1, api.TriggerInput{Active: &no}), "paused"},
		"active false takes the due one along":             {given(fun, function(), sts, hourly()), update(hour, api.TriggerInput{Active: &no, Name: &name}), "skipped@0-0:1:paused updated paused"},
		"active true resumes with what comes":              {given(fun, function(), sts, hourly(), pausedNow), update(hour+5, api.TriggerInput{Active: &yes, CronSchedule: &every}), "updated resumed"},
		"a pause":                                          {given(fun, function(), sts, hourly()), command.PauseTrigger{By: byAt("admin", hour-1), ID: sts}, "paused"},
		"a pause takes the due one along":                  {given(fun, function(), sts, hourly()), command.PauseTrigger{By: byAt("admin", hour), ID: sts}, "skipped@0-0:1:paused paused"},
		"a pause cancels what waits":                       {given(fun, function(), sts, hourly(), firedAt), command.PauseTrigger{By: byAt("admin", hour+1), ID: sts}, "paused run.canceled"},
		"but not a run by hand":                            {given(fun, function(), sts, hourly(), byHand), command.PauseTrigger{By: byAt("admin", hour-1), ID: sts}, "paused"},
		"nor one that was claimed":                         {given(fun, function(), sts, hourly(), firedAt, run, &eventlog.RunClaimed{RunHead: eventlog.RunHead{Run: run, Attempt: 1}}), command.PauseTrigger{By: byAt("admin", hour+1), ID: sts}, "paused"},
		"a second pause is none":                           {given(fun, function(), sts, hourly(), pausedNow), command.PauseTrigger{By: byAt("admin", hour), ID: sts}, ""},
		"a resume":                                         {given(fun, function(), sts, hourly(), pausedNow), command.ResumeTrigger{By: byAt("admin", hour), ID: sts}, "resumed@1"},
		"a resume of what lost its function is refused":    {given(sts, hourly(), pausedNow), command.ResumeTrigger{By: byAt("admin", hour), ID: sts}, "not_found"},
		"a deletion cancels a run by hand that waits, too": {given(fun, function(), sts, hourly(), byHand), command.DeleteTrigger{By: byAt("admin", hour-1), ID: sts}, "deleted run.canceled"},
		"a run by hand while paused":                       {given(fun, function(), sts, hourly(), pausedNow), command.RunTrigger{By: byAt("admin", hour+7), ID: sts, Run: run}, "fired"},
		"by somebody else it is forbidden":                 {given("ann", ann, fun, function(), sts, hourly()), command.RunTrigger{By: byAt("ann", hour+7), ID: sts, Run: run}, "forbidden"},
		"a function with an active trigger is in use":      {given(fun, function(), sts, hourly()), command.DeleteFunction{By: by("admin"), ID: fun}, "in_use"},
		"with a paused one it is not":                      {given(fun, function(), sts, hourly(), pausedNow), command.DeleteFunction{By: by("admin"), ID: fun}, "function.deleted"},
		"a function of an automation is in use":            {given(fun, function(), aut, &eventlog.AutomationCreated{Name: "a", Steps: []eventlog.Step{{Name: "s", Function: eventlog.Ref{ID: fun}}}}), command.DeleteFunction{By: by("admin"), ID: fun}, "in_use"},
		"an automation of an active trigger is in use":     {given(aut, &eventlog.AutomationCreated{Name: "a"}, sts, hourly(func(c *eventlog.TriggerCreated) { c.Function, c.Automation = eventlog.Ref{}, eventlog.Ref{ID: aut} })), command.DeleteAutomation{By: by("admin"), ID: aut}, "in_use"},
		"the run of an automation fails": {given(aut, &eventlog.AutomationCreated{Name: "a"}, sts, hourly(func(c *eventlog.TriggerCreated) {
			c.Function, c.Automation = eventlog.Ref{}, eventlog.Ref{ID: aut}
		}), &eventlog.TriggerFired{Run: run, ScheduledFor: hour, Automation: eventlog.Ref{ID: aut}, RunningUser: "admin"}), command.ClaimItem{By: command.BySystem(hour), ID: run}, "run.claimed run.failed"},
		"after a deletion a failed attempt is the last": {given(fun, function(), sts, hourly(), &eventlog.TriggerFired{
			Run: run, ScheduledFor: hour, Function: eventlog.Ref{ID: fun}, RunningUser: "admin", Retry: &eventlog.Retry{MaxAttempts: 9, Multiplier: 1},
		}, run, &eventlog.RunClaimed{RunHead: eventlog.RunHead{Run: run, Attempt: 1, Executor: "local"}, Incarnation: "i1"}, sts, &eventlog.TriggerDeleted{}),
			command.FinishItem{By: command.BySystem(hour), ID: run, Attempt: 1, Executor: "local", Incarnation: "i1", Ending: command.EndedFailed}, "run.failed"},
		"before it, it is not": {given(fun, function(), sts, hourly(), &eventlog.TriggerFired{
			Run: run, ScheduledFor: hour, Function: eventlog.Ref{ID: fun}, RunningUser: "admin", Retry: &eventlog.Retry{MaxAttempts: 9, Multiplier: 1},
		}, run, &eventlog.RunClaimed{RunHead: eventlog.RunHead{Run: run, Attempt: 1, Executor: "local"}, Incarnation: "i1"}),
			command.FinishItem{By: command.BySystem(hour), ID: run, Attempt: 1, Executor: "local", Incarnation: "i1", Ending: command.EndedFailed}, "run.retry_scheduled"},
	} {
		if got := c.given.tell(c.when); !strings.HasPrefix(got, c.then) || c.then == "" && got != "" {
			t.Errorf("%s: %s, want %s", what, got, c.then)
		}
	}
}

// tell is when with the times that events name, in hours after hour.
func (w *world) tell(c command.Command) string {
	events, refused := command.Decide(w.Partition(c.Partition()), w.State, c)
	if refused != nil {
		return string(refused.Code)
	}
	in := func(at eventlog.Time) string {
		if (at-hour)%3_600_000 != 0 || at < hour || at > hour+20*3_600_000 {
			return ""
		}
		return fmt.Sprint(int64(at-hour) / 3_600_000)
	}
	var told []string
	for n := range events {
		text := strings.TrimPrefix(strings.TrimPrefix(string(events[n].Type()), "belfry."), "trigger.")
		switch d := events[n].Data.(type) {
		case *eventlog.TriggerFired:
			if at := in(d.ScheduledFor); at != "" {
				text += "@" + at
			}
		case *eventlog.TriggerSkipped:
			if in(d.From) != "" && in(d.To) != "" {
				text += fmt.Sprintf("@%s-%s:%d:%s", in(d.From), in(d.To), d.Count, d.Reason)
			}
		case *eventlog.TriggerUpdated:
			if at := in(d.NextRun); at != "" {
				text += "@" + at
			}
		case *eventlog.TriggerResumed:
			if at := in(d.NextRun); at != "" {
				text += "@" + at
			}
		}
		told = append(told, text)
	}
	return strings.Join(told, " ")
}

// Starts_at and ends_at bound the occurrences, both included.
func TestBoundsOfATrigger(t *testing.T) {
	text := func(s string) *string { return &s }
	w := given(fun, function())
	now := eventlog.TimeOf(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	for bounds, want := range map[[2]string]string{
		{"", ""}:                                         "2026-11-24T13:00:00.000Z",
		{"2026-12-01T00:00:00Z", ""}:                     "2026-12-01T00:00:00.000Z",
		{"", "2026-11-24T13:00:00Z"}:                     "2026-11-24T13:00:00.000Z",
		{"", "2026-11-24T12:59:59Z"}:                     "",
		{"2026-12-01T00:00:01Z", "2026-12-01T00:59:59Z"}: "",
	} {
		in := api.TriggerInput{Name: text("t"), CronSchedule: text("0 * * * *"), Function: &api.RefInput{IDOrName: fun}, StartsAt: &bounds[0], EndsAt: &bounds[1]}
		c, refused := command.NewCreateTrigger(byAt("admin", now), in, sts)
		if refused != nil {
			t.Fatal(refused)
		}
		events, refused := command.Decide(w.Partition(c.Partition()), w.State, c)
		if refused != nil {
			t.Fatal(refused)
		}
		if got := events[0].Data.(*eventlog.TriggerCreated).NextRun.String(); got != want {
			t.Errorf("in %v the first occurrence is %s, want %s", bounds, got, want)
		}
	}
}
