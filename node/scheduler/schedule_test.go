package scheduler_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// asker asks what the code of runs asks, and keeps the answers.
type asker struct {
	st     *stage
	mu     sync.Mutex
	asked  uint64
	answer map[uint64]wire.Scheduled
}

func (st *stage) asker(executor string) *asker {
	st.t.Helper()
	a := &asker{st: st, answer: map[uint64]wire.Scheduled{}}
	stop, err := st.bus.Subscribe(wire.DefaultPrefix.ExecSubject(executor, wire.VerbScheduled), func(_ string, body []byte) {
		var m wire.Scheduled
		_ = json.Unmarshal(body, &m)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.answer[m.Number] = m
	})
	if err != nil {
		st.t.Fatal(err)
	}
	st.t.Cleanup(stop)
	return a
}

// ask asks in the name of a run that was received; nil: there is no answer.
func (a *asker) ask(r wire.Run, executor string, item wire.Item, change ...func(*wire.Schedule)) *wire.Scheduled {
	a.st.t.Helper()
	a.asked++
	m := wire.Schedule{
		Stream: r.Stream, Incarnation: r.Incarnation, Partition: r.Partition,
		Run: r.Run, Attempt: r.Attempt, Number: a.asked, Item: item,
	}
	for _, c := range change {
		c(&m)
	}
	body, _ := json.Marshal(m)
	if err := a.st.bus.Publish(wire.DefaultPrefix.ScheduleSubject(executor, m.Partition), body); err != nil {
		a.st.t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if m, answered := a.answer[a.asked]; answered {
		return &m
	}
	return nil
}

func step(name, after string) wire.Item {
	return wire.Item{Name: name, Function: jsontext.Value(`"hello"`), After: after, Data: jsontext.Value(`{"step":1}`)}
}

// under is a stage with a run of ada's under way, in an executor.
func under(t *testing.T, test func(st *stage, a *asker, e *executor, r wire.Run)) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer func() { st.Stop() }()
		e := st.executor("local", "i1", 4, func(r wire.Run) (wire.Outcome, time.Duration) {
			if r.Source.ID != eventlog.PrefixItem+"first" {
				return succeed(time.Second)(r)
			}
			return succeed(time.Hour)(r)
		})
		defer e.kill()
		st.function("hello", "code")
		st.do(command.CreateUser{By: st.by("admin"), ID: "ada", New: eventlog.UserCreated{Name: "Ada"}})
		st.do(st.item("first", "hello", 0, func(i *api.ItemInput) { i.RunningUser = &api.RefInput{IDOrName: "ada"} }))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		runs := e.runs()["run_first"]
		if len(runs) != 1 {
			t.Fatalf("received %d runs", len(runs))
		}
		test(st, st.asker("local"), e, runs[0])
		st.judge()
	})
}

func (st *stage) find(id string) (i *projection.Item) {
	st.t.Helper()
	if _, refused := st.Read(st.t.Context(), func(s *projection.State) {
		if found := s.Item(id); found != nil {
			item := found.Copy()
			i = &item
		}
	}); refused != nil {
		st.t.Fatal(refused)
	}
	return i
}

// What a run schedules is stored when it is answered, lives where the run does,
// runs as the run's user, and says by what it was scheduled.
func TestARunSchedulesAnItem(t *testing.T) {
	under(t, func(st *stage, a *asker, e *executor, r wire.Run) {
		at := time.Now()
		m := a.ask(r, "local", step("next", "1h"))
		if m == nil || m.Answer.Error != nil || m.Epoch == 0 {
			st.t.Fatalf("answered %+v", m)
		}
		i := st.find(m.Answer.ID)
		if i == nil || i.Live.Name != "next" || i.Live.CreatedBy != "ada" || i.Live.Runner() != "ada" || i.Live.ScheduledBy != r.Run ||
			string(i.Live.Data) != `{"step":1}` || eventlog.PartitionOf(eventlog.EntityItem, i.ID) != r.Partition {
			st.t.Fatalf("stored %+v", i)
		}
		if late := i.RunDateTime.Std().Sub(at.Add(time.Hour)); late < 0 || late > 200*time.Millisecond || i.RunDateTime.Std().Format(eventlog.TimeLayout) != m.Answer.RunDateTime {
			st.t.Errorf("due at %v, %v too late, answered %s", i.RunDateTime, late, m.Answer.RunDateTime)
		}
		time.Sleep(61 * time.Minute)
		synctest.Wait()
		if runs := e.runs()[eventlog.RunOfItem(i.ID)]; len(runs) != 1 || runs[0].UserID != "ada" {
			st.t.Errorf("its run was received %d times", len(runs))
		}
	})
}

// The same name in the same run is the same item, in whichever attempt, whatever
// else is given, and after it has ended, too.
func TestTheFirstWriteWins(t *testing.T) {
	under(t, func(st *stage, a *asker, e *executor, r wire.Run) {
		first := a.ask(r, "local", step("next", "10s"))
		second := a.ask(r, "local", wire.Item{Name: "next", Function: jsontext.Value(`"nobody's"`), At: "2030-01-01T00:00:00Z"})
		if second == nil || second.Answer.ID != first.Answer.ID || second.Answer.RunDateTime != first.Answer.RunDateTime {
			st.t.Fatalf("answered %+v, then %+v", first, second)
		}
		if other := a.ask(r, "local", step("other", "10s")); other == nil || other.Answer.ID == first.Answer.ID {
			st.t.Errorf("another name is %+v", other)
		}
		// The executor is lost, and another takes the run up again.
		e.kill()
		e2 := st.executor("second", "i2", 4, succeed(time.Hour))
		defer e2.kill()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		runs := e2.runs()[r.Run]
		if len(runs) != 1 || runs[0].Attempt != 2 {
			st.t.Fatalf("received %+v", runs)
		}
		again := st.asker("second").ask(runs[0], "second", step("next", "1h"))
		if again == nil || again.Answer.ID != first.Answer.ID || again.Answer.RunDateTime != first.Answer.RunDateTime {
			st.t.Errorf("the next attempt was answered %+v", again)
		}
		// A question of the attempt before is refused, and does nothing.
		if late := a.ask(r, "local", step("late", "1h")); late == nil || late.Answer.Error == nil || late.Answer.Error.Code != string(api.IllegalTransition) {
			st.t.Errorf("a lost attempt was answered %+v", late)
		}
	})
}

// Only the executor and incarnation of the open claim may ask.
func TestOthersDoNotSchedule(t *testing.T) {
	under(t, func(st *stage, a *asker, _ *executor, r wire.Run) {
		before := len(st.commits())
		for what, change := range map[string]func(*wire.Schedule){
			"another attempt":     func(m *wire.Schedule) { m.Attempt = 2 },
			"another incarnation": func(m *wire.Schedule) { m.Incarnation = "i9" },
			"another run":         func(m *wire.Schedule) { m.Run = eventlog.RunOfItem(eventlog.PrefixItem + "first0") },
			"another stream":      func(m *wire.Schedule) { m.Stream = "other" },
			"another partition":   func(m *wire.Schedule) { m.Partition = (m.Partition + 1) % eventlog.Partitions },
		} {
			m := a.ask(r, "local", step("next", "10s"), change)
			if m != nil && m.Answer.Error == nil {
				st.t.Errorf("%s was answered %+v", what, m)
			}
		}
		if foreign := st.asker("evil").ask(r, "evil", step("next", "10s")); foreign == nil || foreign.Answer.Error == nil {
			st.t.Errorf("another executor was answered %+v", foreign)
		}
		if after := len(st.commits()); after != before {
			st.t.Errorf("%d commits were stored", after-before)
		}
	})
}

func TestBadItemsOfRuns(t *testing.T) {
	under(t, func(st *stage, a *asker, _ *executor, r wire.Run) {
		before := len(st.commits())
		for _, c := range []struct {
			what        string
			change      func(*wire.Item)
			code, field string
		}{
			{"no time", func(i *wire.Item) { i.After = "" }, "invalid_time", "at"},
			{"two times", func(i *wire.Item) { i.At = "2030-01-01T00:00:00Z" }, "invalid_time", "after"},
			{"no time that exists", func(i *wire.Item) { i.After, i.At = "", "tomorrow" }, "invalid_time", "at"},
			{"no duration", func(i *wire.Item) { i.After = "soon" }, "invalid", "after"},
			{"a negative duration", func(i *wire.Item) { i.After = "-1s" }, "invalid", "after"},
			{"a thousand years", func(i *wire.Item) { i.After = "52000w" }, "invalid", "after"},
			{"no name", func(i *wire.Item) { i.Name = "" }, "invalid", "name"},
			{"a control character", func(i *wire.Item) { i.Name = "a\nb" }, "invalid", "name"},
			{"an unknown function", func(i *wire.Item) { i.Function = jsontext.Value(`"nobody"`) }, "not_found", "function"},
			{"no function", func(i *wire.Item) { i.Function = jsontext.Value(`null`) }, "invalid", "function"},
			{"a number for a function", func(i *wire.Item) { i.Function = jsontext.Value(`5`) }, "invalid", "function"},
			{"data that is a list", func(i *wire.Item) { i.Data = jsontext.Value(`[1]`) }, "invalid", "data"},
			{"data with current_user", func(i *wire.Item) { i.Data = jsontext.Value(`{"current_user":1}`) }, "invalid", "data.current_user"},
		} {
			item := step("next", "10s")
			c.change(&item)
			m := a.ask(r, "local", item)
			if m == nil || m.Answer.Error == nil || m.Answer.Error.Code != c.code || m.Answer.Error.Field != c.field || m.Answer.Error.Message == "" {
				st.t.Errorf("%s: answered %+v", c.what, m)
			}
		}
		if after := len(st.commits()); after != before {
			st.t.Errorf("%d commits were stored", after-before)
		}
	})
}

// An item of a caller that bears the very id is not taken for the run's.
func TestAnotherOfTheSameIDIsNotTheRuns(t *testing.T) {
	under(t, func(st *stage, a *asker, _ *executor, r wire.Run) {
		run := st.find(eventlog.ItemOfRun(r.Run))
		id := command.ScheduledID(r.Run, run.FirstClaimed, "next")
		st.do(st.item(eventlog.Suffix(id), "hello", time.Hour))
		m := a.ask(r, "local", step("next", "10s"))
		if m == nil || m.Answer.Error == nil || m.Answer.Error.Code != string(api.AlreadyExists) || m.Answer.Error.Field != "name" {
			st.t.Errorf("answered %+v", m)
		}
		if other := a.ask(r, "local", step("another name", "10s")); other == nil || other.Answer.Error != nil {
			st.t.Errorf("another name was answered %+v", other)
		}
	})
}

// While the log does not answer, nor does the owner; nothing is lost or doubled.
func TestAQuestionDuringSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var silent bool
		var mu sync.Mutex
		st := newStage(t, memlog.Faults{BeforeAppend: func(string, string) memlog.Fault {
			mu.Lock()
			defer mu.Unlock()
			if silent {
				return memlog.Fault{Kind: memlog.Delayed, Delay: 30 * time.Second}
			}
			return memlog.Fault{}
		}})
		st.boot()
		defer func() { st.Stop() }()
		e := st.executor("local", "i1", 4, succeed(time.Hour))
		defer e.kill()
		st.function("hello", "code")
		st.do(st.item("first", "hello", 0))
		time.Sleep(2 * time.Second)
		r := e.runs()["run_first"][0]
		a := st.asker("local")
		mu.Lock()
		silent = true
		mu.Unlock()
		if m := a.ask(r, "local", step("next", "1h")); m != nil {
			t.Fatalf("answered %+v, and nothing is stored", m)
		}
		time.Sleep(10 * time.Second)
		if a.mu.Lock(); len(a.answer) > 0 {
			t.Errorf("answered %+v, and nothing is known", a.answer)
		}
		a.mu.Unlock()
		mu.Lock()
		silent = false
		mu.Unlock()
		time.Sleep(time.Minute)
		if m := a.ask(r, "local", step("next", "1h")); m == nil || m.Answer.Error != nil {
			t.Fatalf("answered %+v", m)
		}
		v := st.judge()
		if n := len(v.Items); n != 2 {
			t.Errorf("%d items are in the log", n)
		}
	})
}
