package scheduler

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// View looks at the state right after a command, or a read, in the same moment
// of the log. It must copy what it keeps and return soon.
type View func(*projection.State)

// Outcome is what became of one command.
type Outcome struct {
	Err *api.Error // refused
	// Events follow from the command; none if it was so already.
	Events int
}

// Answer is what became of a request.
type Answer struct {
	Outcomes []Outcome // one for each command
	// Repeated: this request was carried out before; these commits hold what
	// it did. Nothing was decided now.
	Repeated []uint64
	Horizon  Horizon
	stored   []uint64 // the commits that hold what the request did so far
}

// order is a request on its way through the loop.
type order struct {
	commands []command.Command
	repeat   bool // look whether the request was carried out before
	// known are the commits of it that are no news.
	known  []uint64
	view   View
	answer Answer
	done   chan struct{} // closed when the answer is made
}

// Do decides commands of one request in one moment of the log, in order, each
// for itself, and returns when what they caused, or what a refusal rests on, is
// stored. View, if not nil, sees the state after them. With once set, a request
// whose cause is known to the commands' partition is not decided again.
//
// Commands that append nothing (a refusal, a repeat, a no-op) are answered like
// reads: what this node knew may have been the past, so they are decided again
// when everything is folded that was stored before (design, decision 7).
//
// What another node decides is refused as unavailable, with the Owner: a command
// as its outcome, all of them as the error when the partitions were taken from
// this node before anything was stored.
//
// The error is an *api.Error: unavailable when nothing was decided, timeout
// when the outcome is not known.
func (s *Scheduler) Do(ctx context.Context, once bool, view View, commands ...command.Command) (Answer, *api.Error) {
	return s.do(ctx, order{repeat: once, view: view, commands: commands})
}

// DoRest is Do for what is left of a request of many, once known are the commits
// that hold what it did before. It is repeated if by now there are others.
func (s *Scheduler) DoRest(ctx context.Context, known []uint64, view View, commands ...command.Command) (Answer, *api.Error) {
	return s.do(ctx, order{repeat: true, known: known, view: view, commands: commands})
}

func (s *Scheduler) do(ctx context.Context, o order) (Answer, *api.Error) {
	if err := s.confirm(ctx); err != nil {
		return Answer{}, notCurrent(false)
	}
	answer, refused := s.order(ctx, o)
	if refused != nil || s.cfg.Alone {
		return answer, refused
	}
	commands := o.commands
	idle, at := answer.idle(commands)
	if len(idle) == 0 {
		return answer, nil
	}
	partly := len(idle) < len(commands)
	if err := s.catchUp(ctx); err != nil {
		return Answer{}, notCurrent(partly || answer.Repeated != nil)
	}
	o.commands = idle
	if partly && o.repeat { // what it did just now is no news
		o.known = slices.Concat(o.known, answer.stored)
	}
	again, refused := s.order(ctx, o)
	switch {
	case refused != nil && (partly || answer.Repeated != nil):
		return Answer{}, unknown()
	case refused != nil, !partly, again.Repeated != nil:
		return again, refused
	}
	for n, o := range again.Outcomes {
		answer.Outcomes[at[n]] = o
	}
	answer.Horizon = again.Horizon
	return answer, nil
}

// idle lists the commands that appended nothing, though they are ours, and
// their places.
func (a *Answer) idle(commands []command.Command) (idle []command.Command, at []int) {
	if a.Repeated != nil {
		return commands, nil
	}
	for n, o := range a.Outcomes {
		if o.Events == 0 && (o.Err == nil || o.Err.Owner == "") {
			idle, at = append(idle, commands[n]), append(at, n)
		}
	}
	return idle, at
}

// notCurrent refuses what cannot be decided on the newest state. When other
// commands of the request were carried out, or all of them before, its outcome as
// a whole is unknown.
func notCurrent(partly bool) *api.Error {
	if partly {
		return unknown()
	}
	return api.Errorf(api.Unavailable, "", "the log does not answer: try again; nothing was stored")
}

// order has commands decided once.
func (s *Scheduler) order(ctx context.Context, what order) (Answer, *api.Error) {
	o := &what
	o.done = make(chan struct{})
	if refused := s.hand(ctx, o); refused != nil {
		return Answer{}, refused
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		return Answer{}, unknown()
	case <-s.stopped:
		return Answer{}, unknown()
	}
	refused := fateOf(o.answer.Horizon.Wait(ctx, s.stopped))
	if refused != nil && refused.Code == api.Unavailable && len(o.commands) > 0 {
		refused.Owner = s.Owners()[o.commands[0].Partition()] // it may have changed
	}
	for n, seq := range o.answer.stored {
		o.answer.stored[n] = o.answer.Horizon.Seq(seq)
	}
	return o.answer, refused
}

// fateOf is what a caller is told of commits that are not stored, nil if they are.
func fateOf(err error) *api.Error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errDisplaced):
		return api.Errorf(api.Unavailable, "", "the partition has just been given to another node: try again; nothing was stored")
	default:
		return unknown()
	}
}

// hand gives an order to the loop. If it is refused, nothing was decided.
func (s *Scheduler) hand(ctx context.Context, m message) *api.Error {
	stopping := api.Errorf(api.Unavailable, "", "the node is stopping: try again; nothing was stored")
	if !s.cfg.Alone {
		stopping.Owner = s.cfg.Node // until another one is
	}
	select {
	case <-s.stopped:
		return stopping
	default:
	}
	select {
	case s.inbox <- m:
		return nil
	case <-ctx.Done():
		return api.Errorf(api.Unavailable, "", "the node is overloaded or its log does not answer: try again; nothing was stored")
	case <-s.stopped:
		return stopping
	}
}

func unknown() *api.Error {
	return api.Errorf(api.Timeout, "", "the log did not acknowledge in time, the outcome is unknown: repeat the request with the same id")
}

// Read lets view see the state, and returns when all that it saw is stored. What
// was acknowledged before the call, on any node, is in it, unless a leader of the
// stream that is cut off and does not know it yet answers from its past: see
// Mark. View may be called several times; the last counts.
func (s *Scheduler) Read(ctx context.Context, view View) (Horizon, *api.Error) {
	if err := s.catchUp(ctx); err != nil {
		return Horizon{}, silent()
	}
	for {
		s.mu.RLock()
		view(s.state)
		h := Horizon{s.open}
		s.mu.RUnlock()
		err := h.Wait(ctx, s.stopped)
		if err == nil {
			return h, nil
		}
		if !displaced(err) {
			return h, silent()
		}
	}
}

// displaced says that commits will never be stored, so that the state they were
// seen in is gone.
func displaced(err error) bool {
	return errors.Is(err, errDisplaced) || errors.Is(err, errDisplacedPartly)
}

// silent refuses a read of what may not be current: it changed nothing, so there
// is no outcome that could be unknown.
func silent() *api.Error {
	return api.Errorf(api.Unavailable, "", "the log does not answer: try again")
}

func (o *order) handle(s *Scheduler) {
	defer close(o.done)
	if o.repeat {
		seqs := s.carriedOut(o.commands)
		if slices.ContainsFunc(seqs, func(seq uint64) bool { return !slices.Contains(o.known, seq) }) {
			o.answer.Repeated, o.answer.Horizon = seqs, Horizon{s.open}
			return
		}
	}
	o.answer.Outcomes = make([]Outcome, len(o.commands))
	for n, c := range o.commands {
		events, err := s.decide(c)
		o.answer.Outcomes[n] = Outcome{Err: err, Events: events}
	}
	if o.view != nil {
		o.view(s.state)
	}
	if o.repeat && len(o.commands) > 1 {
		o.answer.stored = s.carriedOut(o.commands)
	}
	if c := s.whenStored(); c != nil {
		c.orders++
	}
	o.answer.Horizon = Horizon{s.open}
}

// carriedOut finds the commits that hold what this request did before. Its
// commands may be of several partitions, where callers brought ids.
func (s *Scheduler) carriedOut(commands []command.Command) []uint64 {
	var seqs []uint64
	var looked [eventlog.Partitions]bool
	for _, c := range commands {
		if p := c.Partition(); !looked[p] {
			looked[p] = true
			seqs = append(seqs, s.state.Partition(p).Request(c.RequestID())...)
		}
	}
	slices.Sort(seqs) // pending ones come last, as they do in the log
	return slices.Compact(seqs)
}

// decide lets a command have its events: encoded, gathered, evolved.
func (s *Scheduler) decide(c command.Command) (int, *api.Error) {
	p := c.Partition()
	if !s.owns(p) {
		return 0, s.notOurs(p)
	}
	events, refused := command.Decide(s.state.Partition(p), s.state, c)
	if refused != nil {
		s.stats.Refusals.Add(1)
		return 0, refused
	}
	if refused := s.gather(events); refused != nil {
		return 0, refused
	}
	return len(events), nil
}

// notOurs refuses what another node decides.
func (s *Scheduler) notOurs(partition int) *api.Error {
	owner := s.state.Cluster().Owners[partition].Node
	refused := api.Errorf(api.Unavailable, "", "partition %d belongs to node %q: try again; nothing was stored", partition, owner)
	refused.Owner = owner
	return refused
}

// NotOurs refuses what another node decides as Do would, nil if this one does:
// for who would do work in vain.
func (s *Scheduler) NotOurs(partition int) *api.Error {
	if s.cfg.Alone {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.owns(partition) {
		return nil
	}
	return s.notOurs(partition)
}

// OwnsAny says whether this node decides anything at all.
func (s *Scheduler) OwnsAny() bool {
	if s.cfg.Alone {
		return true
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, o := range s.owners() {
		if o.Node == s.cfg.Node {
			return true
		}
	}
	return false
}

// gather takes the events of one command into the open commit, all or none,
// and evolves by them.
func (s *Scheduler) gather(events []eventlog.Event) *api.Error {
	if len(events) == 0 {
		return nil
	}
	size, encoded := 0, make([]eventlog.Encoded, len(events))
	c := s.gathering()
	for n := range events {
		e := &events[n]
		e.Source = "/belfry/" + s.cfg.Node
		e.ID = eventID(c.id, len(c.events)+n)
		var err error
		if encoded[n], err = eventlog.Encode(e); err != nil {
			return api.Errorf(api.Internal, "", "%v", err)
		}
		size += encoded[n].Size()
	}
	if size > eventlog.EventBytesMax {
		return api.Errorf(api.TooLarge, "", "the record has %d bytes as an event, more than %d: make it smaller", size, eventlog.EventBytesMax)
	}
	if c.size+size > eventlog.CommitBytesMax && len(c.events) > 0 {
		s.filling = nil
		return s.gather(events) // under the next commit's id
	}
	if len(c.events) == 0 {
		s.open = append(s.open[:len(s.open):len(s.open)], c)
	}
	for n := range events {
		e := &events[n]
		c.add(e, encoded[n], s.before(e))
		at := projection.At{Seq: projection.Pending(c.n), Lane: s.cfg.Node}
		s.object(s.state.Audit(e, at))
		s.state.Evolve(e, at)
	}
	s.stats.Events.Add(uint64(len(events)))
	s.rerouteBy(events)
	return nil
}

// rerouteBy follows changes of functions' pools, and functions that are gone: what
// waits for one, at another owner than that of functions, is to end.
func (s *Scheduler) rerouteBy(events []eventlog.Event) {
	for n := range events {
		switch d := events[n].Data.(type) {
		case *eventlog.FunctionUpdated:
			if d.Pool != nil {
				s.reroute(events[n].Subject)
			}
		case *eventlog.FunctionDeleted:
			s.reroute(events[n].Subject)
		}
	}
}

// before is the link to the commit with the entity's event before e.
func (s *Scheduler) before(e *eventlog.Event) link {
	seq := s.state.SeqOf(e)
	n, pending := projection.IsPending(seq)
	if !pending {
		return link{seq: seq}
	}
	for _, c := range s.open {
		if c.n == n {
			return link{after: c}
		}
	}
	return link{}
}

// gathering is the commit that takes new events. It is among the open ones
// once it has any.
func (s *Scheduler) gathering() *commit {
	if s.filling == nil {
		s.commits++
		s.filling = newCommit(s.commits, s.ids.ULID(time.Now()))
	}
	return s.filling
}

// whenStored is the commit to attach an effect to: the last open one, or nil
// when all is stored.
func (s *Scheduler) whenStored() *commit {
	if len(s.open) == 0 {
		return nil
	}
	return s.open[len(s.open)-1]
}
