package scheduler_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/projection"
	"github.com/belfryhq/belfry/testing/check"
)

const streamID = "01STREAM"

// stage is where a scheduler is tried: a log in memory, a bus, an executor that
// speaks the wire and runs Go in the place of Python. All of it lives in a
// synctest bubble.
type stage struct {
	t   *testing.T
	log *memlog.Log
	bus *localBus
	*scheduler.Scheduler
	processes int
	snapshot  string
	// skew is how far the wall clock has jumped.
	skew atomic.Int64
	// snapshotEvents is after how many events a snapshot is made.
	snapshotEvents int
	logger         *slog.Logger
}

func newStage(t *testing.T, faults memlog.Faults) *stage {
	return &stage{
		t: t, log: memlog.New(faults), bus: &localBus{handlers: map[string][]*subscription{}},
		logger: slog.New(slog.DiscardHandler),
	}
}

// boot starts a process of the node over the stage's log.
func (st *stage) boot() *scheduler.Scheduler {
	st.t.Helper()
	st.processes++
	s, err := scheduler.New(scheduler.Config{
		Node: "local", Process: string(rune('A' + st.processes)), Version: "test",
		Log: st.log, Alone: true, Stream: streamID, Bus: st.bus, SnapshotFile: st.snapshot, SnapshotEvents: st.snapshotEvents,
		Clock:  st.clock,
		Logger: st.logger,
	})
	if err != nil {
		st.t.Fatal(err)
	}
	if err := s.Start(st.t.Context()); err != nil {
		st.t.Fatal(err)
	}
	st.Scheduler = s
	return s
}

// clock is the wall clock, which may jump.
func (st *stage) clock() time.Time { return time.Now().Add(time.Duration(st.skew.Load())) }

func (st *stage) by(user string) command.By {
	return command.By{User: user, Now: eventlog.TimeOf(st.clock()), CauseIndex: -1}
}

// do decides commands and fails the test if one is refused.
func (st *stage) do(commands ...command.Command) {
	st.t.Helper()
	answer, refused := st.Do(st.t.Context(), false, nil, commands...)
	if refused != nil {
		st.t.Fatal(refused)
	}
	for _, o := range answer.Outcomes {
		if o.Err != nil {
			st.t.Fatal(o.Err)
		}
	}
}

func (st *stage) function(id, code string) {
	st.t.Helper()
	c, refused := command.NewCreateFunction(st.by("admin"), api.FunctionInput{Name: &id, Code: &code}, eventlog.PrefixFunction+id)
	if refused != nil {
		st.t.Fatal(refused)
	}
	st.do(c)
}

// item makes the command that creates an item due after a while.
func (st *stage) item(id, function string, in time.Duration, change ...func(*api.ItemInput)) command.CreateItem {
	st.t.Helper()
	at := time.Now().UTC().Add(in).Format(time.RFC3339Nano)
	input := api.ItemInput{Name: &id, RunDateTime: &at, Function: &api.RefInput{IDOrName: function}}
	for _, c := range change {
		c(&input)
	}
	c, refused := command.NewCreateItem(st.by("admin"), input, eventlog.PrefixItem+id)
	if refused != nil {
		st.t.Fatal(refused)
	}
	return c
}

// status is an item's present status.
func (st *stage) status(id string) projection.Status {
	st.t.Helper()
	var status projection.Status
	if _, refused := st.Read(st.t.Context(), func(s *projection.State) { status = s.Item(eventlog.PrefixItem + id).Status }); refused != nil {
		st.t.Fatal(refused)
	}
	return status
}

// commits is the log as the judge reads it.
func (st *stage) commits() []check.Commit {
	st.t.Helper()
	info, err := st.log.Info(st.t.Context())
	if err != nil {
		st.t.Fatal(err)
	}
	var all []check.Commit
	done := errors.New("done")
	err = st.log.Follow(st.t.Context(), 1, func(m eventlog.Message) error {
		all = append(all, check.Commit{Seq: m.Seq, Subject: eventlog.DefaultPrefix.Subject(m.Lane), Body: m.Body})
		if m.Seq == info.LastSeq {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		st.t.Fatal(err)
	}
	return all
}

// judge lets the judge read the log, and fails the test if it objects.
func (st *stage) judge() *check.Verdict {
	st.t.Helper()
	v := check.Log(st.commits())
	for n, violation := range v.Violations {
		if n == 10 {
			break
		}
		st.t.Error(violation)
	}
	return v
}

// localBus delivers messages in the bubble, each subscription in order.
type localBus struct {
	mu       sync.Mutex
	handlers map[string][]*subscription
}

type subscription struct {
	queue chan [2]string
	stop  chan struct{}
}

func (b *localBus) Publish(subject string, body []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for pattern, subs := range b.handlers {
		if !matches(pattern, subject) {
			continue
		}
		for _, s := range subs {
			s.queue <- [2]string{subject, string(body)}
		}
	}
	return nil
}

func matches(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	if len(p) != len(s) {
		return false
	}
	for n := range p {
		if p[n] != "*" && p[n] != s[n] {
			return false
		}
	}
	return true
}

func (b *localBus) Subscribe(subject string, handle func(string, []byte)) (func(), error) {
	s := &subscription{queue: make(chan [2]string, 100_000), stop: make(chan struct{})}
	b.mu.Lock()
	b.handlers[subject] = append(b.handlers[subject], s)
	b.mu.Unlock()
	go func() {
		for {
			select {
			case <-s.stop:
				return
			case m := <-s.queue:
				handle(m[0], []byte(m[1]))
			}
		}
	}()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for n, other := range b.handlers[subject] {
			if other == s {
				b.handlers[subject] = append(b.handlers[subject][:n:n], b.handlers[subject][n+1:]...)
			}
		}
		close(s.stop)
	}, nil
}

// Request asks the one who answers "ask:" + subject.
func (b *localBus) Request(ctx context.Context, subject string, body []byte) ([]byte, error) {
	answer := make(chan []byte, 1)
	b.mu.Lock()
	subs := b.handlers["ask:"+subject]
	b.mu.Unlock()
	if len(subs) == 0 {
		return nil, errors.New("nobody answers")
	}
	stop, err := b.Subscribe("answer:"+subject, func(_ string, body []byte) { answer <- body })
	if err != nil {
		return nil, err
	}
	defer stop()
	if err := b.Publish("ask:"+subject, body); err != nil {
		return nil, err
	}
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// executor stands for a real one: it holds, runs and reports.
type executor struct {
	bus               *localBus
	name, incarnation string
	slots             int
	// run is what running an attempt means here: how it ended, and after how long.
	run func(wire.Run) (wire.Outcome, time.Duration)

	mu       sync.Mutex
	held     map[wire.Attempt]wire.Held
	received []wire.Run
	outcomes map[wire.Attempt]wire.Outcome // ended, not acknowledged
	asked    []wire.Ask
	canceled []wire.Cancel
	drop     func(wire.Run) bool // messages that never arrive
	silent   bool
	lost     int // how often its connection was
	mute     int // how many questions are still left without an answer
	stops    []func()
	quit     chan struct{}
	killed   sync.Once
}

func (st *stage) executor(name, incarnation string, slots int, run func(wire.Run) (wire.Outcome, time.Duration)) *executor {
	st.t.Helper()
	e := &executor{
		bus: st.bus, name: name, incarnation: incarnation, slots: slots, run: run,
		held: map[wire.Attempt]wire.Held{}, outcomes: map[wire.Attempt]wire.Outcome{}, quit: make(chan struct{}),
	}
	e.on(wire.DefaultPrefix.RunSubject("default", name), e.receive)
	e.on(wire.DefaultPrefix.ExecSubject(name, wire.VerbStored), e.stored)
	e.on(wire.DefaultPrefix.ExecSubject(name, wire.VerbCancel), e.cancel)
	e.on("ask:"+wire.DefaultPrefix.ExecSubject(name, wire.VerbAsk), e.ask)
	go e.announce()
	return e
}

func (e *executor) on(subject string, handle func([]byte)) {
	stop, err := e.bus.Subscribe(subject, func(_ string, body []byte) { handle(body) })
	if err != nil {
		panic(err)
	}
	e.stops = append(e.stops, stop)
}

// kill ends it as kill -9 does. It may be called twice.
func (e *executor) kill() {
	e.killed.Do(func() {
		close(e.quit)
		for _, stop := range e.stops {
			stop()
		}
	})
}

func (e *executor) announce() {
	for {
		e.mu.Lock()
		silent, body := e.silent, e.sign()
		ended := make([]wire.Outcome, 0, len(e.outcomes))
		for _, o := range e.outcomes {
			ended = append(ended, o)
		}
		e.mu.Unlock()
		if !silent {
			_ = e.bus.Publish(wire.DefaultPrefix.AnnounceSubject(e.name), body)
			for _, o := range ended {
				e.report(o)
			}
		}
		select {
		case <-e.quit:
			return
		case <-time.After(wire.AnnounceEvery):
		}
	}
}

func (e *executor) sign() []byte {
	a := wire.Announce{
		Version: wire.Version, Name: e.name, Incarnation: e.incarnation, Pool: "default", Slots: e.slots,
		Windows: map[string]int{"local": e.slots, "n1": e.slots, "n2": e.slots}, Connection: e.lost,
	}
	for _, h := range e.held {
		a.Held = append(a.Held, h)
	}
	body, _ := json.Marshal(a)
	return body
}

func (e *executor) ask(body []byte) {
	var a wire.Ask
	_ = json.Unmarshal(body, &a)
	e.mu.Lock()
	e.asked = append(e.asked, a)
	answer, mute := e.sign(), e.mute
	e.mute = max(0, mute-1)
	e.mu.Unlock()
	if mute > 0 {
		return
	}
	_ = e.bus.Publish("answer:"+wire.DefaultPrefix.ExecSubject(e.name, wire.VerbAsk), answer)
}

func (e *executor) receive(body []byte) {
	var r wire.Run
	_ = json.Unmarshal(body, &r)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.drop != nil && e.drop(r) {
		return
	}
	e.received = append(e.received, r)
	key := wire.Attempt{Run: r.Run, Attempt: r.Attempt}
	if _, again := e.held[key]; again {
		return
	}
	e.held[key] = wire.Held{Run: r.Run, Attempt: r.Attempt, Partition: r.Partition, State: wire.HeldRunning}
	go e.work(r, key)
}

func (e *executor) work(r wire.Run, key wire.Attempt) {
	outcome, takes := e.run(r)
	started := time.Now()
	select {
	case <-e.quit:
		return
	case <-time.After(takes):
	}
	outcome.Stream, outcome.Incarnation, outcome.Partition = r.Stream, e.incarnation, r.Partition
	outcome.Run, outcome.Attempt, outcome.FunctionVersion = r.Run, r.Attempt, r.Version
	outcome.Started, outcome.Finished = started, time.Now()
	e.end(key, outcome)
}

func (e *executor) end(key wire.Attempt, o wire.Outcome) {
	e.mu.Lock()
	h, held := e.held[key]
	if !held || h.State == wire.HeldEnded {
		e.mu.Unlock()
		return
	}
	h.State = wire.HeldEnded
	e.held[key], e.outcomes[key] = h, o
	e.mu.Unlock()
	e.report(o)
}

func (e *executor) report(o wire.Outcome) {
	body, _ := json.Marshal(wire.Report{SpecVersion: "1.0", Type: wire.ReportType, Subject: o.Run, Data: o})
	_ = e.bus.Publish(wire.DefaultPrefix.ReportSubject(e.name, o.Partition), body)
}

func (e *executor) stored(body []byte) {
	var s wire.Stored
	_ = json.Unmarshal(body, &s)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range s.Attempts {
		delete(e.held, a)
		delete(e.outcomes, a)
	}
}

func (e *executor) cancel(body []byte) {
	var c wire.Cancel
	_ = json.Unmarshal(body, &c)
	e.mu.Lock()
	e.canceled = append(e.canceled, c)
	e.mu.Unlock()
	e.end(wire.Attempt{Run: c.Run, Attempt: c.Attempt}, wire.Outcome{
		Stream: c.Stream, Incarnation: e.incarnation, Partition: c.Partition,
		Run: c.Run, Attempt: c.Attempt, Kind: wire.Canceled, Finished: time.Now(),
	})
}

// runs lists what was received, by run.
func (e *executor) runs() map[string][]wire.Run {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := map[string][]wire.Run{}
	for _, r := range e.received {
		all[r.Run] = append(all[r.Run], r)
	}
	return all
}

// succeed is a run that takes a while and returns.
func succeed(takes time.Duration) func(wire.Run) (wire.Outcome, time.Duration) {
	return func(wire.Run) (wire.Outcome, time.Duration) {
		return wire.Outcome{Kind: wire.Completed, Result: []byte(`{"status":"success"}`)}, takes
	}
}

// fail is a run that raises.
func fail(takes time.Duration) func(wire.Run) (wire.Outcome, time.Duration) {
	return func(wire.Run) (wire.Outcome, time.Duration) {
		return wire.Outcome{Kind: wire.Failed, Error: &wire.Error{Type: "ValueError", Message: "no"}}, takes
	}
}
