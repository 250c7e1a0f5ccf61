package service

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
)

const (
	// hopPatience is how long one hop waits for its answer before the owner is
	// looked up anew: it may be gone. What is asked again is not done again.
	hopPatience = time.Second
	// checkPatience is the same for what has code checked, which may have to start
	// a Python first.
	checkPatience = 3 * time.Second
	// transferPatience is the same for a transfer of the lead, which is answered
	// when another node leads: what node waits for that, 3 s, and a second. Asked
	// again, the next leader would hand on, too.
	transferPatience = 4 * time.Second
	// hopPauseMin and hopPauseMax are around the pause between two tries, while
	// partitions change hands.
	hopPauseMin = 10 * time.Millisecond
	hopPauseMax = 250 * time.Millisecond
)

// route carries a request out where it is decided: here, or by a hop to the
// owner, whose answer is passed on as it is. While ownership changes, or an owner
// does not answer, it looks again until the time is over; so it does when the record
// of what was carried out cannot be read. The refusal has no Owner: there is nothing
// left to try.
func (s *Service) route(ctx context.Context, r *request, do verb) (any, *api.Error) {
	var t tries
	for {
		answer, refused := do(s, ctx, r)
		if refused == nil || s.cfg.Name == "" || refused.Owner == "" && !r.unshown(refused) {
			return answer, t.final(r.final(refused))
		}
		if owner := refused.Owner; owner == "" {
			t.told = r.final(refused) // until somebody leads the log again
		} else if owner != s.cfg.Name {
			r.overHop()
			raw, told, err := s.hop(ctx, r, owner)
			switch {
			case err == nil && told == nil:
				return raw, nil
			case err == nil && !t.undecided(owner, told):
				return nil, told
			}
			t.failed(owner, told, err)
		} else if s.ended() {
			return nil, t.final(r.final(refused))
		}
		if !t.pause(ctx) {
			return nil, t.gaveUp()
		}
	}
}

// ended says that this node decides nothing any more.
func (s *Service) ended() bool {
	select {
	case <-s.cfg.Scheduler.Done():
		return true
	default:
		return false
	}
}

// tries are the hops of one request so far.
type tries struct {
	silent map[string]bool // nodes that may yet carry it out
	told   *api.Error      // the last that was told of an outcome that is unknown
	wait   time.Duration
}

// failed notes a hop that settled nothing.
func (t *tries) failed(owner string, told *api.Error, err error) {
	switch {
	case err == nil && told.Code == api.Timeout:
		t.told = told
	case err == nil, errors.Is(err, errUnheard):
		return
	}
	if t.silent == nil {
		t.silent = map[string]bool{}
	}
	t.silent[owner] = true
}

// undecided says that a refusal does not settle the matter: yet another node
// decides, or the outcome is unknown, or an earlier try is still with the same
// node, which may come to it after this one. What another node than that refuses
// stands, since one that lost its partitions can store nothing; but if it cannot
// decide, it does not know what was stored before either.
func (t *tries) undecided(owner string, told *api.Error) bool {
	return told.Owner != "" || told.Code == api.Timeout || t.silent[owner] || told.Code == api.Unavailable && len(t.silent) > 0
}

// final makes this node's own refusal fit to be told after hops.
func (t *tries) final(refused *api.Error) *api.Error {
	if refused != nil && refused.Code == api.Unavailable && len(t.silent) > 0 {
		return t.gaveUp()
	}
	return refused
}

// pause waits a little, longer each time; false when the time is over.
func (t *tries) pause(ctx context.Context) bool {
	t.wait = min(max(2*t.wait, hopPauseMin), hopPauseMax)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(t.wait):
		return true
	}
}

// gaveUp is what becomes of a request that nobody answered.
func (t *tries) gaveUp() *api.Error {
	if t.told != nil {
		return t.told
	}
	if len(t.silent) > 0 {
		return api.Errorf(api.Timeout, "", "the node that decides this did not answer in time, the outcome is unknown: repeat the request with the same id")
	}
	return api.Errorf(api.Unavailable, "", "what decides this is moving to another node: try again; nothing was stored")
}

// overHop gives a request that brought no id one under which a hop that is
// repeated is recognised.
func (r *request) overHop() {
	if r.id == "" {
		r.id = eventlog.HopCause + strings.TrimPrefix(r.cause, eventlog.GeneratedCause)
		r.cause = r.id
	}
}

// draw stamps what a request creates and draws an id for it. A node that owns nothing
// leaves it to the owner of a partition that follows from the request, whose own id
// it may have to draw first: the stamp says it.
func (s *Service) draw(prefix string, r *request) (command.By, string) {
	if r.id == "" && !s.cfg.Scheduler.OwnsAny() {
		r.overHop()
	}
	return r.by(), s.cfg.Scheduler.DrawID(prefix, r.id)
}

// unshown says that a request was carried out whose record could not be read, and
// that it may be asked again: it brought an id.
func (r *request) unshown(refused *api.Error) bool {
	return (refused.Code == api.Unavailable || refused.Code == api.Timeout) && *r.stored && r.once()
}

// final makes a refusal fit to be told: what was stored by then, before its
// record could be read, is not unavailable.
func (r *request) final(refused *api.Error) *api.Error {
	if refused == nil || refused.Code != api.Unavailable || !*r.stored {
		return refused
	}
	return api.Errorf(api.Timeout, "", "it was carried out, and cannot be shown yet: repeat the request with the same id")
}
