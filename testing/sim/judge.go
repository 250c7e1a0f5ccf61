package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
	"github.com/belfryhq/belfry/testing/check"
)

// commits are the log as the judge reads it.
func (w *World) commits() (all []check.Commit) {
	for _, m := range w.messages() {
		all = append(all, check.Commit{Seq: m.Seq, Subject: eventlog.DefaultPrefix.Subject(m.Lane), Body: m.Body})
	}
	return all
}

func (w *World) messages() (all []eventlog.Message) {
	info, err := w.store.Info(context.Background())
	if err != nil {
		w.broken("%v", err)
		return nil
	}
	done := errors.New("done")
	err = w.store.Follow(context.Background(), 1, func(m eventlog.Message) error {
		all = append(all, m)
		if m.Seq == info.LastSeq {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		w.broken("%v", err)
	}
	return all
}

// hashes are what each node makes of the whole log, and what a fold of it from
// its first message makes. Call it when all is quiet.
func (w *World) hashes() (all []check.Hash) {
	fresh := projection.NewState()
	var seq uint64
	for _, m := range w.messages() {
		if _, _, err := fresh.Fold(m); err != nil {
			w.broken("%v", err)
		}
		seq = m.Seq
	}
	all = append(all, hashesOf(check.FullFold, seq, fresh)...)
	for _, n := range w.nodes {
		p := n.process()
		if p == nil {
			w.broken("node %s has no process after all faults had ended", n.name)
			continue
		}
		if _, refused := p.Read(context.Background(), func(s *projection.State) {
			if s.Seq() != seq { // it would be compared with nothing
				w.broken("node %s is at %d, the log ends at %d", n.name, s.Seq(), seq)
			}
			all = append(all, hashesOf(n.name, s.Seq(), s)...)
		}); refused != nil {
			w.broken("node %s cannot be read after all faults had ended: %v", n.name, refused)
		}
	}
	return all
}

func hashesOf(node string, seq uint64, s *projection.State) (all []check.Hash) {
	for p := range eventlog.Partitions {
		body, err := s.Partition(p).Encode()
		if err != nil {
			body = []byte(err.Error())
		}
		all = append(all, check.Hash{Node: node, Partition: p, Seq: seq, Sum: sha256.Sum256(body)})
	}
	return all
}

// objections are what the processes' own auditors object to.
func (w *World) objections() (all []string) {
	for _, n := range w.nodes {
		if p := n.process(); p != nil {
			if err := p.Ready(); err != nil {
				all = append(all, fmt.Sprintf("node %s is not ready after all faults had ended: %v", n.name, err))
			}
		}
	}
	return all
}

// goesOn lets the judge see, while the triggers still fire, that after all faults
// each of them and each partition is decided for (C2, N1).
func (w *World) goesOn(healed time.Time) {
	v := check.Log(w.commits())
	known := len(v.Violations) // judge tells them
	now := time.Now()
	v.AllDecided(now.Add(-5 * w.plan.scale))
	v.AllDecidedFor(healed, now.Add(-lateMax*w.plan.scale)) // an item may wait for a slot
	for _, x := range v.Violations[known:] {
		w.broken("%s", x)
	}
}

// judge lets the judge see everything, and returns its verdict. Call it when all
// is quiet, before stop.
func (w *World) judge() *check.Verdict {
	hashes, living := w.hashes(), []string{}
	for _, n := range w.nodes {
		living = append(living, n.name)
	}
	w.breaks = append(w.breaks, w.objections()...)
	w.evenly()
	commits := w.commits()
	v := check.Log(commits)
	v.Lateness = lateMax * w.plan.scale
	for _, f := range w.faults.all() {
		if f.Kind == faultClock {
			v.Skew = skewMax * w.plan.scale
		}
	}
	v.Faults(w.faults.all())
	v.History(w.asChanges(w.history.all()))
	v.Lines(w.journal.all())
	v.Owned(living...)
	v.AllEnded()
	v.Hashes(hashes)
	return v
}

const (
	// lateMax is how many units of time a run may wait for a slot, beside faults:
	// the longest runs take 30, and one may be before it.
	lateMax = 60
	// skewMax is how far clocks are apart at most, in units of time.
	skewMax = 21
)

// asChanges takes an acknowledged change for a read if no event stands under its
// cause: it asked for what was so already, and was answered with what there is.
// If the event is lost instead, the record that was answered is not in the log.
// Creates, runs and what always brings something new store something.
func (w *World) asChanges(ops []check.Op) []check.Op {
	caused := map[string]bool{}
	for _, m := range w.messages() {
		events, err := eventlog.Decode(m.Body)
		if err != nil {
			w.broken("commit %d: %v", m.Seq, err)
		}
		for n := range events {
			caused[events[n].Cause] = true
		}
	}
	for n := range ops {
		o := &ops[n]
		stores := strings.HasSuffix(o.Verb, ".create") || strings.HasSuffix(o.Verb, ".run") || o.Verb == "item.update" || o.Verb == "function.update"
		o.Read = o.Read || !stores && o.Outcome == check.Acknowledged && !caused[o.Cause] && o.Seq > 0
	}
	return ops
}
