package property

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// changeItem draws a command about a scheduled item.
func (h hand) changeItem() builder {
	by := h.by()
	in := api.ItemInput{
		ID: h.id(eventlog.PrefixItem, 5), Name: h.name(), Data: h.data(), RunningUser: h.runner(), Retry: h.retry(),
		Priority: maybe(h, "priority", 0, 5, -5, command.PriorityMax, command.PriorityMax+1), RunDateTime: new(h.moment("run_date_time")),
	}
	in.Function, in.Automation = h.runnable()
	switch one(h, "verb", "create", "update", "cancel", "create") {
	case "create":
		return func() (command.Command, *api.Error) { return made(command.NewCreateItem(by, in, "sci_drawn")) }
	case "update":
		in.IfRevision = h.revision()
		in.Status = one(h, "status", nil, nil, nil, new(api.Canceled), new(api.Completed))
		if in.Status != nil && !h.seldom("more than a status") {
			in = api.ItemInput{ID: in.ID, Status: in.Status, IfRevision: in.IfRevision}
		}
		return func() (command.Command, *api.Error) { return command.NewUpdateItem(by, in) }
	}
	cancel := api.Cancel{ID: in.ID, Reason: one(h, "reason", "", "no more", "a\x00b")}
	return func() (command.Command, *api.Error) { return made(command.NewCancelItem(by, cancel)) }
}

// changeTrigger draws a command about a trigger.
func (h hand) changeTrigger() builder {
	by, revision := h.by(), h.revision()
	id := h.id(eventlog.PrefixTrigger, 4)
	run := h.w.run(partitionOf(id))
	pause := api.Pause{ID: id, IfRevision: revision, Reason: one(h, "reason", "", "holidays", "a\x00b")}
	switch one(h, "verb", "create", "update", "pause", "resume", "delete", "run", "fire", "create") {
	case "create":
		in := h.trigger(id)
		if in.CronSchedule == nil {
			in.CronSchedule = new(h.cron())
		}
		return func() (command.Command, *api.Error) { return made(command.NewCreateTrigger(by, in, "sts_drawn")) }
	case "update":
		in := h.trigger(id)
		in.IfRevision = revision
		return func() (command.Command, *api.Error) { return made(command.NewUpdateTrigger(by, in, run)) }
	case "pause":
		return func() (command.Command, *api.Error) { return made(command.NewPauseTrigger(by, pause)) }
	case "resume":
		return func() (command.Command, *api.Error) { return made(command.NewResumeTrigger(by, pause)) }
	case "delete":
		return func() (command.Command, *api.Error) {
			return command.DeleteTrigger{By: by, ID: id, IfRevision: revision}, nil
		}
	case "run":
		return func() (command.Command, *api.Error) { return command.RunTrigger{By: by, ID: id, Run: run}, nil }
	}
	return h.fire(id)
}

func (h hand) fire(id string) builder {
	now, run := h.w.now, h.w.run(partitionOf(id))
	return func() (command.Command, *api.Error) {
		return command.FireTrigger{By: command.BySystem(now), ID: id, Run: run}, nil
	}
}

func (h hand) trigger(id string) api.TriggerInput {
	in := api.TriggerInput{
		ID: id, Name: h.name(), Data: h.data(), RunningUser: h.runner(), Retry: h.retry(),
		Active: maybe(h, "active", true, false), Overlap: maybe(h, "overlap", "allow", "skip", "queue"), CatchUp: maybe(h, "catch_up", "none", "latest", "all"),
		CatchUpWindow: maybe(h, "window", "1m", "1h", "366d", "1s"),
	}
	if rapid.Bool().Draw(h.T, "cron is given") {
		in.CronSchedule = new(h.cron())
	}
	if h.seldom("jitter is given") {
		in.Jitter = new(one(h, "jitter", "1s", "1m", "24h", "0s", "25h"))
	}
	if h.seldom("starts is given") {
		in.StartsAt = one(h, "starts", new(h.moment("starts_at")), new(""))
	}
	if h.seldom("ends is given") {
		in.EndsAt = one(h, "ends", new(h.moment("ends_at")), new(""))
	}
	if rapid.Bool().Draw(h.T, "runnable is given") {
		in.Function, in.Automation = h.runnable()
	}
	if in.Function == nil && in.Automation == nil && !h.seldom("nothing to run") {
		in.Function = &api.RefInput{IDOrName: "a"}
	}
	return in
}

// call draws a call; seldom with the id of a run that an item has.
func (h hand) call() builder {
	by, run := h.by(), fmt.Sprintf("run_8%015d", h.w.draw())
	if h.seldom("an id that is taken") {
		run = fmt.Sprintf("run_%016d", rapid.IntRange(1, 5).Draw(h.T, "taken"))
	}
	in, of := api.Call{ID: h.function0(), Data: h.data()}, eventlog.EntityFunction
	if h.seldom("an automation") {
		in.ID, of = one(h, "automation", "b", "a", ""), eventlog.EntityAutomation
	}
	return func() (command.Command, *api.Error) { return made(command.NewCall(by, in, of, run)) }
}

func (h hand) function0() string {
	return one(h, "function", "a", "fun_0000000000000002", "nobody", "")
}

// item is one of the records, open or not; "" if there is none.
func (h hand) item(of func(projection.Item) bool) (id string) {
	var ids []string
	for _, n := range h.w.nodes {
		for id, i := range records(n.state) {
			if h.w.owner(partitionOf(id)) == n && of(i) {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return "sci_0000000000000001"
	}
	slices.Sort(ids)
	return rapid.SampledFrom(ids).Draw(h.T, "record")
}

// claim draws a claim of anything there is.
func (h hand) claim() builder {
	id := h.item(func(projection.Item) bool { return true })
	return h.claimOf(id)
}

func (h hand) claimOf(id string) builder {
	c := command.ClaimItem{
		By: command.BySystem(h.w.now), ID: id, Executor: one(h, "executor", "e1", "e2"),
		Incarnation: one(h, "incarnation", "i1", "i2"), Pool: "default",
	}
	return func() (command.Command, *api.Error) { return c, nil }
}

// finish draws a report, mostly of an open attempt, and says whether it counts.
func (h hand) finish() (build builder, counts bool) {
	id := h.item(func(i projection.Item) bool { return i.Live != nil && i.Live.Run != nil && i.Live.Run.Open })
	if h.seldom("of anything") {
		id = h.item(func(projection.Item) bool { return true })
	}
	p := partitionOf(id)
	f := command.FinishItem{By: command.BySystem(h.w.now), ID: id, Attempt: 1, Executor: "e1", Incarnation: "i1"}
	if i := h.w.owner(p).state.Partition(p).Item(id); i != nil && i.Live != nil && i.Live.Run != nil {
		f.Attempt, f.Executor, f.Incarnation = i.Live.Run.Attempt, i.Live.Run.Executor, i.Live.Run.Incarnation
		counts = i.Live.Run.Open
	}
	switch rapid.IntRange(0, 8).Draw(h.T, "whose") {
	case 6:
		f.Attempt, counts = f.Attempt+one(h, "attempt", -1, 1, 1000), false
	case 7:
		f.Executor, counts = one(h, "executor", "other", ""), false
	case 8:
		f.Incarnation, counts = one(h, "incarnation", "i0", ""), false
	}
	f.Ending = one(h, "ending", command.EndedCompleted, command.EndedFailed, command.EndedLost, command.EndedHandedBack, command.EndedCanceled)
	f.CancelReason = one(h, "reason", "", "stop")
	report := h.report(h.w.versions[attempt{id, f.Attempt}])
	return func() (command.Command, *api.Error) {
		f := f
		f.Reported = report()
		return f, nil
	}, counts
}

// clock lets time pass: mostly little, sometimes much, at times backwards. Much
// is less where a judge would have to count every second of it.
func (h hand) clock() {
	jump := one(h, "jump", time.Second, time.Millisecond, 7*time.Second, 5*time.Minute, time.Hour, 26*time.Hour, 40*24*time.Hour, 400*24*time.Hour,
		-time.Millisecond, -3*time.Second, -2*time.Hour)
	h.w.nodes[0].state.Triggers(func(t *projection.Trigger) bool { jump = min(jump, h.bearable(t)); return true })
	h.w.nodes[1].state.Triggers(func(t *projection.Trigger) bool { jump = min(jump, h.bearable(t)); return true })
	h.w.now += eventlog.Time(jump.Milliseconds())
}

func (h hand) bearable(t *projection.Trigger) time.Duration {
	switch t.CronSchedule {
	case "* * * * * *", "@every 7s":
		return 2 * time.Hour
	case "*/5 * * * *", "15,45 */10 9-17 * * 1-5", "@every 90m", "@hourly":
		return 40 * 24 * time.Hour
	}
	return 400 * 24 * time.Hour
}
