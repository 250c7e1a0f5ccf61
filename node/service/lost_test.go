package service

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/node/api"
)

// The owner is lost in the middle of a request, before or after it stored it;
// who takes over answers with what stands.
func TestTheOwnerIsLostMidRequest(t *testing.T) {
	for _, stored := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newSeveral(t, "a", "b", "c")
			defer c.stop()
			c.function()
			c.hop = func(m *nats.Msg, times int) (bool, bool) {
				if times > 0 {
					return true, true
				}
				if stored {
					c.heard["belfry.node.a."](&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
					soon()
				}
				c.kill("a")
				go func() {
					time.Sleep(500 * time.Millisecond)
					if err := c.nodes["c"].cfg.Scheduler.TakeFrom(t.Context(), "a", map[string][]int{"c": every()}); err != nil {
						t.Error(err)
					}
				}()
				return false, false
			}
			asked := time.Now()
			c.must("b", "item.create", "", `{"name":"one",`+inAnHour+`}`)
			if took := time.Since(asked); took > 550*time.Millisecond {
				t.Errorf("stored before: %v, it took %s, though after 500 ms another node decided", stored, took)
			}
			if n := c.count("b", "item")["one"]; n != 1 {
				t.Errorf("stored before: %v, there are %d", stored, n)
			}
			c.judge()
		})
	}
}

// troubled is a node's log while it is not what it was.
type troubled struct {
	mu   sync.Mutex
	fall memlog.Fault
	read error
	// after, if set, is what befalls reads after the next append.
	after error
}

func (l *troubled) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *troubled) faults() memlog.Faults {
	return memlog.Faults{
		BeforeRead: func() (err error) {
			l.set(func() { err = l.read })
			return err
		},
		BeforeAppend: func(string, string) (f memlog.Fault) {
			l.set(func() {
				f = l.fall
				if l.after != nil {
					l.read = l.after
				}
			})
			return f
		},
	}
}

// An owner ends, or loses what it owns, while what it decided is on its way into
// the log, and says so: it is asked again where it is decided now.
func TestAnOwnerThatDoesNotGetItStored(t *testing.T) {
	for name, end := range map[string]func(c *several){
		"ends":  func(c *several) { c.kill("a") },
		"loses": func(*several) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newSeveral(t)
				defer c.stop()
				var log troubled
				c.start("a", log.faults())
				c.start("b", memlog.Faults{})
				c.start("c", memlog.Faults{})
				c.sign()
				c.function()
				log.set(func() { log.fall = memlog.Fault{Kind: memlog.Delayed, Delay: 600 * time.Millisecond} })
				go func() {
					time.Sleep(200 * time.Millisecond)
					end(c)
					time.Sleep(200 * time.Millisecond)
					if err := c.nodes["c"].cfg.Scheduler.TakeFrom(t.Context(), "a", map[string][]int{"c": every()}); err != nil {
						t.Error(err)
					}
				}()
				c.must("b", "item.create", "", `{"name":"one",`+inAnHour+`}`)
				if n := c.count("b", "item")["one"]; n != 1 {
					t.Errorf("there are %d", n)
				}
				c.judge()
			})
		})
	}
}

// What is stored and cannot be shown is not unavailable: that would say that
// nothing is stored.
func TestWhatIsStoredAndNotShownIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t)
		defer c.stop()
		var log troubled
		c.start("a", log.faults())
		log.set(func() { log.after = errors.New("no leader") })
		if _, refused := c.ask("a", "user.create", "", `{"id":"ann"}`); refused == nil || refused.Code != api.Timeout {
			t.Errorf("told %v", refused)
		}
		log.set(func() { log.after, log.read = nil, nil })
		c.must("a", "user.get", "", `{"id":"ann"}`)
	})
}

// A request of which is known that it was carried out, by the id that it brought,
// waits for its record to be readable: a client that repeats it once has its answer.
func TestWhatIsStoredIsShownWhenItCanBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t)
		defer c.stop()
		var log troubled
		c.start("a", log.faults())
		log.set(func() { log.after = errors.New("no leader") })
		go func() {
			time.Sleep(2 * time.Second)
			log.set(func() { log.after, log.read = nil, nil })
		}()
		begun := time.Now()
		c.must("a", "user.create", "request-1", `{"id":"ann"}`)
		if took := time.Since(begun); took < 2*time.Second {
			t.Errorf("it was shown after %v", took)
		}
		log.set(func() { log.after = errors.New("no leader") })
		if _, refused := c.ask("a", "user.create", "request-2", `{"id":"bob"}`); refused == nil || refused.Code != api.Timeout || !strings.Contains(refused.Message, "carried out") {
			t.Errorf("never readable, it is told %v", refused)
		}
	})
}

func every() []int {
	all := make([]int, eventlog.Partitions)
	for p := range all {
		all[p] = p
	}
	return all
}
