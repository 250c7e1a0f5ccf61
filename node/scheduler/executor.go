package scheduler

import (
	"cmp"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// executor is one that we hear.
type executor struct {
	name, pool, incarnation, python string
	slots, busy                     int
	connection                      int // of whatever it was sent
	window                          int // attempts that we may have open there
	open                            int // attempts that we have
	seen                            time.Time
	known                           bool // it answered our Ask: epochs are raised, what it holds is settled
	joined                          bool // that was said; it is asked anew whenever partitions move
	leaving                         bool // it said so: another incarnation may follow at once
	asking                          bool
	question                        int // the number of the last one; answers to others came late
	unanswered                      int // questions in a row
	code                            map[codeKey]struct{}
	marks                           map[int][]*attempt // partition → attempts in the order of their claims
}

type codeKey struct {
	function string
	version  int
}

// codeKeysMax bounds what is remembered of what was sent where; beyond it the
// memory begins anew, and code travels once more than it had to.
const codeKeysMax = 10_000

func (e *executor) room() int {
	if !e.known {
		return 0
	}
	return e.window - e.open
}

// lacksCode says whether this version was never sent there, and notes that it is.
func (e *executor) lacksCode(f *projection.Function) bool {
	key := codeKey{f.ID, f.Version}
	if _, sent := e.code[key]; sent {
		return false
	}
	if len(e.code) >= codeKeysMax {
		clear(e.code)
	}
	e.code[key] = struct{}{}
	return true
}

// oldestOpen is the mark that a run of a's partition carries.
func (e *executor) oldestOpen(a *attempt) uint64 {
	if list := e.marks[a.partition]; len(list) > 0 {
		return min(list[0].claimSeq, a.claimSeq)
	}
	return a.claimSeq
}

// forget takes a closed attempt out of the marks.
func (e *executor) forget(a *attempt) {
	list := slices.DeleteFunc(e.marks[a.partition], func(b *attempt) bool { return b == a })
	if len(list) == 0 {
		delete(e.marks, a.partition)
		return
	}
	e.marks[a.partition] = list
}

// listen begins to hear executors, and the other nodes' hashes.
func (s *Scheduler) listen() error {
	heard := map[string]func(string, []byte){
		s.cfg.Prefix.AnnounceAll(): s.hearAnnounce,
		s.cfg.Prefix.ReportAll():   s.hearReport,
		s.cfg.Prefix.ScheduleAll(): s.hearSchedule,
	}
	if !s.cfg.Alone {
		heard[s.hashSubject("*")] = s.hearHash
	}
	for subject, handle := range heard {
		stop, err := s.cfg.Bus.Subscribe(subject, handle)
		if err != nil {
			return err
		}
		s.unsub = append(s.unsub, stop)
	}
	s.listening = time.Now()
	return nil
}

// post puts a message into the inbox, and waits for room.
func (s *Scheduler) post(m message) {
	select {
	case s.inbox <- m:
	case <-s.stopped:
	}
}

type announced struct{ wire.Announce }

func (s *Scheduler) hearAnnounce(subject string, body []byte) {
	var a wire.Announce
	if err := json.Unmarshal(body, &a); err != nil || a.Name != wire.Sender(subject) {
		s.log.Warn("an announcement that is not one was ignored", "subject", subject)
		return
	}
	s.post(announced{a})
}

func (m announced) handle(s *Scheduler) {
	a := m.Announce
	e := s.execs[a.Name]
	switch {
	case a.Version != wire.Version:
		s.log.Warn("an executor speaks another version of the wire: give it the node's version of belfry", "executor", a.Name, "its", a.Version, "ours", wire.Version)
		return
	case e != nil && e.incarnation != a.Incarnation && !e.leaving && time.Since(e.seen) < s.rivalSilence():
		s.log.Error("two executors bear one name: rename one", "executor", a.Name)
		s.refuse(a)
		return
	case e == nil || e.incarnation != a.Incarnation:
		e = &executor{
			name: a.Name, incarnation: a.Incarnation,
			code: map[codeKey]struct{}{}, marks: map[int][]*attempt{},
		}
		s.execs[a.Name] = e
	}
	e.pool, e.python, e.slots, e.busy, e.seen = a.Pool, a.Python, a.Slots, a.Busy, time.Now()
	e.window = min(a.Windows[s.cfg.Node], wire.WindowMax)
	if e.leaving = a.Leaving; e.leaving {
		e.window = 0
	}
	if e.connection != a.Connection { // what was on its way to it may be lost, a question, too
		e.known, e.asking, e.connection = false, false, a.Connection
	}
	if !e.known {
		s.ask(e)
		return
	}
	s.missing(e, a.Held)
}

// rivalSilence is how long an incarnation is silent before another one may bear
// its name: two signs of life.
func (s *Scheduler) rivalSilence() time.Duration { return 2 * s.cfg.AnnounceEvery }

// refuse tells an incarnation that another one of its name is alive.
func (s *Scheduler) refuse(a wire.Announce) {
	body, err := json.Marshal(wire.Taken{Owner: s.cfg.Node, Incarnation: a.Incarnation, SilentMS: s.rivalSilence().Milliseconds()})
	if err == nil {
		err = s.cfg.Bus.Publish(s.cfg.Prefix.ExecSubject(a.Name, wire.VerbTaken), body)
	}
	if err != nil {
		s.log.Warn("an executor could not be told that its name is taken", "executor", a.Name, "error", err)
	}
}

// ask lets an executor raise its epochs and say what it holds. Until it has,
// it gets nothing.
func (s *Scheduler) ask(e *executor) {
	if e.asking {
		return
	}
	e.asking = true
	e.question++
	question := wire.Ask{Owner: s.cfg.Node, Stream: s.cfg.Stream, Incarnation: e.incarnation, Epochs: s.ownEpochs()}
	name, incarnation, number, epochs, begun := e.name, e.incarnation, e.question, s.epochs, time.Now()
	s.loops.Go(func() {
		ctx, cancel := s.within(s.cfg.AnnounceEvery)
		defer cancel()
		reply := asked{name: name, incarnation: incarnation, question: number, epochs: epochs, begun: begun}
		body, err := json.Marshal(question)
		if err == nil {
			body, err = s.cfg.Bus.Request(ctx, s.cfg.Prefix.ExecSubject(name, wire.VerbAsk), body)
		}
		if err == nil {
			err = json.Unmarshal(body, &reply.answer)
		}
		reply.err = err
		s.post(reply)
	})
}

type asked struct {
	name, incarnation string
	question          int // its number
	epochs            int // what we owned when we asked
	begun             time.Time
	answer            wire.Announce
	err               error
}

func (m asked) handle(s *Scheduler) {
	e := s.execs[m.name]
	if e == nil || e.incarnation != m.incarnation || e.question != m.question {
		return
	}
	e.asking = false
	if m.epochs != s.epochs || m.err == nil && m.answer.Connection < e.connection {
		s.ask(e) // partitions have moved meanwhile, or it was lost and came back
		return
	}
	if m.err != nil || m.answer.Incarnation != e.incarnation {
		if e.unanswered++; e.unanswered == 1 && e.seen.After(m.begun) {
			s.ask(e) // it lives: the question or the answer may have been lost
			return
		}
		s.log.Warn("an executor did not say what it holds; asking again at its next sign of life", "executor", m.name, "error", m.err)
		return
	}
	e.unanswered = 0
	e.known, e.connection, e.window = true, m.answer.Connection, min(m.answer.Windows[s.cfg.Node], wire.WindowMax)
	if !e.joined {
		e.joined = true
		s.log.Info("executor joined", "executor", e.name, "pool", e.pool, "slots", e.slots, "python", e.python)
	}
	s.settle(e, m.answer.Held)
	s.executorJoined()
}

// settle closes or takes up the open attempts of an executor's name: those of
// another incarnation are lost; those held are left; the others were never
// received, and are sent again.
func (s *Scheduler) settle(e *executor, held []wire.Held) {
	holds := holdings(held)
	e.open, e.marks = 0, map[int][]*attempt{}
	for _, a := range s.attemptsOf(e.name) {
		if a.incarnation != e.incarnation {
			s.end(a, command.EndedLost, command.Reported{})
			continue
		}
		e.open++
		if a.claimSeq == 0 || a.claimSeq > s.folded {
			continue // being claimed just now
		}
		e.marks[a.partition] = append(e.marks[a.partition], a)
		if holds[wire.Attempt{Run: a.run, Attempt: a.n}] {
			a.sent = time.Now()
		} else {
			s.resend(e, a)
		}
	}
}

// missing sends again what an executor should hold and does not name.
func (s *Scheduler) missing(e *executor, held []wire.Held) {
	holds := holdings(held)
	for _, a := range s.attemptsOf(e.name) {
		if a.incarnation == e.incarnation && !a.sent.IsZero() && time.Since(a.sent) > resendAfter*s.cfg.AnnounceEvery &&
			!holds[wire.Attempt{Run: a.run, Attempt: a.n}] {
			s.resend(e, a)
		}
	}
}

func holdings(held []wire.Held) map[wire.Attempt]bool {
	holds := make(map[wire.Attempt]bool, len(held))
	for _, h := range held {
		holds[wire.Attempt{Run: h.Run, Attempt: h.Attempt}] = true
	}
	return holds
}

// attemptsOf lists the open attempts on an executor's name, oldest claim first.
func (s *Scheduler) attemptsOf(name string) []*attempt {
	var list []*attempt
	for _, a := range s.attempts {
		if a.executor == name {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b *attempt) int { return cmp.Compare(a.claimSeq, b.claimSeq) })
	return list
}

// housekeep is what the passing of time brings about.
type housekeep struct{}

func (housekeep) handle(s *Scheduler) {
	at := time.Now()
	stood := at.Sub(s.kept) > 3*s.cfg.Housekeeping && !s.kept.IsZero()
	if stood {
		s.log.Warn("the node stood still; listening anew", "for", at.Sub(s.kept).Round(time.Millisecond))
	}
	if stood || s.deaf() {
		// We did not listen: that nobody was heard proves nothing.
		s.listened = at
		for _, e := range s.execs {
			e.seen = at
		}
	}
	s.kept = at
	for name, e := range s.execs {
		if at.Sub(e.seen) > s.cfg.lostAfter() {
			s.log.Warn("executor lost", "executor", name, "open", e.open)
			delete(s.execs, name)
		}
	}
	if at.Sub(s.listened) > s.cfg.lostAfter() {
		for _, a := range s.attempts {
			if s.execs[a.executor] == nil {
				s.end(a, command.EndedLost, command.Reported{})
			}
		}
	}
	s.demand()
	s.compare()
}
