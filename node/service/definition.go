package service

import (
	"context"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/node/record"
	"github.com/belfryhq/belfry/projection"
)

// definition says how records of one kind with unique names are found, folded
// and shown. P is the projection's type.
type definition[P any] struct {
	entity  eventlog.Entity
	find    func(st *projection.State, ref string, idOnly bool) *P
	all     func(*projection.State) []*P // newest first
	meta    func(*P) *projection.Meta
	fromLog func([]eventlog.Event, []uint64) *P
	record  func(p *P, seq uint64, names record.Names) any
	// created says whether a create command has the content of the first event.
	created func(c command.Command, first eventlog.Payload, hints projection.Hints) bool
}

// doDefinition carries out a create, an update or a delete.
func doDefinition[P any](ctx context.Context, s *Service, r *request, d definition[P], c command.Command) (any, *api.Error) {
	var found *P
	answer, refused := s.do(ctx, r, func(st *projection.State) { found = d.find(st, c.Target(), true) }, c)
	if refused != nil {
		return nil, refused
	}
	if len(answer.Repeated) > 0 {
		past, refused := s.recall(ctx, r, answer)
		if refused != nil {
			return nil, refused
		}
		if len(past) > 0 {
			return recallDefinition(ctx, s, d, past[len(past)-1])
		}
		return doDefinition(ctx, s, r.anew(), d, c)
	}
	if refused := answer.Outcomes[0].Err; refused != nil {
		if refused.Entity == "" || found == nil {
			return nil, refused
		}
		// A create whose id exists: the same content answers with the record.
		m := d.meta(found)
		events, _, err := eventlog.Life(ctx, s.cfg.Log, m.ID, answer.Horizon.Seq(m.Seq))
		if err != nil {
			return nil, unreadable(err)
		}
		same := false
		if _, unread := s.cfg.Scheduler.Read(ctx, func(st *projection.State) { same = d.created(c, events[0].Data, st) }); unread != nil {
			return nil, unread
		}
		if !same {
			return nil, refused
		}
	}
	if found == nil {
		return api.Deleted{ID: c.Target(), Deleted: true}, nil
	}
	return s.named(ctx, func(names record.Names) any { return d.record(found, answer.Horizon.Seq(d.meta(found).Seq), names) })
}

// recallDefinition answers a repeated request with what it did.
func recallDefinition[P any](ctx context.Context, s *Service, d definition[P], past done) (any, *api.Error) {
	if refused := sameRequest(past, d.entity); refused != nil {
		return nil, refused
	}
	events, seqs, refused := s.lifeUntil(ctx, past)
	if refused != nil {
		return nil, refused
	}
	p := d.fromLog(events, seqs)
	if p == nil {
		return api.Deleted{ID: past.event.Subject, Deleted: true}, nil
	}
	return s.named(ctx, func(names record.Names) any { return d.record(p, past.seq, names) })
}

// findDefinition finds what a get asks for, by id or by name.
func findDefinition[P any](ctx context.Context, s *Service, r *request, d definition[P]) (*P, uint64, *api.Error) {
	in, refused := decode[api.Get](r.body)
	if refused == nil {
		refused = s.strongly(ctx, in.Strong)
	}
	if refused != nil {
		return nil, 0, refused
	}
	ref, refused := oneOf(in)
	if refused != nil {
		return nil, 0, refused
	}
	var found *P
	h, refused := s.read(ctx, r, func(st *projection.State) {
		found = d.find(st, ref, in.ID != "")
		if found != nil && in.ID == "" && d.meta(found).Name != in.Name {
			found = nil // its id, not its name
		}
	})
	if refused != nil {
		return nil, 0, refused
	}
	if found == nil {
		return nil, 0, api.Errorf(api.NotFound, "", "there is no %s %q: see %s.list", d.entity, ref, d.entity)
	}
	return found, h.Seq(d.meta(found).Seq), nil
}

// oneOf is the id or the name of a get, which has one of them.
func oneOf(in api.Get) (string, *api.Error) {
	switch {
	case in.ID == "" && in.Name == "":
		return "", api.Errorf(api.Invalid, "id", "id is missing: give an id or a name")
	case in.ID != "" && in.Name != "":
		return "", api.Errorf(api.Invalid, "name", "id and name are both given: keep one")
	case in.ID != "":
		return in.ID, nil
	}
	return in.Name, nil
}

func getDefinition[P any](ctx context.Context, s *Service, r *request, d definition[P]) (any, *api.Error) {
	found, seq, refused := findDefinition(ctx, s, r, d)
	if refused != nil {
		return nil, refused
	}
	return s.named(ctx, func(names record.Names) any { return d.record(found, seq, names) })
}

func listDefinition[P any](ctx context.Context, s *Service, r *request, d definition[P]) (any, *api.Error) {
	in, refused := decode[api.List](r.body)
	if refused == nil {
		refused = s.strongly(ctx, in.Strong)
	}
	if refused != nil {
		return nil, refused
	}
	p, refused := newPage(in)
	if refused != nil {
		return nil, refused
	}
	var all []*P
	h, refused := s.read(ctx, r, func(st *projection.State) { all = d.all(st) })
	if refused != nil {
		return nil, refused
	}
	for _, found := range all {
		m := d.meta(found)
		at := projection.Cursor{Time: m.Created, ID: m.ID}
		if !p.after(at) {
			continue
		}
		rec, refused := s.named(ctx, func(names record.Names) any { return d.record(found, h.Seq(m.Seq), names) })
		if refused != nil {
			return nil, refused
		}
		if full, refused := p.add(rec, at); full || refused != nil {
			return p.answer(false), refused
		}
	}
	return p.answer(true), nil
}

// page gathers the records of a list.
type page struct {
	limit   int
	cursor  projection.Cursor // zero: from the newest
	bytes   int
	records []jsontext.Value
	last    projection.Cursor
}

func newPage(in api.List) (*page, *api.Error) {
	p := &page{limit: api.PageDefault, records: []jsontext.Value{}}
	if in.Limit != nil {
		if p.limit = *in.Limit; p.limit < 1 || p.limit > api.PageMax {
			return nil, api.Errorf(api.Invalid, "limit", "%d is out of range: use 1 to %d", p.limit, api.PageMax)
		}
	}
	var refused *api.Error
	p.cursor, refused = parseCursor(in.Cursor)
	return p, refused
}

// after says whether a record stands behind the page's beginning.
func (p *page) after(at projection.Cursor) bool {
	if p.cursor == (projection.Cursor{}) {
		return true
	}
	return at.Time < p.cursor.Time || at.Time == p.cursor.Time && at.ID < p.cursor.ID
}

// add takes a record, and says when the page is full.
func (p *page) add(rec any, at projection.Cursor) (full bool, refused *api.Error) {
	raw, err := json.Marshal(rec, json.Deterministic(true))
	if err != nil {
		return true, api.Errorf(api.Internal, "", "record %s cannot be written: %v", at.ID, err)
	}
	if p.bytes += len(raw); p.bytes > api.PageBytesMax && len(p.records) > 0 {
		return true, nil // it is the first of the next page
	}
	p.records, p.last = append(p.records, raw), at
	return len(p.records) >= p.limit, nil
}

// answer is the page; whole says that nothing stands behind it.
func (p *page) answer(whole bool) api.Page[jsontext.Value] {
	next := ""
	if !whole {
		next = formatCursor(p.last)
	}
	return api.Page[jsontext.Value]{Records: p.records, Next: next}
}
