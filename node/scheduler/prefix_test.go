package scheduler_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/node/scheduler"
)

// earBus notes what is said and listened to, and where.
type earBus struct {
	*localBus
	mu    sync.Mutex
	heard map[string]bool
}

func (b *earBus) note(subject string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard[subject] = true
}

func (b *earBus) Publish(subject string, body []byte) error {
	b.note(subject)
	return b.localBus.Publish(subject, body)
}

func (b *earBus) Subscribe(subject string, handle func(string, []byte)) (func(), error) {
	b.note(subject)
	return b.localBus.Subscribe(subject, handle)
}

// What nodes tell each other of their partitions is said under the prefix, too.
func TestHashesAreToldUnderThePrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		bus := &earBus{localBus: st.bus, heard: map[string]bool{}}
		s, err := scheduler.New(scheduler.Config{
			Node: "local", Process: "A", Version: "test", Log: st.log, Stream: streamID, AuditEvery: 1,
			Bus: bus, Prefix: "night", Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		st.Scheduler = s
		st.function("f", "code")
		time.Sleep(time.Second)
		bus.mu.Lock()
		defer bus.mu.Unlock()
		for _, wanted := range []string{"night.hash.local", "night.hash.*", "night.announce.*", "night.result.*.*", "night.schedule.*.*"} {
			if !bus.heard[wanted] {
				t.Errorf("nothing is said or heard on %s", wanted)
			}
		}
		for subject := range bus.heard {
			if !strings.HasPrefix(subject, "night.") {
				t.Errorf("something is said or heard on %s", subject)
			}
		}
	})
}
