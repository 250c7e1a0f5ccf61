package service

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

const (
	// verificationPrefix begins the ids of verifications.
	verificationPrefix = "ver_"
	// verifiedFor and verifiedMax are for how long, and how many, verifications
	// that ended are remembered: so that who waits can ask again.
	verifiedFor = 10 * time.Minute
	verifiedMax = 8
)

// verifications are those of this node: at most one runs, at most one waits.
type verifications struct {
	slot chan struct{} // held by the one that runs
	mu   sync.Mutex
	all  []*verification // the newest last
}

// verification is the judging of the whole log as it was asked for. All but id
// and done is guarded by the mutex of verifications.
type verification struct {
	id     string
	done   chan struct{} // closed when it has ended
	target uint64        // the last sequence; rises until it has begun
	begun  time.Time
	ended  time.Time
	answer api.AuditVerdict
	failed *api.Error // why there is no verdict
}

// auditVerify judges the whole log, up to the last commit that was stored when
// the request came, beside everything else.
func (s *Service) auditVerify(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.AuditVerify](r.body)
	if refused == nil {
		refused = s.strongly(ctx, in.Strong)
	}
	if refused != nil {
		return nil, refused
	}
	patience, refused := parseWait(in.Wait)
	if refused != nil {
		return nil, refused
	}
	if _, refused := s.read(ctx, r, func(*projection.State) {}); refused != nil {
		return nil, refused
	}
	if patience > 0 {
		if refused := s.beginWait(); refused != nil {
			return nil, refused
		}
		defer s.endWait()
	}
	v, refused := s.verification(in.ID)
	if refused != nil {
		return nil, refused
	}
	if patience > 0 {
		timeout := time.NewTimer(patience)
		defer timeout.Stop()
		select {
		case <-v.done:
		case <-timeout.C:
		case <-s.quit:
		}
	}
	return s.verifications.answer(v)
}

// verification finds one by its id, or gives one that covers the log as it is
// now: that which runs, that which waits, or a new one.
func (s *Service) verification(id string) (*verification, *api.Error) {
	all := &s.verifications
	all.mu.Lock()
	defer all.mu.Unlock()
	all.forget()
	if id != "" {
		n := slices.IndexFunc(all.all, func(v *verification) bool { return v.id == id })
		if n < 0 {
			return nil, api.Errorf(api.NotFound, "id", "there is no verification %.40q: it ended a while ago, or its node was started again; leave the id out to begin one", id)
		}
		return all.all[n], nil
	}
	last := s.cfg.Scheduler.LastSeq()
	if n := len(all.all); n > 0 && all.all[n-1].ended.IsZero() {
		v := all.all[n-1]
		if v.begun.IsZero() {
			v.target = max(v.target, last)
		}
		if v.target == last {
			return v, nil
		}
	}
	v := &verification{id: verificationPrefix + ulid.Make().String(), done: make(chan struct{}), target: last}
	all.all = append(all.all, v)
	s.busy.Go(func() { s.verify(v) })
	return v, nil
}

// forget drops what ended long ago, and what is too much. The lock is held.
func (all *verifications) forget() {
	ended := 0
	for _, v := range all.all {
		if !v.ended.IsZero() {
			ended++
		}
	}
	all.all = slices.DeleteFunc(all.all, func(v *verification) bool {
		if v.ended.IsZero() || ended <= verifiedMax && time.Since(v.ended) < verifiedFor {
			return false
		}
		ended--
		return true
	})
}

func (all *verifications) answer(v *verification) (any, *api.Error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if v.failed != nil {
		return nil, v.failed
	}
	answer := v.answer
	if answer.ID = v.id; !v.ended.IsZero() {
		return answer, nil
	}
	answer.Status, answer.LastSeq, answer.Violations = api.VerifyRunning, v.target, []api.Violation{}
	if !v.begun.IsZero() {
		answer.TookMS = time.Since(v.begun).Milliseconds()
	}
	return answer, nil
}

// verify carries out a verification when its turn comes.
func (s *Service) verify(v *verification) {
	all := &s.verifications
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.quit:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer close(v.done)
	select {
	case all.slot <- struct{}{}:
		defer func() { <-all.slot }()
	case <-ctx.Done():
	}
	all.mu.Lock()
	v.begun = time.Now()
	p := newPass(s.cfg.Log, s.cfg.Scheduler, v.target)
	all.mu.Unlock()
	p.tell = func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		v.answer = p.progress()
	}
	err := p.run(ctx)
	all.mu.Lock()
	defer all.mu.Unlock()
	v.ended = time.Now()
	if err != nil {
		v.failed = api.Errorf(api.Unavailable, "", "the log could not be read to its end: %v; ask again without an id", err)
		s.cfg.Logger.Warn("a verification of the log did not reach its end", "seq", p.checked, "error", err)
		return
	}
	v.answer = p.answer()
	v.answer.TookMS = v.ended.Sub(v.begun).Milliseconds()
	if v.answer.Status == api.VerifyBroken {
		s.cfg.Logger.Error("the log or this node is not what it must be", "seq", p.checked, "violations", v.answer.ViolationCount, "first", v.answer.Violations[0].Text)
		return
	}
	s.cfg.Logger.Info("the log was verified", "seq", p.checked, "took", v.ended.Sub(v.begun).Round(time.Millisecond))
}
