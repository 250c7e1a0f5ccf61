package command

import (
	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

// Preview tells occurrences in advance.
type Preview struct {
	plan  plan
	from  eventlog.Time
	count int
}

// NewPreview reads a request. If it names a trigger, Of must follow.
func NewPreview(by By, in api.Preview) (*Preview, *api.Error) {
	p := &Preview{from: by.Now, count: api.PreviewDefault}
	switch {
	case in.ID == "" && in.CronSchedule == "":
		return nil, api.Errorf(api.Invalid, "cron_schedule", "cron_schedule is missing: give an expression, or the id of a trigger")
	case in.ID != "" && in.CronSchedule != "":
		return nil, api.Errorf(api.Invalid, "cron_schedule", "id and cron_schedule are both given: keep one")
	}
	if in.Count != nil {
		if p.count = *in.Count; p.count < 1 || p.count > api.PreviewMax {
			return nil, api.Errorf(api.Invalid, "count", "%d is out of range: use 1 to %d", p.count, api.PreviewMax)
		}
	}
	var err *api.Error
	if in.From != "" {
		if p.from, err = ParseTime("from", in.From); err != nil {
			return nil, err
		}
	}
	if in.CronSchedule != "" {
		p.plan, err = newPlan(in.CronSchedule, p.from, 0, 0)
	}
	return p, err
}

// Of takes a trigger's plan.
func (p *Preview) Of(t *projection.Trigger) { p.plan = planOf(t) }

// Times lists the occurrences, fewer than asked if there are no more.
func (p *Preview) Times() []eventlog.Time {
	times, at := []eventlog.Time{}, p.from
	for len(times) < p.count {
		if at = p.plan.next(at); at == 0 {
			break
		}
		times = append(times, at)
	}
	return times
}
