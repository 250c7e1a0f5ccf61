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

// scanSteps is how many items one look at the state walks: some 50 µs, so that
// the decider never waits for a reader.
const scanSteps = 2000

// scan walks items from the newest to older ones.
type scan struct {
	over   func(*projection.State, projection.Cursor, int, int, func(*projection.Item) bool) ([]projection.Item, projection.Cursor, bool)
	match  func(*projection.Item) bool
	cursor projection.Cursor
}

// walk gives each match to take, in order, until that says stop or there are
// no more.
func (sc scan) walk(ctx context.Context, s *Service, r *request, take func(itemView, scheduler.Horizon) (stop bool, refused *api.Error)) *api.Error {
	for end := false; !end; {
		var views []itemView
		from := sc.cursor // a view may be called again
		h, refused := s.read(ctx, r, func(st *projection.State) {
			var found []projection.Item
			found, sc.cursor, end = sc.over(st, from, scanSteps, api.PageMax, sc.match)
			views = make([]itemView, len(found))
			for n := range found {
				v := itemView{id: found[n].ID, found: true, item: found[n]}
				if v.item.Live != nil {
					v.rec = record.Item(&found[n], st)
				}
				views[n] = v
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

func (s *Service) itemList(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.ItemList](r.body)
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
	match, refused := s.itemFilter(ctx, in)
	if refused != nil {
		return nil, refused
	}
	sc := scan{over: (*projection.State).ScanItems, match: match, cursor: p.cursor}
	log, whole := cached(s.cfg.Log), true
	refused = sc.walk(ctx, s, r, func(v itemView, h scheduler.Horizon) (bool, *api.Error) {
		rec, refused := s.showItemFrom(ctx, log, v, h)
		if refused != nil {
			return true, refused
		}
		full, refused := p.add(rec, projection.Cursor{Time: v.item.Created, ID: v.id})
		whole = !full
		return full, refused
	})
	return p.answer(whole), refused
}

// showEnded reads an ended item from the log and shows it.
func (s *Service) showEnded(ctx context.Context, log eventlog.Log, v itemView, h scheduler.Horizon, show func(*projection.Item, record.Names) any) (any, *api.Error) {
	v.item.Seq, v.item.Fired = h.Seq(v.item.Seq), h.Seq(v.item.Fired)
	item, refused := s.itemFromLog(ctx, log, &v.item)
	if refused != nil {
		return nil, refused
	}
	return s.named(ctx, func(names record.Names) any { return show(&item, names) })
}

// itemFilter makes the condition of a list. The range of due times includes its
// beginning and not its end.
func (s *Service) itemFilter(ctx context.Context, in api.ItemList) (func(*projection.Item) bool, *api.Error) {
	status, anyStatus, refused := statusFilter(in.Status)
	if refused != nil {
		return nil, refused
	}
	function, refused := s.functionFilter(ctx, in.Function)
	if refused != nil {
		return nil, refused
	}
	from, to, refused := timeRange("due_after", in.DueAfter, "due_before", in.DueBefore)
	if refused != nil {
		return nil, refused
	}
	return func(i *projection.Item) bool {
		return (anyStatus || i.Status == status) && (function == "" || i.Target == function) &&
			i.RunDateTime >= from && (to == 0 || i.RunDateTime < to)
	}, nil
}

func statusFilter(in api.Status) (status projection.Status, all bool, refused *api.Error) {
	if in == "" {
		return 0, true, nil
	}
	status, known := record.StatusOf(in)
	if !known {
		return 0, false, api.Errorf(api.Invalid, "status", "%q is not a status: use Queued, Processing, Completed, Failed or Canceled", in)
	}
	return status, false, nil
}

// functionFilter is the id of the function that a filter names, "" for none.
// A deleted function is known by its id only.
func (s *Service) functionFilter(ctx context.Context, ref *api.RefInput) (string, *api.Error) {
	if ref == nil {
		return "", nil
	}
	id, gone := "", false
	if _, refused := s.cfg.Scheduler.Read(ctx, func(st *projection.State) {
		if f := st.FunctionByRef(ref.IDOrName, ref.IsID); f != nil {
			id = f.ID
		}
		gone = st.Partition(eventlog.DefinitionPartition).Gone(ref.IDOrName)
	}); refused != nil {
		return "", refused
	}
	switch {
	case id != "":
		return id, nil
	case gone:
		return ref.IDOrName, nil
	}
	return "", api.Errorf(api.NotFound, "function", "there is no function %q: see function.list", ref.IDOrName)
}

func timeRange(fromField, from, toField, to string) (a, b eventlog.Time, refused *api.Error) {
	if from != "" {
		if a, refused = command.ParseTime(fromField, from); refused != nil {
			return 0, 0, refused
		}
	}
	if to != "" {
		b, refused = command.ParseTime(toField, to)
	}
	return a, b, refused
}

// cachedLog remembers the messages that one request has read: the records of a
// page share commits.
type cachedLog struct {
	eventlog.Log
	read map[uint64]eventlog.Message
}

// cachedMax bounds it: 64 commits are 32 MB at most.
const cachedMax = 64

func cached(log eventlog.Log) *cachedLog {
	return &cachedLog{log, map[uint64]eventlog.Message{}}
}

// Get implements eventlog.Log.
func (c *cachedLog) Get(ctx context.Context, seq uint64) (eventlog.Message, error) {
	if m, found := c.read[seq]; found {
		return m, nil
	}
	m, err := c.Log.Get(ctx, seq)
	if err == nil {
		if len(c.read) >= cachedMax {
			clear(c.read)
		}
		c.read[seq] = m
	}
	return m, err
}
