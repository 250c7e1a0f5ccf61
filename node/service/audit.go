package service

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

// auditSteps is how many commits one request reads at most. A page that ends
// for this reason is short and has a next.
const auditSteps = 5000

// audit is a request for events under way.
type audit struct {
	entity, id string
	from, to   eventlog.Time
	limit      int
	seq        uint64 // the commit to go on with
	index      int    // the first event of it to show
	end        uint64 // the last commit
	bytes      int
	answer     api.AuditPage
}

// auditEvents gives single events in the order of the log, each as it is
// stored, with the attribute seq besides.
func (s *Service) auditEvents(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.AuditEvents](r.body)
	if refused == nil {
		refused = s.strongly(ctx, in.Strong)
	}
	if refused != nil {
		return nil, refused
	}
	a, refused := newAudit(in)
	if refused != nil {
		return nil, refused
	}
	last := uint64(0) // the commit with the last event of the one entity asked for
	h, refused := s.read(ctx, r, func(st *projection.State) {
		if i := st.Run(a.id); i != nil {
			a.id = i.ID // the events of an item's run are the item's
		}
		last = lastOf(st, a.id)
	})
	if refused != nil {
		return nil, refused
	}
	a.end = s.cfg.Scheduler.LastSeq()
	if last != 0 {
		return s.auditLife(ctx, a, h.Seq(last))
	}
	if in.After == "" && a.from != 0 {
		if refused := s.skipTo(ctx, a); refused != nil {
			return nil, refused
		}
	}
	for steps := 0; a.seq <= a.end; a.seq, a.index = a.seq+1, 0 {
		if steps++; steps > auditSteps {
			a.stop()
			break
		}
		m, err := s.cfg.Log.Get(ctx, a.seq)
		if errors.Is(err, eventlog.ErrNotFound) {
			if refused := s.cutFront(ctx, a.seq); refused != nil {
				return nil, refused
			}
			continue
		}
		if err != nil {
			return nil, unreadable(err)
		}
		if full, refused := a.take(m); full || refused != nil {
			return a.answer, refused
		}
	}
	return a.answer, nil
}

// cutFront is nil if a message that is folded here is not there since the front of
// the stream was cut. Else its leader does not know it: it answers from its past.
func (s *Service) cutFront(ctx context.Context, seq uint64) *api.Error {
	info, err := s.cfg.Log.Info(ctx)
	if err == nil && seq >= info.FirstSeq {
		err = eventlog.ErrNotFound
	}
	if err != nil {
		return unreadable(err)
	}
	return nil
}

// lastOf is the sequence of the commit with an entity's last event, 0 if it is
// unknown: its events are then found by reading the log.
func lastOf(st *projection.State, id string) uint64 {
	if i := st.Item(id); i != nil && i.Revision > 0 {
		return i.Seq
	}
	if t := st.Trigger(id); t != nil {
		return t.Seq
	}
	if a := st.AutomationByRef(id, true); a != nil {
		return a.Seq
	}
	if f := st.FunctionByRef(id, true); f != nil {
		return f.Seq
	}
	if u := st.UserByRef(id, true); u != nil {
		return u.Seq
	}
	if gone := st.Partition(eventlog.DefinitionPartition).GoneAt(id); gone != 0 {
		return gone
	}
	return st.Partition(eventlog.PartitionOf(eventlog.EntityTrigger, id)).GoneAt(id)
}

// auditLife reads the commits of one entity, which its events chain.
func (s *Service) auditLife(ctx context.Context, a *audit, last uint64) (any, *api.Error) {
	log := cached(s.cfg.Log)
	_, seqs, err := eventlog.Life(ctx, log, a.id, last)
	if err != nil {
		return nil, unreadable(err)
	}
	for _, seq := range slices.Compact(seqs) {
		if seq < a.seq {
			continue
		}
		if seq > a.seq {
			a.seq, a.index = seq, 0
		}
		m, err := log.Get(ctx, seq)
		if err != nil {
			return nil, unreadable(err)
		}
		if full, refused := a.take(m); full || refused != nil {
			return a.answer, refused
		}
	}
	return a.answer, nil
}

func newAudit(in api.AuditEvents) (*audit, *api.Error) {
	a := &audit{
		entity: in.Entity, id: in.ID, limit: api.PageDefault, seq: 1,
		answer: api.AuditPage{Events: []jsontext.Value{}},
	}
	var refused *api.Error
	if a.from, a.to, refused = timeRange("since", in.Since, "until", in.Until); refused != nil {
		return nil, refused
	}
	if in.Limit != nil {
		if a.limit = *in.Limit; a.limit < 1 || a.limit > api.PageMax {
			return nil, api.Errorf(api.Invalid, "limit", "%d is out of range: use 1 to %d", a.limit, api.PageMax)
		}
	}
	if in.Entity != "" && !knownEntity(in.Entity) {
		return nil, api.Errorf(api.Invalid, "entity", "there are no events of %q: use function, user, automation, trigger, item, run, node or partitions", in.Entity)
	}
	if in.After == "" {
		return a, nil
	}
	seq, index, _ := strings.Cut(in.After, ".")
	var err error
	if a.seq, err = strconv.ParseUint(seq, 10, 63); err == nil {
		if index == "" {
			a.seq++ // after the whole commit
		} else if a.index, err = strconv.Atoi(index); err == nil && a.index >= 0 {
			a.index++
		}
	}
	if err != nil || a.index < 0 {
		return nil, api.Errorf(api.Invalid, "after", "this is not a place in the log: pass the next of the page before, or a sequence")
	}
	return a, nil
}

func knownEntity(entity string) bool {
	for _, t := range eventlog.Types() {
		if string(t.Entity()) == entity {
			return true
		}
	}
	return false
}

// skipTo finds the first commit that may hold an event since a.from. Times rise
// along the log but for jumps of the clock, so it begins a little before.
func (s *Service) skipTo(ctx context.Context, a *audit) *api.Error {
	low, high := a.seq, a.end+1
	for low < high {
		middle := low + (high-low)/2
		m, err := s.cfg.Log.Get(ctx, middle)
		if errors.Is(err, eventlog.ErrNotFound) {
			low = middle + 1
			continue
		}
		if err != nil {
			return unreadable(err)
		}
		events, err := eventlog.Decode(m.Body)
		if err != nil {
			return unreadable(err)
		}
		if len(events) == 0 || events[len(events)-1].Time < a.from {
			low = middle + 1
		} else {
			high = middle
		}
	}
	const before = 16
	a.seq = max(1, low-min(low, before))
	return nil
}

// take adds a commit's events that are asked for, and says when the page is full.
func (a *audit) take(m eventlog.Message) (full bool, refused *api.Error) {
	raws, err := eventlog.Split(m.Body)
	if err != nil {
		return true, unreadable(err)
	}
	for n := a.index; n < len(raws); n++ {
		var head struct {
			Entity  string        `json:"entity"`
			Subject string        `json:"subject"`
			Time    eventlog.Time `json:"time"`
		}
		if err := json.Unmarshal(raws[n], &head); err != nil {
			return true, unreadable(err)
		}
		if a.entity != "" && head.Entity != a.entity || a.id != "" && head.Subject != a.id ||
			head.Time < a.from || a.to != 0 && head.Time >= a.to {
			continue
		}
		event := withSeq(raws[n], m.Seq)
		if a.bytes += len(event); len(a.answer.Events) >= a.limit || a.bytes > api.PageBytesMax && len(a.answer.Events) > 0 {
			a.index = n
			a.stop()
			return true, nil
		}
		a.answer.Events = append(a.answer.Events, event)
	}
	return false, nil
}

// stop names the place to go on from: after the event before seq.index.
func (a *audit) stop() {
	if a.index > 0 {
		a.answer.Next = strconv.FormatUint(a.seq, 10) + "." + strconv.Itoa(a.index-1)
	} else {
		a.answer.Next = strconv.FormatUint(a.seq-1, 10)
	}
}

// withSeq adds the attribute seq to an event, an object that is not empty.
func withSeq(event jsontext.Value, seq uint64) jsontext.Value {
	b := append(jsontext.Value(nil), event[:len(event)-1]...)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	return append(b, '}')
}
