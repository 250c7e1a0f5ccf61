package conformance_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/testing/conformance"
)

// broken is a log that breaks the promises whose functions are set.
type broken struct {
	*memlog.Log
	append func(l *memlog.Log, lane string, expect eventlog.Expect, id string, body []byte) (uint64, error)
	get    func(eventlog.Message, error) (eventlog.Message, error)
	next   func(eventlog.Message, error) (eventlog.Message, error)
	follow func(deliver func(eventlog.Message) error) func(eventlog.Message) error
	ended  func(error) error
}

func (b *broken) Append(ctx context.Context, lane string, expect eventlog.Expect, id string, body []byte) (uint64, error) {
	if b.append != nil && ctx.Err() == nil {
		return b.append(b.Log, lane, expect, id, body)
	}
	return b.Log.Append(ctx, lane, expect, id, body)
}

func (b *broken) Get(ctx context.Context, seq uint64) (eventlog.Message, error) {
	m, err := b.Log.Get(ctx, seq)
	if b.get != nil {
		return b.get(m, err)
	}
	return m, err
}

func (b *broken) Next(ctx context.Context, lane string, seq uint64) (eventlog.Message, error) {
	m, err := b.Log.Next(ctx, lane, seq)
	if b.next != nil {
		return b.next(m, err)
	}
	return m, err
}

func (b *broken) Follow(ctx context.Context, seq uint64, deliver func(eventlog.Message) error) error {
	if b.follow != nil {
		deliver = b.follow(deliver)
	}
	err := b.Log.Follow(ctx, seq, deliver)
	if b.ended != nil {
		return b.ended(err)
	}
	return err
}

// control is a broken promise and the case that must notice it.
type control struct {
	noticed string
	log     broken
}

func controls() map[string]control {
	ctx := context.Background()
	last := func(l *memlog.Log, lane string) (n uint64) {
		for m, err := l.Next(ctx, lane, 0); err == nil; m, err = l.Next(ctx, lane, n+1) {
			n = m.Seq
		}
		return n
	}
	return map[string]control{
		"a second genesis": {"a_genesis_is_accepted_only_while_nothing_was_ever_stored", broken{append: func(l *memlog.Log, lane string, expect eventlog.Expect, id string, body []byte) (uint64, error) {
			return l.Append(ctx, lane, eventlog.Expect{LaneSeq: expect.LaneSeq}, id, body) // as with an expectation of the lane alone
		}}},
		"no expectation": {"an_older_process_is_refused_after_a_newer_opening", broken{append: func(l *memlog.Log, lane string, _ eventlog.Expect, id string, body []byte) (uint64, error) {
			return l.Append(ctx, lane, eventlog.Expect{LaneSeq: last(l, lane)}, id, body)
		}}},
		"every refusal is occupied": {"an_expectation_that_nothing_holds_is_unknown,_not_occupied", broken{append: func(l *memlog.Log, lane string, expect eventlog.Expect, id string, body []byte) (uint64, error) {
			seq, err := l.Append(ctx, lane, expect, id, body)
			if err != nil {
				return 0, eventlog.ErrOccupied
			}
			return seq, nil
		}}},
		"acknowledged, not stored": {"a_commit_gets_the_next_sequence_and_is_read_back_whole", broken{append: func(l *memlog.Log, lane string, expect eventlog.Expect, _ string, _ []byte) (uint64, error) {
			return last(l, lane) + 1, nil
		}}},
		"a shortened body": {"bodies_are_intact_up_to_the_largest", broken{get: func(m eventlog.Message, err error) (eventlog.Message, error) {
			m.Body = m.Body[:min(len(m.Body), 400_000)]
			return m, err
		}}},
		"next without the id": {"the_same_commit_again_is_refused_and_its_first_copy_is_found", broken{next: func(m eventlog.Message, err error) (eventlog.Message, error) {
			m.ID = ""
			return m, err
		}}},
		"a message twice": {"following_begins_anywhere", broken{follow: func(deliver func(eventlog.Message) error) func(eventlog.Message) error {
			return func(m eventlog.Message) error {
				if m.Seq == 7 {
					return errors.Join(deliver(m), deliver(m))
				}
				return deliver(m)
			}
		}}},
		"a message later than the next": {"following_sees_what_is_stored_meanwhile,_in_order_and_without_gaps", broken{follow: func(deliver func(eventlog.Message) error) func(eventlog.Message) error {
			var held eventlog.Message
			return func(m eventlog.Message) error {
				if m.Seq == 20 {
					held = m
					return nil
				}
				if err := deliver(m); err != nil || m.Seq != 21 {
					return err
				}
				return deliver(held)
			}
		}}},
		"a wrapped error of deliver": {"following_ends_with_deliver's_error", broken{ended: func(err error) error { return errors.Join(err) }}},
		"a cause that is lost": {"following_ends_with_the_cause_of_its_context", broken{ended: func(err error) error {
			if err != nil && err.Error() == "the node stops" {
				return context.Canceled
			}
			return err
		}}},
	}
}

const chosen = "BELFRY_BROKEN_LOG"

// TestBrokenLog runs the suite on the broken log that the environment names.
func TestBrokenLog(t *testing.T) {
	name := os.Getenv(chosen)
	if name == "" {
		t.Skip("runs under TestTheSuiteNotices")
	}
	c := controls()[name]
	conformance.Log(t, func(*testing.T) eventlog.Log {
		log := c.log
		log.Log = memlog.New(memlog.Faults{})
		return &log
	})
}

// TestTheSuiteNotices is the suite's negative control: the same binary once
// more for each broken log; it must fail, and in the case that is meant.
func TestTheSuiteNotices(t *testing.T) {
	for name, c := range controls() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBrokenLog$/^"+strings.ReplaceAll(c.noticed, "_", "[ _]")+"$", "-test.v")
			run.Env = append(os.Environ(), chosen+"="+name)
			out, err := run.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestBrokenLog/"+c.noticed) {
				t.Errorf("the suite did not notice (%v):\n%s", err, out)
			}
		})
	}
}
