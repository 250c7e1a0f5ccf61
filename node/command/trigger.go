package command

import (
	"bytes"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command/cron"
	"github.com/belfryhq/belfry/projection"
)

// Bounds and defaults of triggers.
const (
	// DefaultCatchUpWindow is the contract's.
	DefaultCatchUpWindow = eventlog.Duration(24 * time.Hour)
	// CatchUpWindowMin is longer than any delay of a node that runs: an
	// occurrence in time never expires.
	CatchUpWindowMin = eventlog.Duration(time.Minute)
	// CatchUpWindowMax bounds what is counted after a long sleep.
	CatchUpWindowMax = eventlog.Duration(366 * 24 * time.Hour)
	// JitterMax bounds what still is the same occurrence.
	JitterMax = eventlog.Duration(24 * time.Hour)
)

// CreateTrigger stores a schedule. References are resolved when it is decided.
type CreateTrigger struct {
	By
	ID          string
	Runnable    Runnable
	RunningUser *api.RefInput
	New         eventlog.TriggerCreated
}

// UpdateTrigger changes what is not nil. An occurrence that is due and was not
// decided yet is decided first, by what the trigger was: Run is the id of the
// run that it may become.
type UpdateTrigger struct {
	By
	ID          string
	IfRevision  *uint64
	Runnable    Runnable
	RunningUser *api.RefInput
	Active      *bool
	To          eventlog.TriggerUpdated
	Run         string
}

// PauseTrigger ends what is scheduled: from now on no occurrence is claimed.
type PauseTrigger struct {
	By
	ID         string
	IfRevision *uint64
	Reason     string
}

// ResumeTrigger begins anew with the occurrences after now.
type ResumeTrigger struct {
	By
	ID         string
	IfRevision *uint64
	Reason     string
}

// DeleteTrigger takes a trigger away; what of it waits is canceled.
type DeleteTrigger struct {
	By
	ID         string
	IfRevision *uint64
}

// Partition implements Command.
func (c CreateTrigger) Partition() int { return triggerPartition(c.ID) }

// Partition implements Command.
func (c UpdateTrigger) Partition() int { return triggerPartition(c.ID) }

// Partition implements Command.
func (c PauseTrigger) Partition() int { return triggerPartition(c.ID) }

// Partition implements Command.
func (c ResumeTrigger) Partition() int { return triggerPartition(c.ID) }

// Partition implements Command.
func (c DeleteTrigger) Partition() int { return triggerPartition(c.ID) }

// Target implements Command.
func (c CreateTrigger) Target() string { return c.ID }

// Target implements Command.
func (c UpdateTrigger) Target() string { return c.ID }

// Target implements Command.
func (c PauseTrigger) Target() string { return c.ID }

// Target implements Command.
func (c ResumeTrigger) Target() string { return c.ID }

// Target implements Command.
func (c DeleteTrigger) Target() string { return c.ID }

func triggerPartition(id string) int { return eventlog.PartitionOf(eventlog.EntityTrigger, id) }

// NewCreateTrigger makes the command of a request; id is used if it brings none.
func NewCreateTrigger(by By, in api.TriggerInput, id string) (CreateTrigger, *api.Error) {
	c := CreateTrigger{By: by, ID: id, RunningUser: in.RunningUser, Runnable: Runnable{in.Function, in.Automation}}
	if in.IfRevision != nil {
		return c, api.Errorf(api.Invalid, "if_revision", "if_revision has no meaning in a create: leave it out")
	}
	if in.ID != "" {
		if err := checkID(eventlog.PrefixTrigger, in.ID); err != nil {
			return c, err
		}
		c.ID = in.ID
	}
	if err := checkName(in.Name); err != nil {
		return c, err
	}
	if in.CronSchedule == nil {
		return c, api.Errorf(api.Invalid, "cron_schedule", "cron_schedule is missing: write it like \"0 12 * * 5\", every Friday at 12:00 UTC")
	}
	if err := c.Runnable.one(); err != nil {
		return c, err
	}
	to, err := triggerFields(in)
	if err != nil {
		return c, err
	}
	c.New = eventlog.TriggerCreated{
		Name: *in.Name, CronSchedule: *to.CronSchedule, Data: to.Data, Active: or(in.Active, true),
		Overlap: or(to.Overlap, eventlog.OverlapSkip), CatchUp: or(to.CatchUp, eventlog.CatchUpLatest),
		CatchUpWindow: or(to.CatchUpWindow, DefaultCatchUpWindow), Jitter: or(to.Jitter, 0),
		StartsAt: or(to.StartsAt, 0), EndsAt: or(to.EndsAt, 0), Retry: to.Retry,
	}
	return c, nil
}

// NewUpdateTrigger makes the command of a request; run is an id in the
// trigger's partition.
func NewUpdateTrigger(by By, in api.TriggerInput, run string) (UpdateTrigger, *api.Error) {
	c := UpdateTrigger{
		By: by, ID: in.ID, IfRevision: in.IfRevision, Active: in.Active, RunningUser: in.RunningUser,
		Runnable: Runnable{in.Function, in.Automation}, Run: run,
	}
	if in.Name != nil {
		if err := checkName(in.Name); err != nil {
			return c, err
		}
	}
	if err := c.Runnable.notBoth(); err != nil {
		return c, err
	}
	to, err := triggerFields(in)
	to.Name = in.Name
	c.To = to
	return c, err
}

// triggerFields reads the fields that a request brings.
func triggerFields(in api.TriggerInput) (to eventlog.TriggerUpdated, err *api.Error) {
	if in.CronSchedule != nil {
		schedule, wrong := cron.Parse(*in.CronSchedule)
		if wrong != nil {
			return to, InvalidCron(wrong)
		}
		text := schedule.String()
		to.CronSchedule = &text
	}
	if to.Data, err = parseData(in.Data); err != nil {
		return to, err
	}
	if in.Overlap != nil {
		overlap := eventlog.Overlap(*in.Overlap)
		if overlap != eventlog.OverlapSkip && overlap != eventlog.OverlapAllow {
			return to, api.Errorf(api.Invalid, "overlap", "%s is not an overlap that this version has: use \"skip\" or \"allow\"", show(*in.Overlap))
		}
		to.Overlap = &overlap
	}
	if in.CatchUp != nil {
		catchUp := eventlog.CatchUp(*in.CatchUp)
		if catchUp != eventlog.CatchUpLatest && catchUp != eventlog.CatchUpNone {
			return to, api.Errorf(api.Invalid, "catch_up", "%s is not a catch_up that this version has: use \"latest\" or \"none\"", show(*in.CatchUp))
		}
		to.CatchUp = &catchUp
	}
	if to.CatchUpWindow, err = parseDuration("catch_up_window", in.CatchUpWindow, CatchUpWindowMin, CatchUpWindowMax); err != nil {
		return to, err
	}
	if to.Jitter, err = parseDuration("jitter", in.Jitter, 0, JitterMax); err != nil {
		return to, err
	}
	if to.StartsAt, err = parseBound("starts_at", in.StartsAt); err != nil {
		return to, err
	}
	if to.EndsAt, err = parseBound("ends_at", in.EndsAt); err != nil {
		return to, err
	}
	to.Retry, err = parseRetry(in.Retry)
	return to, err
}

// parseBound reads a time that "" takes away.
func parseBound(field string, s *string) (*eventlog.Time, *api.Error) {
	if s == nil {
		return nil, nil
	}
	if *s == "" {
		return new(eventlog.Time), nil
	}
	at, err := ParseTime(field, *s)
	return &at, err
}

// InvalidCron is the refusal of an expression.
func InvalidCron(wrong *cron.Error) *api.Error {
	if wrong.Field == "" {
		return api.Errorf(api.InvalidCron, "cron_schedule", "%s (position %d)", wrong.Message, wrong.Position)
	}
	return api.Errorf(api.InvalidCron, "cron_schedule", "%s: %s (position %d)", wrong.Field, wrong.Message, wrong.Position)
}

func (c CreateTrigger) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	user, err := c.caller(hints)
	if err != nil {
		return nil, err
	}
	if err := freeID(own, c.ID, own.Trigger(c.ID) != nil); err != nil {
		return nil, err
	}
	created := c.New
	if created.Function, created.Automation, err = c.Runnable.resolve(hints); err != nil {
		return nil, err
	}
	if c.RunningUser != nil {
		if created.RunningUser, err = runningUser(hints, user, *c.RunningUser); err != nil {
			return nil, err
		}
	}
	created.Anchor = c.Now
	if created.StartsAt != 0 {
		created.Anchor = created.StartsAt
	}
	p, err := newPlan(created.CronSchedule, created.Anchor, created.StartsAt, created.EndsAt)
	if err != nil {
		return nil, err
	}
	if created.Active {
		created.NextRun = p.next(c.Now)
	}
	return []eventlog.Event{c.event(c.ID, 1, &created)}, nil
}

// trigger finds the trigger that a caller may change.
func (by By) trigger(own *projection.Partition, hints projection.Hints, id string, ifRevision *uint64) (*projection.Trigger, *projection.User, *api.Error) {
	user, err := by.caller(hints)
	if err == nil {
		err = needID(id)
	}
	if err != nil {
		return nil, nil, err
	}
	t := own.Trigger(id)
	if t == nil {
		return nil, nil, noTrigger(id)
	}
	if err := stale(ifRevision, t.SetRevision, t.Revision); err != nil {
		return nil, nil, err
	}
	return t, user, nil
}

func (c UpdateTrigger) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	t, user, err := c.trigger(own, hints, c.ID, c.IfRevision)
	if err != nil {
		return nil, err
	}
	if t.Runner() != user.ID && !user.Superuser() {
		return nil, api.Errorf(api.Forbidden, "", "it runs as %s: only a superuser may change it", t.Runner())
	}
	to, err := c.changes(t, user, hints)
	if err != nil {
		return nil, err
	}
	active := or(c.Active, t.Active)
	if to == nil && active == t.Active {
		return nil, nil
	}
	s := series{by: c.By, t: t, revision: t.Revision}
	if active {
		s.occurrences(own, c.Run)
	} else {
		s.skipDue(eventlog.SkipPaused)
	}
	p, after := planOf(t), max(c.Now, t.DecidedUpTo)
	if to != nil {
		if p, err = c.replan(t, to); err != nil {
			return nil, err
		}
		if t.Active && active {
			to.NextRun = p.next(after)
		}
		s.add(to)
	}
	switch {
	case t.Active && !active:
		s.pause(own, "")
	case !t.Active && active:
		if !c.Runnable.given() && c.RunningUser == nil {
			if err := resolvable(t, hints); err != nil {
				return nil, err
			}
		}
		s.add(&eventlog.TriggerResumed{NextRun: p.next(after)})
	}
	return s.events, nil
}

// replan is the plan after the changes, of which it sets the anchor.
func (c UpdateTrigger) replan(t *projection.Trigger, to *eventlog.TriggerUpdated) (plan, *api.Error) {
	starts, anchor := or(to.StartsAt, t.StartsAt), t.Anchor
	if to.CronSchedule != nil || to.StartsAt != nil {
		if to.Anchor = c.Now; starts != 0 {
			to.Anchor = starts
		}
		anchor = to.Anchor
	}
	return newPlan(or(to.CronSchedule, t.CronSchedule), anchor, starts, or(to.EndsAt, t.EndsAt))
}

// changes is what the update would change; nil if nothing.
func (c UpdateTrigger) changes(t *projection.Trigger, user *projection.User, hints projection.Hints) (*eventlog.TriggerUpdated, *api.Error) {
	to := eventlog.TriggerUpdated{
		Name: changed(t.Name, c.To.Name), CronSchedule: changed(t.CronSchedule, c.To.CronSchedule),
		Overlap: changed(t.Overlap, c.To.Overlap), CatchUp: changed(t.CatchUp, c.To.CatchUp),
		CatchUpWindow: changed(t.CatchUpWindow, c.To.CatchUpWindow), Jitter: changed(t.Jitter, c.To.Jitter),
		StartsAt: changed(t.StartsAt, c.To.StartsAt), EndsAt: changed(t.EndsAt, c.To.EndsAt),
	}
	any := to.Name != nil || to.CronSchedule != nil || to.Overlap != nil || to.CatchUp != nil ||
		to.CatchUpWindow != nil || to.Jitter != nil || to.StartsAt != nil || to.EndsAt != nil
	if c.To.Data != nil && !bytes.Equal(c.To.Data, dataOrEmpty(t.Data)) {
		to.Data, any = c.To.Data, true
	}
	if c.To.Retry != nil && (t.Retry == nil || *t.Retry != *c.To.Retry) {
		to.Retry, any = c.To.Retry, true
	}
	if c.Runnable.given() {
		function, automation, err := c.Runnable.resolve(hints)
		if err != nil {
			return nil, err
		}
		if id := function.ID + automation.ID; id != t.Target {
			any = true
			if function.ID != "" {
				to.Function = &function
			} else {
				to.Automation = &automation
			}
		}
	}
	if c.RunningUser != nil {
		runner, err := runningUser(hints, user, *c.RunningUser)
		if err != nil {
			return nil, err
		}
		if runner != t.Runner() {
			to.RunningUser, any = &runner, true
		}
	}
	if !any {
		return nil, nil
	}
	return &to, nil
}

// NewPauseTrigger makes the command of a request.
func NewPauseTrigger(by By, in api.Pause) (PauseTrigger, *api.Error) {
	return PauseTrigger{By: by, ID: in.ID, IfRevision: in.IfRevision, Reason: in.Reason}, checkReason(in.Reason)
}

// NewResumeTrigger makes the command of a request.
func NewResumeTrigger(by By, in api.Pause) (ResumeTrigger, *api.Error) {
	return ResumeTrigger{By: by, ID: in.ID, IfRevision: in.IfRevision, Reason: in.Reason}, checkReason(in.Reason)
}

func (c PauseTrigger) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	t, _, err := c.trigger(own, hints, c.ID, c.IfRevision)
	if err != nil || !t.Active {
		return nil, err
	}
	s := series{by: c.By, t: t, revision: t.Revision}
	s.skipDue(eventlog.SkipPaused)
	s.pause(own, c.Reason)
	return s.events, nil
}

func (c ResumeTrigger) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	t, user, err := c.trigger(own, hints, c.ID, c.IfRevision)
	if err != nil || t.Active {
		return nil, err
	}
	if t.Runner() != user.ID && !user.Superuser() {
		return nil, api.Errorf(api.Forbidden, "", "it runs as %s: only a superuser may resume it", t.Runner())
	}
	if err := resolvable(t, hints); err != nil {
		return nil, err
	}
	return []eventlog.Event{c.event(t.ID, t.Revision+1, &eventlog.TriggerResumed{
		Reason: c.Reason, NextRun: planOf(t).next(max(c.Now, t.DecidedUpTo)),
	})}, nil
}

// resolvable refuses to resume what refers to something that was deleted.
func resolvable(t *projection.Trigger, hints projection.Hints) *api.Error {
	missing := dangling(t.Target, t.Runner(), hints)
	if missing == nil || missing.Type == ErrorNoAutomations {
		return nil
	}
	return api.Errorf(api.NotFound, "", "%s while the trigger was paused: update it to refer to another, then resume it", missing.Message)
}

func (c DeleteTrigger) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	t, user, err := c.trigger(own, hints, c.ID, c.IfRevision)
	if err != nil {
		return nil, err
	}
	if t.Runner() != user.ID && !user.Superuser() {
		return nil, api.Errorf(api.Forbidden, "", "it runs as %s: only a superuser may delete it", t.Runner())
	}
	s := series{by: c.By, t: t, revision: t.Revision}
	s.skipDue(eventlog.SkipDeleted)
	s.add(&eventlog.TriggerDeleted{Name: t.Name})
	s.cancel(own, "the trigger was deleted", func(*projection.Item) bool { return true })
	return s.events, nil
}

func noTrigger(ref string) *api.Error {
	return api.Errorf(api.NotFound, "", "there is no trigger %s: see trigger.list", show(ref))
}
