package exec

import (
	"maps"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/exec/wire"
)

// beat keeps time: signs of life, reports sent again, runs handed back.
func (s *session) beat() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.wake:
		case _, ok := <-s.online:
			if !ok {
				<-s.ctx.Done()
				return
			}
			s.reconnected()
		case <-s.ctx.Done():
			return
		}
		timer.Reset(s.tick(time.Now()))
	}
}

// message is something to publish once the lock is free.
type message struct {
	partition int
	report    []byte
}

// tick does what is due, and returns how long nothing else will be.
func (s *session) tick(now time.Time) time.Duration {
	s.mu.Lock()
	s.expire(now)
	next := now.Add(s.cfg.AnnounceEvery)
	out, due := s.handBack(now, nil)
	next = earliest(next, due)
	out, due = s.repeat(now, out)
	next = earliest(next, due)
	s.rewindow(now)
	var announce *wire.Announce
	if !now.Before(s.nextAnnounce) {
		announce = s.announcement()
		s.announced, s.lastAnnounce, s.nextAnnounce = maps.Clone(s.windows), now, now.Add(s.cfg.AnnounceEvery)
	}
	next = earliest(next, s.nextAnnounce)
	s.alarm = next
	s.mu.Unlock()
	for _, m := range out {
		s.publishReport(m.partition, m.report)
	}
	if announce != nil {
		s.announce(announce)
	}
	return time.Until(next)
}

// handBack ends what has waited for a slot for too long.
func (s *session) handBack(now time.Time, out []message) (_ []message, due time.Time) {
	for h := s.hold.head(); h != nil; h = s.hold.head() {
		if due = h.received.Add(s.cfg.HandBackAfter); now.Before(due) {
			return out, due
		}
		out = append(out, message{h.run.Partition, s.end(h, Ended{Kind: wire.HandedBack}, nil, now)})
	}
	return out, time.Time{}
}

// repeat gives the reports that are due again, no more than repeatBytesMax.
func (s *session) repeat(now time.Time, out []message) (_ []message, due time.Time) {
	for bytes := 0; ; {
		front := s.hold.unstored.Front()
		if front == nil || !s.bus.IsConnected() {
			return out, time.Time{}
		}
		h := front.Value.(*held)
		if due = h.sent.Add(s.cfg.ReportEvery); now.Before(due) {
			return out, due
		}
		if bytes += len(h.report); bytes > repeatBytesMax && bytes > len(h.report) {
			return out, now.Add(repeatPause)
		}
		s.hold.resent(h, now)
		s.stats.repeated++
		out = append(out, message{h.run.Partition, h.report})
	}
}

// reconnected makes everything due: owners may have missed any of it.
func (s *session) reconnected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connection++
	s.nextAnnounce = time.Time{}
	for e := s.hold.unstored.Front(); e != nil; e = e.Next() {
		e.Value.(*held).sent = time.Time{}
	}
}

// announcement is the sign of life of this moment.
func (s *session) announcement() *wire.Announce {
	return &wire.Announce{
		Version: wire.Version, Name: s.cfg.Name, Incarnation: s.incarnation, Pool: s.cfg.Pool,
		Slots: s.cfg.Slots, Busy: s.hold.running, Python: s.runtime.Version(),
		Windows: maps.Clone(s.windows), Held: s.hold.list(), Leaving: s.leaving,
		Connection: s.connection,
	}
}

func (s *session) announce(a *wire.Announce) {
	data, err := json.Marshal(a)
	if err != nil {
		s.log.Error("a sign of life was not sent", "error", err)
		return
	}
	if !s.bus.IsConnected() {
		return // what is buffered until then would be of the past
	}
	s.publish(s.cfg.Prefix.AnnounceSubject(s.cfg.Name), data)
}

// announceBy sees to it that there is an announcement by t.
func (s *session) announceBy(t time.Time) {
	if t.Before(s.nextAnnounce) {
		s.nextAnnounce = t
	}
	s.alarmBy(t)
}

// alarmBy wakes beat if it would sleep beyond t.
func (s *session) alarmBy(t time.Time) {
	if !t.Before(s.alarm) {
		return
	}
	s.alarm = t
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// earliest is the earlier of two times; zero is never.
func earliest(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}
