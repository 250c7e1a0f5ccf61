package service

import (
	"context"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/record"
	"github.com/belfryhq/belfry/projection"
)

// auditAt gives one record as it stood: its events up to then, folded. What it
// refers to is named as it is now.
func (s *Service) auditAt(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.AuditAt](r.body)
	if refused == nil {
		refused = s.strongly(ctx, in.Strong)
	}
	if refused != nil {
		return nil, refused
	}
	until, refused := momentOf(in)
	if refused != nil {
		return nil, refused
	}
	last, id := uint64(0), in.ID
	var item projection.Item // of a trigger's run: what made it is in the trigger's life
	h, refused := s.read(ctx, r, func(st *projection.State) {
		id, item = in.ID, projection.Item{} // a view may be called again
		if i := st.Run(id); i != nil {
			id = i.ID // the events of an item's run are the item's
		}
		if i := st.Item(id); i != nil {
			item = *i
		}
		last = lastOf(st, id)
	})
	if refused != nil {
		return nil, refused
	}
	var events []eventlog.Event
	var seqs []uint64
	switch {
	case item.Kind == projection.KindTrigger:
		item.Seq, item.Fired = h.Seq(item.Seq), h.Seq(item.Fired)
		events, seqs, refused = s.lifeOfRun(ctx, s.cfg.Log, &item)
	case last != 0:
		var err error
		if events, seqs, err = eventlog.Life(ctx, s.cfg.Log, id, h.Seq(last)); err != nil {
			refused = unreadable(err)
		}
	}
	if refused != nil {
		return nil, refused
	}
	n := 0
	for n < len(events) && until(&events[n], seqs[n]) {
		n++
	}
	if n == 0 {
		return nil, api.Errorf(api.NotFound, "id", "%q did not exist then: see audit.events for its life", in.ID)
	}
	return s.foldAt(ctx, in, events[:n], seqs[:n], until)
}

// moment says whether an event had happened.
type moment func(e *eventlog.Event, seq uint64) bool

// statusAt is the status of a trigger's run as it stood.
func (s *Service) statusAt(ctx context.Context, run string, until moment) (projection.Status, *api.Error) {
	if run == "" {
		return projection.Queued, nil
	}
	var item projection.Item
	h, refused := s.cfg.Scheduler.Read(ctx, func(st *projection.State) {
		item = projection.Item{}
		if i := st.Item(run); i != nil {
			item = *i
		}
	})
	if refused != nil {
		return 0, refused
	}
	item.Seq, item.Fired = h.Seq(item.Seq), h.Seq(item.Fired)
	events, seqs, refused := s.lifeOfRun(ctx, s.cfg.Log, &item)
	if refused != nil {
		return 0, refused
	}
	n := 0
	for n < len(events) && until(&events[n], seqs[n]) {
		n++
	}
	i := projection.ItemFromLog(events[:n], seqs[:n])
	return i.Status, nil
}

func momentOf(in api.AuditAt) (moment, *api.Error) {
	switch {
	case in.ID == "":
		return nil, api.Errorf(api.Invalid, "id", "id is missing: give the id of one record")
	case in.Entity != "" && !knownEntity(in.Entity):
		return nil, api.Errorf(api.Invalid, "entity", "there are no records of %q: use function, user, automation, trigger, item or run", in.Entity)
	case in.Seq != 0 && in.Time != "":
		return nil, api.Errorf(api.Invalid, "time", "time and seq are both given: keep one")
	case in.Seq != 0:
		return func(_ *eventlog.Event, seq uint64) bool { return seq <= in.Seq }, nil
	case in.Time == "":
		return nil, api.Errorf(api.Invalid, "time", "time is missing: give a time, or a sequence as seq")
	}
	from, _, refused := timeRange("time", in.Time, "", "")
	return func(e *eventlog.Event, _ uint64) bool { return e.Time <= from }, refused
}

// foldAt makes the record of what these events tell.
func (s *Service) foldAt(ctx context.Context, in api.AuditAt, events []eventlog.Event, seqs []uint64, until moment) (any, *api.Error) {
	deleted := api.Errorf(api.NotFound, "id", "%q was deleted by then: see audit.events for its life", in.ID)
	var show func(record.Names) any
	entity := events[len(events)-1].Entity
	if _, fired := events[0].Data.(*eventlog.TriggerFired); fired {
		entity = eventlog.EntityRun
	}
	switch entity {
	case eventlog.EntityFunction:
		if f := projection.FunctionFromLog(events, seqs); f != nil {
			show = func(record.Names) any { return record.Function(f) }
		}
	case eventlog.EntityUser:
		if u := projection.UserFromLog(events, seqs); u != nil {
			show = func(record.Names) any { return record.User(u) }
		}
	case eventlog.EntityAutomation:
		if a := projection.AutomationFromLog(events, seqs); a != nil {
			show = func(names record.Names) any { return record.Automation(a, names) }
		}
	case eventlog.EntityTrigger:
		if t := projection.TriggerFromLog(events, seqs); t != nil {
			status, refused := s.statusAt(ctx, t.LastRun, until)
			if refused != nil {
				return nil, refused
			}
			show = func(names record.Names) any { return record.Trigger(t, status, names) }
		}
	case eventlog.EntityItem, eventlog.EntityRun:
		i := projection.ItemFromLog(events, seqs)
		if in.ID == i.ID && i.Kind == projection.KindItem {
			show = func(names record.Names) any { return record.Item(&i, names) }
		} else if i.RunSince() != 0 {
			show = func(names record.Names) any { return record.Run(&i, names) }
		}
	case eventlog.EntityNode, eventlog.EntityPartitions:
		return nil, api.Errorf(api.Invalid, "id", "%q is not a record: see audit.events for its life", in.ID)
	}
	if show == nil {
		return nil, deleted
	}
	return s.named(ctx, show)
}
