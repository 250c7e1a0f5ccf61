package exec

import (
	"time"

	"github.com/belfryhq/belfry/exec/wire"
)

// rival is what is known of another incarnation of our name.
type rival struct {
	first, last time.Time // when an owner told of it
}

// standing is how owners take this incarnation.
type standing struct {
	joined  chan struct{} // closed once an owner has asked what is held
	refused chan struct{} // closed once it is certain that the name is another's
	rival   rival
}

func newStanding() standing {
	return standing{joined: make(chan struct{}), refused: make(chan struct{})}
}

// closeOnce closes a channel that is closed under the lock only.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// Joined is closed once an owner has taken this incarnation in, so that it can
// be given runs. It is nil while the executor does not run.
func (e *Executor) Joined() <-chan struct{} {
	if s := e.running(); s != nil {
		return s.standing.joined
	}
	return nil
}

// Refused is closed once it is certain that another live executor bears this
// name: this one gets no runs, and should be stopped. It is nil while the
// executor does not run.
func (e *Executor) Refused() <-chan struct{} {
	if s := e.running(); s != nil {
		return s.standing.refused
	}
	return nil
}

func (e *Executor) running() *session {
	e.statsMu.Lock()
	defer e.statsMu.Unlock()
	return e.session
}

// onTaken hears that another incarnation of the name is alive. The one before
// this one may just have been killed, and is then believed alive for a moment;
// one that is still told of after that is there.
func (s *session) onTaken(t *wire.Taken) reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.Incarnation != s.incarnation {
		return refusedIncarnation
	}
	now, r := time.Now(), &s.standing.rival
	patience := time.Duration(t.SilentMS)*time.Millisecond + s.cfg.AnnounceEvery
	if r.first.IsZero() || now.Sub(r.last) > patience {
		*r = rival{first: now}
		s.log.Warn("an executor of this name was heard a moment ago: if that is another one, rename one of them", "owner", t.Owner)
	}
	if r.last = now; now.Sub(r.first) >= patience {
		closeOnce(s.standing.refused)
	}
	return accepted
}
