package service

import (
	"context"
	"reflect"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/node/record"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/projection"
)

func (s *Service) itemCreate(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.ItemInput](r.body)
	if refused != nil {
		return nil, refused
	}
	by, id := s.draw(eventlog.PrefixItem, r)
	c, refused := command.NewCreateItem(by, in, id)
	if refused != nil {
		return nil, refused
	}
	return s.itemDo(ctx, r, c)
}

func (s *Service) itemUpdate(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.ItemInput](r.body)
	if refused != nil {
		return nil, refused
	}
	c, refused := command.NewUpdateItem(r.by(), in)
	if refused != nil {
		return nil, refused
	}
	return s.itemDo(ctx, r, c)
}

func (s *Service) itemCancel(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.Cancel](r.body)
	if refused != nil {
		return nil, refused
	}
	c, refused := command.NewCancelItem(r.by(), in)
	if refused != nil {
		return nil, refused
	}
	return s.itemDo(ctx, r, c)
}

// itemDo carries out what concerns one item.
func (s *Service) itemDo(ctx context.Context, r *request, c command.Command) (any, *api.Error) {
	v := itemView{id: c.Target()}
	answer, refused := s.do(ctx, r, v.see, c)
	if refused != nil {
		return nil, refused
	}
	if len(answer.Repeated) > 0 {
		past, refused := s.recall(ctx, r, answer)
		if refused != nil {
			return nil, refused
		}
		if len(past) > 0 {
			return s.itemRecall(ctx, past[len(past)-1])
		}
		return s.itemDo(ctx, r.anew(), c)
	}
	if refused := answer.Outcomes[0].Err; refused != nil {
		create, isCreate := c.(command.CreateItem)
		if !isCreate || refused.Entity == "" {
			return nil, refused
		}
		return s.sameItem(ctx, create, v, answer.Horizon, refused)
	}
	return s.showItem(ctx, v, answer.Horizon)
}

// itemView is an item as a view of the state found it. A live one is shown at
// once; of an ended one only the place in the log is known.
type itemView struct {
	id    string
	found bool
	item  projection.Item
	rec   api.Item // if the item is live
}

func (v *itemView) see(st *projection.State) {
	i := st.Item(v.id)
	if v.found = i != nil && i.Kind == projection.KindItem; !v.found {
		return
	}
	v.item = *i
	if i.Live != nil {
		v.rec = record.Item(i, st)
	}
}

// showItem makes the record of what a view found.
func (s *Service) showItem(ctx context.Context, v itemView, h scheduler.Horizon) (any, *api.Error) {
	return s.showItemFrom(ctx, s.cfg.Log, v, h)
}

func (s *Service) showItemFrom(ctx context.Context, log eventlog.Log, v itemView, h scheduler.Horizon) (any, *api.Error) {
	if v.item.Live != nil {
		v.rec.Seq = h.Seq(v.item.Seq)
		return v.rec, nil
	}
	return s.showEnded(ctx, log, v, h, func(i *projection.Item, names record.Names) any { return record.Item(i, names) })
}

// itemFromLog reads back the whole record of an item, or of a trigger's or a
// call's run, of which nothing is pending any more.
func (s *Service) itemFromLog(ctx context.Context, log eventlog.Log, i *projection.Item) (projection.Item, *api.Error) {
	events, seqs, refused := s.lifeOfRun(ctx, log, i)
	if refused != nil {
		return projection.Item{}, refused
	}
	return projection.ItemFromLog(events, seqs), nil
}

// lifeOfRun reads the events that an item or a run is folded from: those of its
// own, and before them the one in its trigger's life that made it.
func (s *Service) lifeOfRun(ctx context.Context, log eventlog.Log, i *projection.Item) (events []eventlog.Event, seqs []uint64, refused *api.Error) {
	var err error
	if i.Revision > 0 {
		if events, seqs, err = eventlog.Life(ctx, log, i.ID, i.Seq); err != nil {
			return nil, nil, unreadable(err)
		}
	}
	if i.Kind != projection.KindTrigger {
		return events, seqs, nil
	}
	m, err := log.Get(ctx, i.Fired)
	if err != nil {
		return nil, nil, unreadable(err)
	}
	made, err := eventlog.DecodeOf(m.Body, i.Trigger)
	if err != nil {
		return nil, nil, unreadable(err)
	}
	for n := range made {
		if d, ok := made[n].Data.(*eventlog.TriggerFired); ok && d.Run == i.ID {
			return append(made[n:n+1:n+1], events...), append([]uint64{i.Fired}, seqs...), nil
		}
	}
	return nil, nil, api.Errorf(api.Internal, "", "commit %d should hold what made run %s and does not", i.Fired, i.ID)
}

// named makes a record with the names that things have now.
func (s *Service) named(ctx context.Context, show func(record.Names) any) (any, *api.Error) {
	var rec any
	_, refused := s.cfg.Scheduler.Read(ctx, func(st *projection.State) { rec = show(st) })
	return rec, refused
}

// itemRecall answers a repeated request with what it did.
func (s *Service) itemRecall(ctx context.Context, past done) (any, *api.Error) {
	if refused := sameRequest(past, eventlog.EntityItem); refused != nil {
		return nil, refused
	}
	events, seqs, refused := s.lifeUntil(ctx, past)
	if refused != nil {
		return nil, refused
	}
	then := projection.ItemFromLog(events, seqs)
	return s.named(ctx, func(names record.Names) any { return record.Item(&then, names) })
}

// sameItem answers a create whose id exists: with the record, if it was created
// with the same content.
func (s *Service) sameItem(ctx context.Context, c command.CreateItem, v itemView, h scheduler.Horizon, refused *api.Error) (any, *api.Error) {
	events, _, err := eventlog.Life(ctx, s.cfg.Log, v.id, h.Seq(v.item.Seq))
	if err != nil {
		return nil, unreadable(err)
	}
	was, ok := events[0].Data.(*eventlog.ItemCreated)
	if !ok {
		return nil, refused
	}
	asked, first := c.New, *was
	var refusedRead *api.Error
	asked.Function, asked.Automation, asked.RunningUser, refusedRead = s.resolved(ctx, c.Runnable, c.RunningUser)
	if refusedRead != nil {
		return nil, refusedRead
	}
	first.Function.Name, first.Automation.Name = "", ""
	if !reflect.DeepEqual(asked, first) {
		return nil, refused
	}
	return s.showItem(ctx, v, h)
}

// resolved is what references of a create name now, ids only.
func (s *Service) resolved(ctx context.Context, what command.Runnable, who *api.RefInput) (function, automation eventlog.Ref, runner string, refused *api.Error) {
	_, refused = s.cfg.Scheduler.Read(ctx, func(st *projection.State) {
		if r := what.Function; r != nil {
			if f := st.FunctionByRef(r.IDOrName, r.IsID); f != nil {
				function.ID = f.ID
			}
		}
		if r := what.Automation; r != nil {
			if a := st.AutomationByRef(r.IDOrName, r.IsID); a != nil {
				automation.ID = a.ID
			}
		}
		if who != nil {
			if u := st.UserByRef(who.IDOrName, who.IsID); u != nil {
				runner = u.ID
			}
		}
	})
	return function, automation, runner, refused
}

func (s *Service) itemGet(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.Get](r.body)
	if refused == nil {
		refused = s.strongly(ctx, in.Strong)
	}
	if refused != nil {
		return nil, refused
	}
	ref, refused := oneOf(in)
	if refused != nil {
		return nil, refused
	}
	v := itemView{id: ref}
	if in.ID == "" {
		if v.id, refused = s.itemNamed(ctx, r, in.Name); refused != nil {
			return nil, refused
		}
	}
	h, refused := s.read(ctx, r, v.see)
	if refused != nil {
		return nil, refused
	}
	if !v.found {
		return nil, api.Errorf(api.NotFound, "", "there is no item %q: see item.list", ref)
	}
	return s.showItem(ctx, v, h)
}

// itemNamed finds the one item of a name. Names of ended items are in the log
// only: the state knows a short hash of each.
func (s *Service) itemNamed(ctx context.Context, r *request, name string) (string, *api.Error) {
	hash, found := projection.HashName(name), ""
	scan := scan{
		over:  (*projection.State).ScanItems,
		match: func(i *projection.Item) bool { return i.NameHash == hash },
	}
	refused := scan.walk(ctx, s, r, func(v itemView, h scheduler.Horizon) (bool, *api.Error) {
		whole, refused := s.showItem(ctx, v, h)
		if refused != nil {
			return true, refused
		}
		if whole.(api.Item).Name != name {
			return false, nil
		}
		if found != "" {
			return true, api.Errorf(api.Ambiguous, "name", "several items are named %q, such as %s and %s: give an id", name, found, v.id)
		}
		found = v.id
		return false, nil
	})
	if refused == nil && found == "" {
		refused = api.Errorf(api.NotFound, "name", "there is no item named %q: see item.list", name)
	}
	return found, refused
}
