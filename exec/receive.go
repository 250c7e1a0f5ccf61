package exec

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec/wire"
)

// receive looks at each message in the order of arrival.
func (s *session) receive() {
	for {
		select {
		case msg := <-s.inbox:
			s.handle(msg)
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *session) handle(msg *nats.Msg) {
	verb, isExec := strings.CutPrefix(msg.Subject, s.cfg.Prefix.ExecSubject(s.cfg.Name, ""))
	r := refusedMalformed
	switch {
	case !isExec:
		decoded(msg, &r, s.onRun)
	case verb == wire.VerbStored:
		decoded(msg, &r, s.onStored)
	case verb == wire.VerbDemand:
		decoded(msg, &r, s.onDemand)
	case verb == wire.VerbAsk:
		decoded(msg, &r, func(a *wire.Ask) reason { return s.onAsk(msg, a) })
	case verb == wire.VerbCancel:
		decoded(msg, &r, s.onCancel)
	case verb == wire.VerbScheduled:
		decoded(msg, &r, s.onScheduled)
	case verb == wire.VerbTaken:
		decoded(msg, &r, s.onTaken)
	case verb == wire.VerbCheck:
		decoded(msg, &r, func(c *wire.Check) reason { return s.onCheck(msg, c) })
	}
	if r != accepted {
		s.log.Debug("message refused", "subject", msg.Subject, "reason", r.String())
		s.mu.Lock()
		s.stats.refused[r]++
		s.mu.Unlock()
	}
}

// decoded gives the message to a handler if it can be read.
func decoded[T any](msg *nats.Msg, r *reason, handle func(*T) reason) {
	v := new(T)
	if err := json.Unmarshal(msg.Data, v); err == nil {
		*r = handle(v)
	}
}

func (s *session) onRun(r *wire.Run) reason {
	now := time.Now()
	s.mu.Lock()
	why, missing := s.admit(r, now)
	s.mu.Unlock()
	if missing {
		s.publishReport(r.Partition, s.report(r, Ended{Kind: wire.CodeMissing, Finished: now}, nil))
	}
	return why
}

// admit holds a run if it may. If its code is missing it is not held: the
// owner sends the same attempt again, with the code, and that is then no
// duplicate. The report of it is sent once. If it gets lost, the owner finds
// the attempt in no announcement, as if the run had never arrived; if the run
// without code comes twice and so the report, the owner sends the code twice,
// and the second is a duplicate.
func (s *session) admit(r *wire.Run, now time.Time) (_ reason, missing bool) {
	s.stats.received++
	if s.leaving {
		return refusedLeaving, false
	}
	if why := s.fence.admit(r, s.incarnation); why != accepted {
		return why, false
	}
	key := wire.Attempt{Run: r.Run, Attempt: r.Attempt}
	if s.hold.all[key] != nil {
		return refusedHeld, false
	}
	if len(s.hold.all) >= heldMax {
		return refusedFull, false
	}
	o := s.ownerOf(r.Partition)
	if loop, ok := o.came(now); ok {
		s.pace.looped(loop)
	}
	code, known := s.codeOf(r)
	if !known {
		s.stats.codeMissing++
		return accepted, true
	}
	s.hold.add(&held{key: key, run: r, code: code, owner: o, received: now})
	s.alarmBy(now.Add(s.cfg.HandBackAfter))
	s.ready.Signal()
	return accepted, false
}

func (s *session) codeOf(r *wire.Run) (string, bool) {
	k := codeKey{r.Function, r.Version}
	if r.Code == nil {
		return s.codes.get(k)
	}
	code := *r.Code
	r.Code = nil
	if old, ok := s.codes.get(k); ok && old == code {
		return old, true
	}
	s.codes.put(k, code)
	return code, true
}

func (s *session) onStored(m *wire.Stored) reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.current(m.Stream, m.Incarnation, m.Partition, m.Epoch); r != accepted {
		return r
	}
	for _, key := range m.Attempts {
		// What is queued or runs stays: an owner ends that with Cancel.
		if h := s.hold.all[key]; h != nil && !h.active() {
			s.hold.forget(h)
			s.fence.stored(key)
			s.stats.stored++
		}
	}
	s.move()
	return accepted
}

// current checks a message about an attempt.
func (s *session) current(stream, incarnation string, partition int, epoch uint64) reason {
	switch {
	case stream == "" || stream != s.fence.stream:
		return refusedStream
	case incarnation != s.incarnation:
		return refusedIncarnation
	case !s.fence.raise(partition, epoch):
		return refusedEpoch
	}
	return accepted
}

func (s *session) onDemand(d *wire.Demand) reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.demand(d, time.Now())
}

// onAsk answers with what is held now: all that arrived before the question.
func (s *session) onAsk(msg *nats.Msg, a *wire.Ask) reason {
	s.mu.Lock()
	r := s.ask(a, time.Now())
	if r == accepted {
		closeOnce(s.standing.joined)
	}
	announce := s.announcement()
	s.mu.Unlock()
	if r == accepted && msg.Reply != "" {
		s.respond(msg, announce)
	}
	return r
}

func (s *session) onCancel(c *wire.Cancel) reason {
	s.mu.Lock()
	if r := s.current(c.Stream, c.Incarnation, c.Partition, c.Epoch); r != accepted {
		s.mu.Unlock()
		return r
	}
	h := s.hold.all[wire.Attempt{Run: c.Run, Attempt: c.Attempt}]
	var report []byte
	switch {
	case h == nil || h.state == wire.HeldEnded:
	case h.state == wire.HeldRunning:
		h.stop(errCanceled)
	default:
		report = s.end(h, Ended{Kind: wire.Canceled}, nil, time.Now())
	}
	s.mu.Unlock()
	s.publishReport(c.Partition, report)
	return accepted
}

// respond publishes the answer to a request.
func (s *session) respond(msg *nats.Msg, v any) {
	data, err := json.Marshal(v)
	if err == nil {
		err = s.bus.Publish(msg.Reply, data)
	}
	if err != nil {
		s.log.Warn("an answer was not sent", "subject", msg.Subject, "error", err)
	}
}
