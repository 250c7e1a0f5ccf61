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

// triggerView is a trigger as a view of the state found it.
type triggerView struct {
	id    string
	found bool
	rec   api.Trigger
}

func (v *triggerView) see(st *projection.State) {
	t := st.Trigger(v.id)
	if v.found = t != nil; v.found {
		v.rec = record.Trigger(t, lastStatus(st, t), st)
	}
}

func (v *triggerView) show(h scheduler.Horizon) api.Trigger {
	v.rec.Seq = h.Seq(v.rec.Seq)
	return v.rec
}

func (s *Service) triggerCreate(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.TriggerInput](r.body)
	if refused != nil {
		return nil, refused
	}
	by, id := s.draw(eventlog.PrefixTrigger, r)
	c, refused := command.NewCreateTrigger(by, in, id)
	if refused != nil {
		return nil, refused
	}
	return s.triggerDo(ctx, r, c)
}

func (s *Service) triggerUpdate(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.TriggerInput](r.body)
	if refused != nil {
		return nil, refused
	}
	c, refused := command.NewUpdateTrigger(r.by(), in, s.drawRun(in.ID))
	if refused != nil {
		return nil, refused
	}
	return s.triggerDo(ctx, r, c)
}

func (s *Service) triggerPause(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.Pause](r.body)
	if refused != nil {
		return nil, refused
	}
	c, refused := command.NewPauseTrigger(r.by(), in)
	if refused != nil {
		return nil, refused
	}
	return s.triggerDo(ctx, r, c)
}

func (s *Service) triggerResume(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.Pause](r.body)
	if refused != nil {
		return nil, refused
	}
	c, refused := command.NewResumeTrigger(r.by(), in)
	if refused != nil {
		return nil, refused
	}
	return s.triggerDo(ctx, r, c)
}

func (s *Service) triggerDelete(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.Delete](r.body)
	if refused != nil {
		return nil, refused
	}
	return s.triggerDo(ctx, r, command.DeleteTrigger{By: r.by(), ID: in.ID, IfRevision: in.IfRevision})
}

// triggerDo carries out what concerns one trigger.
func (s *Service) triggerDo(ctx context.Context, r *request, c command.Command) (any, *api.Error) {
	v := triggerView{id: c.Target()}
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
			return s.triggerRecall(ctx, past)
		}
		return s.triggerDo(ctx, r.anew(), c)
	}
	if refused := answer.Outcomes[0].Err; refused != nil {
		create, isCreate := c.(command.CreateTrigger)
		if !isCreate || refused.Entity == "" {
			return nil, refused
		}
		return s.sameTrigger(ctx, create, v, answer.Horizon, refused)
	}
	if !v.found {
		return api.Deleted{ID: v.id, Deleted: true}, nil
	}
	return v.show(answer.Horizon), nil
}

// triggerRecall answers a repeated request with what it did.
func (s *Service) triggerRecall(ctx context.Context, past []done) (any, *api.Error) {
	last := past[len(past)-1]
	for _, d := range past { // a pause cancels runs besides
		if d.event.Entity == eventlog.EntityTrigger {
			last = d
		}
	}
	if refused := sameRequest(last, eventlog.EntityTrigger); refused != nil {
		return nil, refused
	}
	events, seqs, refused := s.lifeUntil(ctx, last)
	if refused != nil {
		return nil, refused
	}
	t := projection.TriggerFromLog(events, seqs)
	if t == nil {
		return api.Deleted{ID: last.event.Subject, Deleted: true}, nil
	}
	var rec api.Trigger
	_, refused = s.cfg.Scheduler.Read(ctx, func(st *projection.State) { rec = record.Trigger(t, lastStatus(st, t), st) })
	return rec, refused
}

// sameTrigger answers a create whose id exists: with the record, if it was
// created with the same content.
func (s *Service) sameTrigger(ctx context.Context, c command.CreateTrigger, v triggerView, h scheduler.Horizon, refused *api.Error) (any, *api.Error) {
	events, _, err := eventlog.Life(ctx, s.cfg.Log, v.id, h.Seq(v.rec.Seq))
	if err != nil {
		return nil, unreadable(err)
	}
	was, ok := events[0].Data.(*eventlog.TriggerCreated)
	if !ok {
		return nil, refused
	}
	asked, first := c.New, *was
	var unread *api.Error
	if asked.Function, asked.Automation, asked.RunningUser, unread = s.resolved(ctx, c.Runnable, c.RunningUser); unread != nil {
		return nil, unread
	}
	first.Function.Name, first.Automation.Name = "", ""
	first.Anchor, first.NextRun = 0, 0
	if !reflect.DeepEqual(asked, first) {
		return nil, refused
	}
	return v.show(h), nil
}

func (s *Service) triggerGet(ctx context.Context, r *request) (any, *api.Error) {
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
	v := triggerView{id: ref}
	if in.ID == "" {
		if v.id, refused = s.triggerNamed(ctx, r, in.Name); refused != nil {
			return nil, refused
		}
	}
	h, refused := s.read(ctx, r, v.see)
	if refused != nil {
		return nil, refused
	}
	if !v.found {
		return nil, api.Errorf(api.NotFound, "", "there is no trigger %q: see trigger.list", ref)
	}
	return v.show(h), nil
}

// triggerNamed finds the one trigger of a name.
func (s *Service) triggerNamed(ctx context.Context, r *request, name string) (string, *api.Error) {
	var found []string
	sc := triggerScan{match: func(t *projection.Trigger) bool { return t.Name == name }}
	if refused := sc.walk(ctx, s, r, func(v triggerView, _ scheduler.Horizon) (bool, *api.Error) {
		found = append(found, v.id)
		return len(found) > 1, nil
	}); refused != nil {
		return "", refused
	}
	switch len(found) {
	case 0:
		return "", api.Errorf(api.NotFound, "name", "there is no trigger named %q: see trigger.list", name)
	case 1:
		return found[0], nil
	}
	return "", api.Errorf(api.Ambiguous, "name", "several triggers are named %q, such as %s and %s: give an id", name, found[0], found[1])
}

// triggerScan walks triggers from the newest to older ones.
type triggerScan struct {
	match  func(*projection.Trigger) bool
	cursor projection.Cursor
}

func (sc triggerScan) walk(ctx context.Context, s *Service, r *request, take func(triggerView, scheduler.Horizon) (bool, *api.Error)) *api.Error {
	for end := false; !end; {
		var views []triggerView
		from := sc.cursor // a view may be called again
		h, refused := s.read(ctx, r, func(st *projection.State) {
			var found []projection.Trigger
			found, sc.cursor, end = st.ScanTriggers(from, scanSteps, api.PageMax, sc.match)
			views = make([]triggerView, len(found))
			for n := range found {
				t := &found[n]
				views[n] = triggerView{t.ID, true, record.Trigger(t, lastStatus(st, t), st)}
			}
		})
		if refused != nil {
			return refused
		}
		for _, v := range views {
			if stop, refused := take(v, h); stop || refused != nil {
				return refused
			}
		}
	}
	return nil
}

func (s *Service) triggerList(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.TriggerList](r.body)
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
	function, refused := s.functionFilter(ctx, in.Function)
	if refused != nil {
		return nil, refused
	}
	sc := triggerScan{cursor: p.cursor, match: func(t *projection.Trigger) bool {
		return (in.Active == nil || t.Active == *in.Active) && (function == "" || t.Target == function)
	}}
	whole := true
	refused = sc.walk(ctx, s, r, func(v triggerView, h scheduler.Horizon) (bool, *api.Error) {
		full, refused := p.add(v.show(h), projection.Cursor{Time: v.rec.CreatedDate, ID: v.id})
		whole = !full
		return full, refused
	})
	return p.answer(whole), refused
}

// triggerPreview tells the next occurrences of a trigger, as if it were active,
// or of an expression.
func (s *Service) triggerPreview(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.Preview](r.body)
	if refused == nil {
		refused = s.strongly(ctx, in.Strong)
	}
	if refused != nil {
		return nil, refused
	}
	p, refused := command.NewPreview(r.by(), in)
	if refused != nil {
		return nil, refused
	}
	if in.ID != "" {
		found := false
		if _, refused := s.read(ctx, r, func(st *projection.State) {
			if t := st.Trigger(in.ID); t != nil {
				found = true
				p.Of(t)
			}
		}); refused != nil {
			return nil, refused
		}
		if !found {
			return nil, api.Errorf(api.NotFound, "id", "there is no trigger %q: see trigger.list", in.ID)
		}
	}
	return api.Previewed{Times: p.Times()}, nil
}
