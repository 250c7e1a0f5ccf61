package service

import (
	"context"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/node/record"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/projection"
)

func (s *Service) runGet(ctx context.Context, r *request) (any, *api.Error) {
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
	if in.ID == "" {
		if ref, refused = s.runNamed(ctx, r, in.Name); refused != nil {
			return nil, refused
		}
	}
	return s.showRunOf(ctx, r, ref)
}

// runNamed finds the one run of a name: that of its item, its trigger, or what
// was called.
func (s *Service) runNamed(ctx context.Context, r *request, name string) (string, *api.Error) {
	hash, found := projection.HashName(name), ""
	sc := scan{
		over:  (*projection.State).ScanRuns,
		match: func(i *projection.Item) bool { return i.NameHash == hash },
	}
	refused := sc.walk(ctx, s, r, func(v itemView, h scheduler.Horizon) (bool, *api.Error) {
		rec, refused := s.showRun(ctx, s.cfg.Log, v, h)
		if refused != nil || rec.Name != name {
			return refused != nil, refused
		}
		if found != "" {
			return true, api.Errorf(api.Ambiguous, "name", "several runs are named %q, such as %s and %s: give an id", name, found, rec.ID)
		}
		found = rec.ID
		return false, nil
	})
	if refused == nil && found == "" {
		refused = api.Errorf(api.NotFound, "name", "there is no run named %q: see run.list", name)
	}
	return found, refused
}

// showRunOf finds a run by id and makes its record.
func (s *Service) showRunOf(ctx context.Context, r *request, run string) (any, *api.Error) {
	var v itemView
	h, refused := s.read(ctx, r, func(st *projection.State) {
		v = itemView{} // a view may be called again
		if i := st.Run(run); i != nil {
			v = itemView{id: i.ID, found: true, item: i.Copy()}
		}
	})
	if refused != nil {
		return nil, refused
	}
	if !v.found {
		return nil, api.Errorf(api.NotFound, "", "there is no run %q: see run.list", run)
	}
	return s.showRun(ctx, s.cfg.Log, v, h)
}

// showRun makes the record of a run that a view found.
func (s *Service) showRun(ctx context.Context, log eventlog.Log, v itemView, h scheduler.Horizon) (api.Run, *api.Error) {
	show := func(i *projection.Item, names record.Names) any { return record.Run(i, names) }
	var rec any
	var refused *api.Error
	if v.item.Live != nil {
		v.item.Seq = h.Seq(v.item.Seq)
		rec, refused = s.named(ctx, func(names record.Names) any { return show(&v.item, names) })
	} else {
		rec, refused = s.showEnded(ctx, log, v, h, show)
	}
	if refused != nil {
		return api.Run{}, refused
	}
	return rec.(api.Run), nil
}

func (s *Service) runList(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.RunList](r.body)
	if refused == nil {
		refused = s.strongly(ctx, in.Strong)
	}
	if refused != nil {
		return nil, refused
	}
	p, refused := newPage(in.List)
	if refused != nil {
		return nil, refused
	}
	match, refused := s.runFilter(ctx, in)
	if refused != nil {
		return nil, refused
	}
	sc := scan{over: (*projection.State).ScanRuns, match: match, cursor: p.cursor}
	log, whole := cached(s.cfg.Log), true
	refused = sc.walk(ctx, s, r, func(v itemView, h scheduler.Horizon) (bool, *api.Error) {
		rec, refused := s.showRun(ctx, log, v, h)
		if refused != nil {
			return true, refused
		}
		full, refused := p.add(rec, projection.Cursor{Time: v.item.RunSince(), ID: v.id})
		whole = !full
		return full, refused
	})
	return p.answer(whole), refused
}

// runFilter makes the condition of a list. Since and until bound the time at
// which the run came to be; the end does not belong to the range.
func (s *Service) runFilter(ctx context.Context, in api.RunList) (func(*projection.Item) bool, *api.Error) {
	status, anyStatus, refused := statusFilter(in.Status)
	if refused != nil {
		return nil, refused
	}
	function, refused := s.functionFilter(ctx, in.Function)
	if refused != nil {
		return nil, refused
	}
	from, to, refused := timeRange("since", in.Since, "until", in.Until)
	if refused != nil {
		return nil, refused
	}
	if refused := s.knownTrigger(ctx, in.Trigger); refused != nil {
		return nil, refused
	}
	return func(i *projection.Item) bool {
		return (anyStatus || i.Status == status) && (function == "" || i.Target == function) &&
			(in.Item == "" || i.ID == in.Item) && (in.Trigger == "" || i.Trigger == in.Trigger) &&
			i.RunSince() >= from && (to == 0 || i.RunSince() < to)
	}, nil
}

// knownTrigger refuses a filter by a trigger that never was.
func (s *Service) knownTrigger(ctx context.Context, id string) *api.Error {
	known := id == ""
	if _, refused := s.cfg.Scheduler.Read(ctx, func(st *projection.State) {
		known = known || st.Trigger(id) != nil || st.Partition(eventlog.PartitionOf(eventlog.EntityTrigger, id)).Gone(id)
	}); refused != nil || known {
		return refused
	}
	return api.Errorf(api.NotFound, "trigger", "there is no trigger %q: see trigger.list", id)
}

// runCancel stops a run and answers when it has ended.
func (s *Service) runCancel(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.Cancel](r.body)
	if refused != nil {
		return nil, refused
	}
	check, refused := command.NewCancelItem(r.by(), api.Cancel{Reason: in.Reason})
	if refused != nil {
		return nil, refused
	}
	if refused := s.cfg.Scheduler.CancelRun(ctx, check.By, in.ID, check.Reason); refused != nil {
		return nil, refused
	}
	return s.showRunOf(ctx, r, in.ID)
}
