package command

import (
	"hash/fnv"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command/cron"
	"github.com/belfryhq/belfry/projection"
)

// missedAfter is how late an occurrence must be decided to count as missed:
// longer than any delay of a node that runs.
const missedAfter = eventlog.Time(10_000)

// FireTrigger decides the occurrences of a trigger that are due: each becomes
// the run Run, or is skipped. It yields nothing if none is due any more.
type FireTrigger struct {
	By
	ID  string
	Run string // an id in the trigger's partition
}

// RunTrigger makes a run of a trigger besides its schedule.
type RunTrigger struct {
	By
	ID  string
	Run string // an id in the trigger's partition
}

// Partition implements Command.
func (c FireTrigger) Partition() int { return triggerPartition(c.ID) }

// Partition implements Command.
func (c RunTrigger) Partition() int { return triggerPartition(c.ID) }

// Target implements Command.
func (c FireTrigger) Target() string { return c.ID }

// Target implements Command. It is the run's, which the answer shows.
func (c RunTrigger) Target() string { return c.Run }

func (c FireTrigger) decide(own *projection.Partition, _ projection.Hints) ([]eventlog.Event, *api.Error) {
	t := own.Trigger(c.ID)
	if t == nil {
		return nil, nil
	}
	s := series{by: c.By, t: t, revision: t.Revision}
	s.occurrences(own, c.Run)
	return s.events, nil
}

func (c RunTrigger) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	t, user, err := c.trigger(own, hints, c.ID, nil)
	if err != nil {
		return nil, err
	}
	if t.Runner() != user.ID && !user.Superuser() {
		return nil, api.Errorf(api.Forbidden, "", "it runs as %s: only a superuser may run it", t.Runner())
	}
	if err := resolvable(t, hints); err != nil {
		return nil, err
	}
	if len(t.OpenRuns()) >= api.TriggerOpenRunsMax {
		return nil, api.Errorf(api.Conflict, "", "%d runs of the trigger have not ended: wait for them, or cancel some", api.TriggerOpenRunsMax)
	}
	fired := fire(t, c.Run, c.Now)
	fired.Manual, fired.NextRun = true, t.Next
	return []eventlog.Event{c.event(t.ID, t.Revision+1, fired)}, nil
}

// fire is the event that makes a run with what the trigger says now.
func fire(t *projection.Trigger, run string, at eventlog.Time) *eventlog.TriggerFired {
	fired := &eventlog.TriggerFired{
		Run: run, ScheduledFor: at, Name: t.Name, Data: t.Data, RunningUser: t.Runner(), Retry: t.Retry,
	}
	fired.Function, fired.Automation = refsOf(t.Target)
	return fired
}

// series is the events that one command causes in a trigger's life.
type series struct {
	by       By
	t        *projection.Trigger
	revision uint64
	events   []eventlog.Event
}

func (s *series) add(p eventlog.Payload) {
	s.revision++
	s.events = append(s.events, s.by.event(s.t.ID, s.revision, p))
}

// occurrences decides what is due: at most one run, and the rest skipped, in
// three events at most, however long the gap was.
func (s *series) occurrences(own *projection.Partition, run string) {
	t, now := s.t, s.by.Now
	p := planOf(t)
	first, last, count := p.due(t, now)
	if count == 0 {
		return
	}
	late := now - last
	next := p.next(max(now, last))
	skip := func(from, to eventlog.Time, n int, why eventlog.Skip) {
		s.add(&eventlog.TriggerSkipped{Span: eventlog.Span{From: from, To: to, Count: n}, Reason: why, NextRun: next})
	}
	open, scheduled := openRuns(own, t)
	switch {
	case late > eventlog.Time(time.Duration(t.CatchUpWindow).Milliseconds()):
		skip(first, last, count, eventlog.SkipExpired)
		return
	case t.CatchUp == eventlog.CatchUpNone && late > missedAfter:
		skip(first, last, count, eventlog.SkipMissed)
		return
	case t.Overlap == eventlog.OverlapSkip && scheduled > 0:
		skip(first, last, count, eventlog.SkipOverlap)
		return
	case open >= api.TriggerOpenRunsMax:
		skip(first, last, count, eventlog.SkipBacklog)
		return
	}
	fired := fire(t, run, last)
	if t.CatchUp == eventlog.CatchUpLatest && (count > 1 || late > missedAfter) {
		fired.Missed = &eventlog.Span{From: first, To: last, Count: count}
	}
	if count > 1 {
		from, to, n := p.between(first-1, last-1)
		s.add(&eventlog.TriggerSkipped{Span: eventlog.Span{From: from, To: to, Count: n}, Reason: eventlog.SkipMissed, NextRun: last})
	}
	if t.Jitter > 0 {
		fired.Due = last + jitter(t, last)
	}
	fired.NextRun = next
	s.add(fired)
}

// openRuns counts a trigger's runs that have not ended, and the scheduled ones
// among them.
func openRuns(own *projection.Partition, t *projection.Trigger) (open, scheduled int) {
	for _, id := range t.OpenRuns() {
		open++
		if i := own.Item(id); i != nil && i.Live != nil && !i.Live.Manual {
			scheduled++
		}
	}
	return open, scheduled
}

// jitter spreads the runs of triggers that share a time: always the same for an
// occurrence, so that a repeated decision is the same decision.
func jitter(t *projection.Trigger, at eventlog.Time) eventlog.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(t.ID + strconv.FormatInt(int64(at), 10))) // a hash never refuses
	return eventlog.Time(h.Sum64() % uint64(time.Duration(t.Jitter).Milliseconds()+1))
}

// skipDue gives the occurrences that are due and not yet decided their outcome
// when the trigger ends or rests.
func (s *series) skipDue(why eventlog.Skip) {
	if first, last, count := planOf(s.t).due(s.t, s.by.Now); count > 0 {
		s.add(&eventlog.TriggerSkipped{Span: eventlog.Span{From: first, To: last, Count: count}, Reason: why})
	}
}

// pause ends the schedule, and cancels the runs that wait and were never
// claimed: once it is answered, no occurrence starts.
func (s *series) pause(own *projection.Partition, reason string) {
	s.add(&eventlog.TriggerPaused{Reason: reason})
	s.cancel(own, "the trigger was paused", func(i *projection.Item) bool { return i.Live.Run == nil && !i.Live.Manual })
}

// cancel ends those runs of the trigger that wait.
func (s *series) cancel(own *projection.Partition, reason string, which func(*projection.Item) bool) {
	for _, id := range s.t.OpenRuns() {
		i := own.Item(id)
		if i == nil || i.Status != projection.Queued || !which(i) {
			continue
		}
		s.events = append(s.events, s.by.event(id, uint64(i.Revision)+1, eventlog.ForRun(&eventlog.ItemCanceled{
			RunHead: headOf(i), Reason: reason,
		})))
	}
}

// plan is when a trigger has occurrences. The zero plan has none.
type plan struct {
	schedule             *cron.Schedule
	anchor, starts, ends eventlog.Time // no bound: 0
}

func newPlan(expression string, anchor, starts, ends eventlog.Time) (plan, *api.Error) {
	schedule, wrong := cron.Parse(expression)
	if wrong != nil {
		return plan{}, InvalidCron(wrong)
	}
	if ends != 0 && ends < starts {
		return plan{}, api.Errorf(api.InvalidTime, "ends_at", "ends_at is before starts_at: choose a later one")
	}
	return plan{schedule, anchor, starts, ends}, nil
}

// planOf is the plan of a trigger in the log, whose expression was read before.
func planOf(t *projection.Trigger) plan {
	p, _ := newPlan(t.CronSchedule, t.Anchor, t.StartsAt, t.EndsAt)
	return p
}

// next is the first occurrence after a moment; 0 if there is none.
func (p plan) next(after eventlog.Time) eventlog.Time {
	if p.schedule == nil {
		return 0
	}
	at := p.schedule.Next(p.anchor.Std(), max(after, p.starts-1).Std())
	if at.IsZero() || at.Year() > 9999 || p.ends != 0 && eventlog.TimeOf(at) > p.ends {
		return 0
	}
	return eventlog.TimeOf(at)
}

// between counts the occurrences after one moment and up to another.
func (p plan) between(after, until eventlog.Time) (first, last eventlog.Time, count int) {
	if p.schedule == nil {
		return 0, 0, 0
	}
	if p.ends != 0 {
		until = min(until, p.ends)
	}
	from, to, count := p.schedule.Missed(p.anchor.Std(), max(after, p.starts-1).Std(), until.Std())
	return eventlog.TimeOf(from), eventlog.TimeOf(to), count
}

// due counts the occurrences of an active trigger that wait for a decision.
func (p plan) due(t *projection.Trigger, now eventlog.Time) (first, last eventlog.Time, count int) {
	if !t.Active || t.Next == 0 || t.Next > now {
		return 0, 0, 0
	}
	return p.between(t.Next-1, now)
}
