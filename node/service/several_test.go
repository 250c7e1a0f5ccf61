package service

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/scheduler"
	"github.com/belfryhq/belfry/testing/check"
)

// wires connect the nodes of a test, with each other and with an executor that
// likes all code.
type wires struct {
	mu       sync.Mutex
	heard    map[string]func(*nats.Msg) // by subject, without its verb
	replies  map[string]chan *nats.Msg
	announce []func(string, []byte)
	// hop, if set, is asked of each question between nodes: whether it is heard,
	// and whether its answer is. Times is how often this was asked before.
	hop   func(m *nats.Msg, times int) (there, back bool)
	times int
}

func newWires() *wires {
	return &wires{heard: map[string]func(*nats.Msg){}, replies: map[string]chan *nats.Msg{}}
}

func (w *wires) Publish(string, []byte) error { return nil }

func (w *wires) Request(ctx context.Context, _ string, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (w *wires) Subscribe(subject string, handle func(string, []byte)) (func(), error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if subject == wire.DefaultPrefix.AnnounceAll() {
		w.announce = append(w.announce, handle)
	}
	return func() {}, nil
}

// sign is a sign of life of the executor.
func (w *wires) sign() {
	body, _ := json.Marshal(wire.Announce{Version: wire.Version, Name: "x1", Incarnation: "i1", Pool: "default", Slots: 1})
	w.mu.Lock()
	announce := w.announce
	w.mu.Unlock()
	for _, hear := range announce {
		hear(wire.DefaultPrefix.AnnounceSubject("x1"), body)
	}
}

func (w *wires) Listen(subject string, handle func(*nats.Msg)) (func(), error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	to := strings.TrimSuffix(subject, "*.*")
	w.heard[to] = handle
	return func() { w.cut(to) }, nil
}

// cut has nobody hear what is asked there.
func (w *wires) cut(to string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.heard, to)
}

func (w *wires) PublishMsg(m *nats.Msg) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if reply := w.replies[m.Subject]; reply != nil {
		reply <- m
	}
	return nil
}

func (w *wires) RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	if strings.HasPrefix(m.Subject, "belfry.exec.") {
		return &nats.Msg{Data: []byte("{}")}, nil // all code is good
	}
	token := strings.SplitN(m.Subject, ".", 4)
	reply := make(chan *nats.Msg, 1)
	there, back := true, true
	w.mu.Lock()
	w.times++
	times, hear := w.times, w.heard[strings.Join(token[:3], ".")+"."]
	w.mu.Unlock()
	if hear == nil {
		return nil, nats.ErrNoResponders
	}
	if w.hop != nil {
		there, back = w.hop(m, times-1)
	}
	w.mu.Lock()
	asked := *m
	asked.Reply = fmt.Sprint("reply.", times)
	if back {
		w.replies[asked.Reply] = reply
	}
	w.mu.Unlock()
	if there {
		hear(&asked)
	}
	select {
	case answer := <-reply:
		return answer, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// several are nodes over one log.
type several struct {
	t   *testing.T
	log *memlog.Log
	*wires
	nodes map[string]*Service
}

// newSeveral starts nodes in a bubble. The first owns everything.
func newSeveral(t *testing.T, names ...string) *several {
	t.Helper()
	c := &several{t: t, log: memlog.New(memlog.Faults{}), wires: newWires(), nodes: map[string]*Service{}}
	for _, name := range names {
		c.start(name, memlog.Faults{})
	}
	c.sign()
	return c
}

func (c *several) start(name string, faults memlog.Faults) {
	c.t.Helper()
	log, quiet := c.log.With(faults), slog.New(slog.DiscardHandler)
	sched, err := scheduler.New(scheduler.Config{
		Node: name, Process: name + "1", Version: "test", Log: log, Stream: "01STREAM", Bus: c.wires, Logger: quiet,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := sched.Start(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	s := New(Config{
		Name: name, Node: c.wires, Listen: c.Listen, Scheduler: sched, Log: log, Logger: quiet,
		Status: func(context.Context, *api.ClusterStatus) {}, Members: leading{name},
	})
	if err := s.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.nodes[name] = s
}

// leading changes the cluster where it is led: at a.
type leading struct{ at string }

func (l leading) elsewhere() *api.Error {
	if l.at == "a" {
		return nil
	}
	refused := api.Errorf(api.Unavailable, "", "a leads")
	refused.Owner = "a"
	return refused
}

func (l leading) Remove(_ context.Context, name string) (api.Removal, *api.Error) {
	return api.Removal{Name: name, Role: api.RoleLeaving, Step: api.StepPartitions, Partitions: 3}, l.elsewhere()
}

func (l leading) Transfer(_ context.Context, to string) (api.Transferred, *api.Error) {
	return api.Transferred{Leader: to}, l.elsewhere()
}

func (c *several) stop() {
	for _, s := range c.nodes {
		s.Stop()
		s.cfg.Scheduler.Stop()
	}
}

// kill ends a node as kill -9 does: it answers nobody any more.
func (c *several) kill(name string) {
	c.cut("belfry.node." + name + ".")
	c.nodes[name].cfg.Scheduler.Fail(context.Canceled)
}

// ask asks a node as callers do.
func (c *several) ask(node, verb, id, body string) (jsontext.Value, *api.Error) {
	answer, _, refused := c.nodes[node].Ask(context.Background(), verb, api.Admin, id, []byte(body))
	return answer, refused
}

// must asks for what has to succeed, and returns the id of its record.
func (c *several) must(node, verb, id, body string) string {
	c.t.Helper()
	answer, refused := c.ask(node, verb, id, body)
	if refused != nil {
		c.t.Fatalf("%s at %s: %v", verb, node, refused)
	}
	return field(c.t, answer, "id")
}

func field(t *testing.T, answer jsontext.Value, name string) string {
	t.Helper()
	var record map[string]jsontext.Value
	var text string
	if err := json.Unmarshal(answer, &record); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	_ = json.Unmarshal(record[name], &text) // "" if it is none
	return text
}

// function creates one that all nodes know of.
func (c *several) function() string {
	return c.must("a", "function.create", "", `{"name":"hello","code":"pass"}`)
}

// give has partitions change hands.
func (c *several) give(from, to string, partitions ...int) {
	c.t.Helper()
	if err := c.nodes[from].cfg.Scheduler.GiveAway(c.t.Context(), to, partitions); err != nil {
		c.t.Fatal(err)
	}
}

// count is how many records there are, by name.
func (c *several) count(node, entity string) map[string]int {
	c.t.Helper()
	answer, refused := c.ask(node, entity+".list", "", `{"limit":1000}`)
	if refused != nil {
		c.t.Fatal(refused)
	}
	var page api.Page[struct {
		Name string `json:"name"`
	}]
	if err := json.Unmarshal(answer, &page); err != nil {
		c.t.Fatal(err)
	}
	names := map[string]int{}
	for _, r := range page.Records {
		names[r.Name]++
	}
	return names
}

// judge has the log judged.
func (c *several) judge() {
	c.t.Helper()
	info, err := c.log.Info(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	v := check.New()
	err = c.log.Follow(c.t.Context(), 1, func(m eventlog.Message) error {
		v.Commit(check.Commit{Seq: m.Seq, Subject: eventlog.DefaultPrefix.Subject(m.Lane), Body: m.Body})
		if m.Seq == info.LastSeq {
			return errJudged
		}
		return nil
	})
	if err != errJudged { //nolint:errorlint // it is ours
		c.t.Fatal(err)
	}
	v.Finish()
	if report := v.Report(""); report != "" {
		c.t.Error(report)
	}
}

const inAnHour = `"run_date_time":"2000-01-01T01:00:00Z","function":"hello"`

// soon waits a moment in the bubble.
func soon() { time.Sleep(10 * time.Millisecond) }
