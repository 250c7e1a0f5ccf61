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
	if refused != nil {
		return nil, refused
	}
	ref, refused := oneOf(in)
	if refused != nil {
		return nil, refused
	}
	if in.ID == "" { // a run bears its item's name
		item, refused := s.itemNamed(ctx, r, in.Name)
		if refused != nil {
			return nil, refused
		}
		ref = eventlog.RunOfItem(item)
	}
	return s.showRunOf(ctx, r, ref, in.Strong)
}

// showRunOf finds a run by id and makes its record.
func (s *Service) showRunOf(ctx context.Context, r *request, run string, strong bool) (any, *api.Error) {
	v := itemView{id: eventlog.ItemOfRun(run)}
	var rec api.Run
	h, refused := s.read(ctx, r, strong, func(st *projection.State) {
		if v.see(st); v.found && v.item.Live != nil && v.item.FirstClaimed != 0 {
			rec = record.Run(&v.item, st)
		}
	})
	if refused != nil {
		return nil, refused
	}
	if !v.found || v.item.FirstClaimed == 0 || eventlog.RunOfItem(v.id) != run {
		return nil, api.Errorf(api.NotFound, "", "there is no run %q: see run.list", run)
	}
	if v.item.Live != nil {
		rec.Seq = h.Seq(v.item.Seq)
		return rec, nil
	}
	return s.showEnded(ctx, s.cfg.Log, v, h, func(i *projection.Item, names record.Names) any { return record.Run(i, names) })
}

func (s *Service) runList(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.RunList](r.body)
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
	sc := scan{over: (*projection.State).ScanRuns, match: match, cursor: p.cursor, strong: in.Strong}
	log, whole := cached(s.cfg.Log), true
	refused = sc.walk(ctx, s, r, func(v itemView, h scheduler.Horizon) (bool, *api.Error) {
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
			return true, refused
		}
		full, refused := p.add(rec, projection.Cursor{Time: v.item.FirstClaimed, ID: v.id})
		whole = !full
		return full, refused
	})
	return p.answer(whole), refused
}

// runFilter makes the condition of a list. Since and until bound the first
// claim; the end does not belong to the range.
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
	if in.Trigger != "" {
		return nil, api.Errorf(api.NotFound, "trigger", "there is no trigger %q", in.Trigger)
	}
	return func(i *projection.Item) bool {
		return (anyStatus || i.Status == status) && (function == "" || i.Function == function) &&
			(in.Item == "" || i.ID == in.Item) && i.FirstClaimed >= from && (to == 0 || i.FirstClaimed < to)
	}, nil
}

// runLogs gives what the last ended attempt printed and logged.
func (s *Service) runLogs(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.Get](r.body)
	if refused != nil {
		return nil, refused
	}
	if in.ID == "" {
		return nil, api.Errorf(api.Invalid, "id", "id is missing: give a run's id")
	}
	rec, refused := s.showRunOf(ctx, r, in.ID, in.Strong)
	if refused != nil {
		return nil, refused
	}
	run := rec.(api.Run)
	logs := api.RunLogs{Lines: run.Logs, Truncated: run.LogsTruncated}
	if run.LogsTruncated && s.cfg.Output != nil {
		lines, truncated, err := s.cfg.Output(ctx, run.ID, run.Attempt)
		if err != nil {
			s.cfg.Logger.Warn("a run's output cannot be read", "run", run.ID, "error", err)
		} else if len(lines) > 0 {
			logs = api.RunLogs{Lines: lines, Truncated: truncated}
		}
	}
	return fitLogs(logs), nil
}

// fitLogs cuts the end of what is too long for a reply.
func fitLogs(logs api.RunLogs) api.RunLogs {
	size := 0
	for n, line := range logs.Lines {
		if size += len(line.Text) + 100; size > api.PageBytesMax {
			return api.RunLogs{Lines: logs.Lines[:n], Truncated: true}
		}
	}
	return logs
}

// runCancel stops a run and answers when it has ended.
func (s *Service) runCancel(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.Cancel](r.body)
	if refused != nil {
		return nil, refused
	}
	item := eventlog.ItemOfRun(in.ID)
	check, refused := command.NewCancelItem(r.by(), api.Cancel{ID: item, Reason: in.Reason})
	if refused != nil {
		return nil, refused
	}
	if eventlog.RunOfItem(item) != in.ID {
		return nil, api.Errorf(api.NotFound, "", "there is no run %q: see run.list", in.ID)
	}
	if refused := s.cfg.Scheduler.CancelRun(ctx, check.By, item, check.Reason); refused != nil {
		return nil, refused
	}
	return s.showRunOf(ctx, r, in.ID, false)
}
