package service

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/projection"
	"github.com/belfryhq/belfry/testing/check"
)

const (
	// workMax is how long a pass works at a time, restFactor how many times as
	// long it rests then: it takes a fifth of one processor, and leaves the rest to
	// requests and runs. A commit is judged at one go.
	workMax    = 2 * time.Millisecond
	restFactor = 4
	// samplePause is between two looks at the state while every partition of it
	// holds something that is not stored, samplePatience how long that may last.
	samplePause    = 2 * time.Millisecond
	samplePatience = 10 * time.Second
	// aroundMax bounds the events that a verdict shows before, and after, the first
	// violation: a screen of them.
	aroundMax = 8
)

// sampler tells what the node made of the log: a scheduler.
type sampler interface {
	Sample(left *[]int) (scheduler.Sample, bool, error)
}

// pass is one reading of the log, by the judge and by a fold of its own.
type pass struct {
	log    eventlog.Log
	node   sampler
	target uint64
	tell   func() // that there is progress; called often

	first, checked uint64
	judge          *check.Verdict
	fold           *projection.State  // nil when it met what it cannot read
	samples        []scheduler.Sample // to be compared, by sequence
	compared       int
	worked         time.Duration // since the last rest
}

func newPass(log eventlog.Log, node sampler, target uint64) *pass {
	return &pass{log: log, node: node, target: target, tell: func() {}, judge: check.New(), fold: projection.NewState()}
}

// errJudged ends a Follow that has what it wanted.
var errJudged = errors.New("judged")

// run reads the log up to the target, and as far beyond as the samples of the
// state lie. The error says why that was not possible; damage is a verdict.
func (p *pass) run(ctx context.Context) error {
	info, err := p.log.Info(ctx)
	if err == nil {
		p.first = info.FirstSeq
		err = p.log.Follow(ctx, p.first, func(m eventlog.Message) error { return p.message(ctx, m) })
	}
	switch {
	case errors.Is(err, errJudged):
	case errors.Is(err, eventlog.ErrDamaged):
		p.object("L3", p.checked+1, -1, "%v", err)
	default:
		return err
	}
	p.judge.Finish()
	return nil
}

func (p *pass) message(ctx context.Context, m eventlog.Message) error {
	begun := time.Now()
	if m.Seq <= p.target {
		p.judge.Commit(check.Commit{Seq: m.Seq, Subject: eventlog.DefaultPrefix.Subject(m.Lane), Body: m.Body})
		p.checked = m.Seq
		p.tell()
		if err := p.rest(ctx, time.Since(begun)); err != nil {
			return err
		}
		begun = time.Now()
	}
	if p.fold != nil {
		if _, _, err := p.fold.Fold(m); err != nil {
			p.fold = nil
			p.object("P1", m.Seq, -1, "commit %d cannot be folded: %v", m.Seq, err)
		}
	}
	if err := p.rest(ctx, time.Since(begun)); err != nil {
		return err
	}
	if m.Seq < p.target {
		return nil
	}
	if m.Seq == p.target {
		if err := p.sample(ctx); err != nil {
			return err
		}
	}
	return p.compare(ctx, m.Seq)
}

// sample asks what the node made of each partition.
func (p *pass) sample(ctx context.Context) error {
	left, since := scheduler.Sections(), time.Now()
	for p.fold != nil && len(left) > 0 && time.Since(since) < samplePatience {
		begun := time.Now()
		taken, found, err := p.node.Sample(&left)
		switch {
		case err != nil:
			p.object("P1", 0, -1, "%v", err)
		case !found:
			if err := sleep(ctx, samplePause); err != nil {
				return err
			}
			continue
		default:
			p.samples = append(p.samples, taken)
		}
		since = time.Now()
		if err := p.rest(ctx, time.Since(begun)); err != nil {
			return err
		}
	}
	return nil
}

// compare compares what lies at this sequence. A sample is never older than the
// target was, but for a node that folded its log again meanwhile.
func (p *pass) compare(ctx context.Context, seq uint64) error {
	for p.fold != nil && len(p.samples) > 0 && p.samples[0].Seq <= seq {
		begun, s := time.Now(), p.samples[0]
		if p.samples = p.samples[1:]; s.Seq < seq {
			continue
		}
		hash, err := p.hash(s.Partition)
		if err != nil || hash != s.Hash {
			p.object("P1", seq, s.Partition, "%s is not in this node's memory what the log says it is at sequence %d", section(s.Partition), seq)
		}
		p.compared++
		if err := p.rest(ctx, time.Since(begun)); err != nil {
			return err
		}
	}
	if p.fold == nil || len(p.samples) == 0 {
		return errJudged
	}
	return nil
}

func section(partition int) string {
	if partition < 0 {
		return "what is known of nodes"
	}
	return fmt.Sprintf("partition %d", partition)
}

// hash is of a partition as the fold has it.
func (p *pass) hash(partition int) ([sha256.Size]byte, error) {
	var body []byte
	var err error
	if partition < 0 {
		body, err = p.fold.EncodeCluster()
	} else {
		body, err = p.fold.Partition(partition).Encode()
	}
	return sha256.Sum256(body), err
}

// object notes what the judge cannot see; the partition is -1 if it is none.
func (p *pass) object(property string, seq uint64, partition int, format string, args ...any) {
	p.judge.Note(check.Violation{Property: property, Seq: seq, Partition: partition, Text: fmt.Sprintf(format, args...)})
}

// rest lets others work after a while of work.
func (p *pass) rest(ctx context.Context, worked time.Duration) error {
	if p.worked += worked; p.worked < workMax {
		return nil
	}
	pause := restFactor * p.worked
	p.worked = 0
	return sleep(ctx, pause)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// progress is what is known before the end.
func (p *pass) progress() api.AuditVerdict {
	return api.AuditVerdict{
		Checked: p.checked, FirstSeq: p.first, LastSeq: p.target, Commits: p.judge.Commits, Events: p.judge.Events,
		Compared: p.compared, Sections: eventlog.Partitions + 1, ViolationCount: p.violations(),
	}
}

func (p *pass) violations() int { return len(p.judge.Violations) + p.judge.Unsaid }

// answer is the verdict.
func (p *pass) answer() api.AuditVerdict {
	a := p.progress()
	a.Items, a.Runs, a.Triggers = map[string]int{}, map[string]int{}, map[string]int{}
	for _, i := range p.judge.Items {
		a.Items[i.Status]++
	}
	for _, r := range p.judge.Runs {
		a.Runs[r.Status]++
	}
	for _, t := range p.judge.Triggers {
		a.Triggers[t.Status]++
	}
	a.Properties = append(check.Properties(), "P1")
	a.Status, a.Violations = api.VerifyClean, []api.Violation{}
	all := slices.Clone(p.judge.Violations)
	slices.SortStableFunc(all, func(a, b check.Violation) int { return cmp.Compare(a.Seq-1, b.Seq-1) }) // 0 last
	for _, v := range all {
		if a.Status = api.VerifyBroken; len(a.Violations) < api.ViolationsMax {
			a.Violations = append(a.Violations, api.Violation{Property: v.Property, Seq: v.Seq, Subject: v.Subject, Text: v.Text})
		}
	}
	if first := p.judge.First(aroundMax); first != nil {
		a.Around = &api.Around{Before: first.Before, At: first.At, After: first.After}
	}
	return a
}
