package scheduler_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/exec/wire"
)

// A question that is lost is asked again as soon as the executor is known to live:
// with the next sign of life over another connection, or, if there was one over the
// same, when the answer has been waited for.
func TestALostQuestionIsAskedAgainAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		reconnects bool
		within     time.Duration
	}{"with its connection": {true, 0}, "by itself": {false, wire.AnnounceEvery}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStage(t, memlog.Faults{})
				st.boot()
				defer st.Stop()
				e := st.executor("local", "i1", 2, succeed(time.Millisecond))
				defer e.kill()
				time.Sleep(100 * time.Millisecond) // it is known by now
				sign := func(mute int, reconnects bool) {
					e.mu.Lock()
					e.silent, e.mute = true, mute // no other sign of life follows
					if reconnects {
						e.lost++
					}
					body := e.sign()
					e.mu.Unlock()
					_ = e.bus.Publish(wire.DefaultPrefix.AnnounceSubject(e.name), body)
				}
				sign(1, true)
				time.Sleep(100 * time.Millisecond)
				sign(0, c.reconnects)
				time.Sleep(c.within + time.Millisecond)
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				if err := st.WaitExecutor(ctx, "local"); err != nil {
					t.Errorf("it is not known: %v", err)
				}
				time.Sleep(2 * wire.AnnounceEvery) // the answer to the lost one is not waited for any more
				synctest.Wait()
				e.mu.Lock()
				defer e.mu.Unlock()
				if asked := len(e.asked); asked != 3 {
					t.Errorf("asked %d times", asked)
				}
			})
		})
	}
}

// An executor that lives and never answers is asked at its signs of life, and spoken
// of.
func TestAnExecutorThatNeverAnswersIsSpokenOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		var said lines
		st.logger = slog.New(slog.NewTextHandler(&said, nil))
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 2, succeed(time.Millisecond))
		defer e.kill()
		time.Sleep(100 * time.Millisecond)
		e.mu.Lock()
		e.mute = 1000
		e.lost++ // it is asked anew
		body := e.sign()
		e.mu.Unlock()
		// From now on a sign of life comes amidst the wait for each answer.
		_ = e.bus.Publish(wire.DefaultPrefix.AnnounceSubject(e.name), body)
		const over = 30
		time.Sleep(over * wire.AnnounceEvery)
		e.mu.Lock()
		asked := len(e.asked)
		e.mu.Unlock()
		if n := said.with("did not say what it holds"); n < over/3 || asked > over+2 {
			t.Errorf("asked %d times, spoken of %d times", asked, n)
		}
	})
}

// lines are what was logged. It is safe for concurrent use.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(line))
	return len(line), nil
}

// with counts those that hold a text.
func (l *lines) with(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// Who waits for executors to be heard waits for one of their signs of life, and is
// told why the scheduler ended meanwhile.
func TestExecutorsHaveTheTimeToBeHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		began := time.Now()
		st.boot()
		if err := st.WaitHeard(t.Context()); err != nil || time.Since(began) < wire.AnnounceEvery || time.Since(began) > 2*wire.AnnounceEvery {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		st.Stop()
		st.boot()
		defer st.Stop()
		damaged := errors.New("damaged")
		st.Fail(damaged)
		if err := st.WaitHeard(t.Context()); !errors.Is(err, damaged) {
			t.Errorf("it failed, and is heard with %v", err)
		}
	})
}
