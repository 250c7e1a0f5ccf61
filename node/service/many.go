package service

import (
	"context"
	"errors"
	"math/big"
	"slices"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/projection"
)

// itemCreateMany creates each item of a list for itself. Those that other nodes
// decide are asked for there, by their places in the whole request.
func (s *Service) itemCreateMany(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.ItemsInput](r.body)
	if refused != nil {
		return nil, refused
	}
	if len(in.Items) == 0 {
		return nil, api.Errorf(api.Invalid, "items", "items is missing: give a list of 1 to %d items", api.ManyMax)
	}
	if len(in.Items) > api.ManyMax {
		return nil, api.Errorf(api.TooLarge, "items", "%d items are more than %d: send them in parts", len(in.Items), api.ManyMax)
	}
	m := many{s: s, r: r, items: in.Items, results: make([]any, len(in.Items))}
	for {
		if refused := m.here(ctx); refused != nil && (r.hop || refused.Owner == "" || s.cfg.Name == "") {
			return nil, m.tries.final(refused)
		}
		if r.hop || m.settled() {
			return m.answer(), nil
		}
		if refused := m.there(ctx); refused != nil {
			return nil, refused
		}
		if m.settled() {
			return m.answer(), nil
		}
		if !m.tries.pause(ctx) {
			return m.giveUp()
		}
	}
}

// many is a create_many under way.
type many struct {
	s         *Service
	r         *request
	items     []jsontext.Value
	results   []any            // by place: a record, or an error; nil until it is settled
	elsewhere map[string][]int // the places that other nodes decide
	tries     tries
}

// manyAnswer is an api.ItemResults of what was answered here and elsewhere.
type manyAnswer struct {
	Results []any `json:"results"`
}

func (m *many) answer() any { return manyAnswer{m.results} }

func (m *many) settled() bool { return !slices.Contains(m.results, nil) }

func (m *many) refuse(place int, refused *api.Error) {
	m.results[place] = api.ErrorBody{Error: refused}
}

// giveUp answers when the time is over, and some were decided by nobody.
func (m *many) giveUp() (any, *api.Error) {
	refused := m.tries.gaveUp()
	if !slices.ContainsFunc(m.results, func(result any) bool { return result != nil }) {
		return nil, refused
	}
	for place, result := range m.results {
		if result == nil {
			m.refuse(place, refused)
		}
	}
	return m.answer(), nil
}

// commands are those that are not settled, with their places.
func (m *many) commands() (commands []command.Command, places []int) {
	for place, raw := range m.items {
		if m.results[place] != nil || m.r.items != nil && m.r.items.Bit(place) == 0 {
			continue
		}
		var in api.ItemInput
		refused := jsonError(json.Unmarshal(raw, &in, json.RejectUnknownMembers(true)))
		if refused != nil {
			m.refuse(place, refused)
			continue
		}
		by, id := m.s.draw(eventlog.PrefixItem, m.r)
		by.CauseIndex = place
		c, refused := command.NewCreateItem(by, in, id)
		if refused != nil {
			m.refuse(place, refused)
			continue
		}
		commands, places = append(commands, c), append(places, place)
	}
	return commands, places
}

// here decides what this node does.
func (m *many) here(ctx context.Context) *api.Error {
	m.elsewhere = map[string][]int{}
	commands, places := m.commands()
	var known []uint64 // the commits that hold what the request did before
	for len(commands) > 0 {
		views := make([]itemView, len(commands))
		see := func(st *projection.State) {
			for n, c := range commands {
				views[n].id = c.Target()
				views[n].see(st)
			}
		}
		answer, refused := m.decide(ctx, known, see, commands)
		if refused != nil {
			if refused.Owner != "" {
				m.elsewhere[refused.Owner] = places
				return refused
			}
			return m.r.final(refused)
		}
		m.r.note(answer)
		if len(answer.Repeated) == 0 {
			for n, outcome := range answer.Outcomes {
				m.settle(ctx, places[n], commands[n], outcome, views[n], answer.Horizon)
			}
			return nil
		}
		if refused := m.again(ctx, answer); refused != nil {
			return m.r.final(refused)
		}
		known = known[:0]
		for _, seq := range answer.Repeated {
			known = append(known, answer.Horizon.Seq(seq))
		}
		// The rest was refused, or never reached the log.
		commands, places = m.commands()
	}
	return nil
}

func (m *many) decide(ctx context.Context, known []uint64, see scheduler.View, commands []command.Command) (scheduler.Answer, *api.Error) {
	if known != nil {
		return m.s.cfg.Scheduler.DoRest(ctx, known, see, commands...)
	}
	return m.s.cfg.Scheduler.Do(ctx, m.r.once(), see, commands...)
}

// settle notes what became of one item.
func (m *many) settle(ctx context.Context, place int, c command.Command, outcome scheduler.Outcome, v itemView, h scheduler.Horizon) {
	var rec any
	refused := outcome.Err
	switch {
	case refused == nil:
		rec, refused = m.s.showItem(ctx, v, h)
	case refused.Owner != "" && m.s.cfg.Name != "":
		m.elsewhere[refused.Owner] = append(m.elsewhere[refused.Owner], place)
		return
	case refused.Entity != "":
		rec, refused = m.s.sameItem(ctx, c.(command.CreateItem), v, h, refused)
	}
	if refused != nil {
		m.refuse(place, m.r.final(refused))
		return
	}
	m.results[place] = rec
}

// again notes what a repeated request created, by the places that the events
// name.
func (m *many) again(ctx context.Context, answer scheduler.Answer) *api.Error {
	past, refused := m.s.recall(ctx, m.r, answer)
	if refused != nil {
		return refused
	}
	for _, d := range past {
		place := d.event.CauseIndex
		if place < 0 || place >= len(m.results) {
			return api.Errorf(api.Conflict, api.HeaderRequestID, "this request id was used for another request: use a new one")
		}
		rec, refused := m.s.itemRecall(ctx, d)
		if refused != nil {
			return refused
		}
		m.results[place] = rec
	}
	return nil
}

// part is what one other node is asked for.
type part struct {
	owner  string
	places []int
	raw    jsontext.Value
	told   *api.Error
	err    error
}

// there asks the owners of what is decided elsewhere, all at once.
func (m *many) there(ctx context.Context) *api.Error {
	m.r.overHop()
	var parts []*part
	var asking sync.WaitGroup
	for owner, places := range m.elsewhere {
		if owner == m.s.cfg.Name {
			continue // it has changed hands meanwhile
		}
		p := &part{owner: owner, places: places}
		parts = append(parts, p)
		asked := *m.r
		asked.items = new(big.Int)
		for _, place := range places {
			asked.items.SetBit(asked.items, place, 1)
		}
		asking.Go(func() { p.raw, p.told, p.err = m.s.hop(ctx, &asked, owner) })
	}
	asking.Wait()
	for _, p := range parts {
		if refused := m.join(p); refused != nil {
			return refused
		}
	}
	return nil
}

// join takes another node's answers. Its refusal of everything is that of the
// whole request.
func (m *many) join(p *part) *api.Error {
	var answer struct {
		Results []jsontext.Value `json:"results"`
	}
	if p.err == nil && p.told == nil {
		p.err = json.Unmarshal(p.raw, &answer)
		if p.err == nil && len(answer.Results) != len(m.results) {
			p.err = errors.New("the answer is one to something else")
		}
	}
	switch {
	case p.err != nil || p.told != nil && m.tries.undecided(p.owner, p.told):
		m.tries.failed(p.owner, p.told, p.err)
		return nil
	case p.told != nil && len(p.places) == len(m.items):
		return p.told
	}
	for _, place := range p.places {
		switch {
		case p.told != nil:
			m.refuse(place, p.told)
		case answer.Results[place].Kind() == jsontext.KindNull: // not there either
		case m.tries.silent[p.owner] && isRefusal(answer.Results[place]):
		default:
			m.results[place] = answer.Results[place]
			*m.r.stored = true // as far as we need to know
		}
	}
	return nil
}

// isRefusal says whether a result is an error, and no record.
func isRefusal(result jsontext.Value) bool {
	var r api.ItemResult
	return json.Unmarshal(result, &r) != nil || r.Error != nil
}
