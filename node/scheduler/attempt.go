package scheduler

import (
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/node/record"
	"github.com/belfryhq/belfry/projection"
)

// attempt is an open claim.
type attempt struct {
	item, run   string // ids; of a run of a trigger or a call, the same
	n           int
	partition   int
	executor    string
	incarnation string
	claimSeq    uint64 // 0 until the claim is stored
	// function and user are what they were at the claim: a run uses the
	// newest code as of its claim. Nil after a restart, until known again.
	function *projection.Function
	user     *projection.User
	sent     time.Time     // when it was last sent, or known to be held; zero: never
	ended    bool          // an event that closes it is decided
	over     chan struct{} // closed when that event is stored
}

func newAttempt(i *projection.Item) *attempt {
	r := i.Live.Run
	return &attempt{
		item: i.ID, run: i.RunID(), n: r.Attempt,
		partition: eventlog.PartitionOf(eventlog.EntityItem, i.ID),
		executor:  r.Executor, incarnation: r.Incarnation,
		over: make(chan struct{}),
	}
}

// takeUp finds the claims that were left open in a partition of ours.
func (s *Scheduler) takeUp(partition int) {
	if !s.owns(partition) {
		return
	}
	s.state.OpenClaims(partition, func(i *projection.Item) {
		a := newAttempt(i)
		a.claimSeq = i.Live.Run.ClaimSeq
		s.attempts[a.run] = a
	})
}

// claimStored sends an attempt whose claim is in the log, and everything before
// it in the state.
func (s *Scheduler) claimStored(a *attempt) {
	e := s.execs[a.executor]
	if a.ended || s.attempts[a.run] != a || e == nil || e.incarnation != a.incarnation {
		return // interrupted meanwhile, or another node's now
	}
	e.marks[a.partition] = append(e.marks[a.partition], a)
	if s.dropped(e, a) {
		return
	}
	if !a.resolve(s) {
		s.end(a, command.EndedHandedBack, command.Reported{})
		return
	}
	s.send(e, a, false)
}

// resolve finds the function and the user of an attempt whose claim was decided
// by who does not decide for definitions. False if one of them is gone, or may
// have changed since the claim.
func (a *attempt) resolve(s *Scheduler) bool {
	if a.function != nil && a.user != nil {
		return true
	}
	i := s.state.Item(a.item)
	f := s.state.FunctionByRef(i.Target, true)
	u := s.state.UserByRef(i.Live.Runner(), true)
	if f == nil || u == nil || after(f.Seq, a.claimSeq) || after(u.Seq, a.claimSeq) {
		return false
	}
	a.function, a.user = f, u
	return true
}

// send gives an attempt to its executor, with the code if that may be missing
// there.
func (s *Scheduler) send(e *executor, a *attempt, withCode bool) {
	i := s.state.Item(a.item)
	if i == nil || i.Live == nil {
		return
	}
	a.sent = time.Now() // tried: what does not arrive is missing in the next sign of life
	user, err := record.UserJSON(a.user)
	if err != nil {
		s.log.Error("a user's record cannot be written", "user", a.user.ID, "error", err)
		return
	}
	f := a.function
	run := wire.Run{
		Stream: s.cfg.Stream, Incarnation: a.incarnation, Partition: a.partition, Epoch: s.epochOf(a.partition),
		ClaimSeq: a.claimSeq, OldestOpen: e.oldestOpen(a),
		Run: a.run, Attempt: a.n, Source: wire.Source(record.SourceOf(i)),
		ScheduledFor: i.RunDateTime.Std(),
		Function:     f.ID, FunctionName: f.Name, Version: f.Version,
		User: user, UserID: a.user.ID, Data: i.Live.Data,
		TimeoutMS: time.Duration(f.Timeout).Milliseconds(), MemoryLimit: int64(f.MemoryLimit),
		Fresh: f.Isolation == eventlog.IsolationFresh, Sandbox: string(f.Sandbox),
		CPULimitMS:   time.Duration(f.CPULimit).Milliseconds(),
		ProcessLimit: f.ProcessLimit, FileLimit: f.FileLimit, OutputLimit: int64(f.OutputLimit), Env: f.Env,
	}
	if run.Data == nil {
		run.Data = []byte("{}")
	}
	if e.lacksCode(f) || withCode {
		run.Code = &f.Code
	}
	body, err := json.Marshal(run)
	if err == nil {
		err = s.cfg.Bus.Publish(s.cfg.Prefix.RunSubject(e.pool, e.name), body)
	}
	if err != nil {
		s.log.Warn("a run could not be sent", "run", a.run, "attempt", a.n, "executor", e.name, "error", err)
		return
	}
	s.stats.Sent.Add(1)
	if _, wanted := s.cancels[a.run]; wanted {
		s.sendCancel(a)
	}
}

// resend gives an attempt again to an executor that does not hold it. When the
// code may have changed since the claim, the attempt is closed instead, as
// never begun, and the next one takes the newest.
func (s *Scheduler) resend(e *executor, a *attempt) {
	if s.dropped(e, a) {
		return
	}
	if !a.resolve(s) {
		s.end(a, command.EndedHandedBack, command.Reported{})
		return
	}
	s.log.Info("an attempt was not received; sending it again", "run", a.run, "attempt", a.n, "executor", e.name)
	s.send(e, a, true)
}

// dropped forgets an attempt whose run is over, and says so. Only a log that is not
// sound has an event of another owner which ended it: the auditor stops all claims.
func (s *Scheduler) dropped(e *executor, a *attempt) bool {
	if i := s.state.Item(a.item); i != nil && i.Live != nil {
		return false
	}
	s.letGo(a.run, a)
	e.forget(a)
	if e.known {
		e.open--
	}
	return true
}

// after says whether an event's sequence, perhaps pending, follows a stored one.
func after(seq, stored uint64) bool { return seq > stored }

// end closes an open attempt without its executor.
func (s *Scheduler) end(a *attempt, how command.Ending, what command.Reported) {
	by, reason := command.BySystem(s.now()), ""
	if c := s.cancels[a.run]; c != nil && (how == command.EndedCanceled || how == command.EndedLost) {
		by, reason, how = c.by, c.reason, command.EndedCanceled
		by.Now = s.now()
	}
	n, refused := s.decide(command.FinishItem{
		By: by, ID: a.item, Attempt: a.n, Executor: a.executor, Incarnation: a.incarnation,
		Ending: how, Reported: what, CancelReason: reason,
	})
	if refused != nil {
		s.log.Error("the end of an attempt was refused", "run", a.run, "attempt", a.n, "error", refused)
		return
	}
	if n == 0 {
		return
	}
	s.stats.ended(how)
	a.ended = true
	delete(s.attempts, a.run)
	delete(s.cancels, a.run)
	if e := s.execs[a.executor]; e != nil && e.incarnation == a.incarnation && e.known {
		e.open--
	}
	c := s.whenStored()
	c.closed = append(c.closed, a)
}

// attemptStored forgets an attempt whose end is in the log.
func (s *Scheduler) attemptStored(a *attempt) {
	if e := s.execs[a.executor]; e != nil && e.incarnation == a.incarnation {
		e.forget(a)
	}
	close(a.over)
}
