package sim

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// network carries messages in the bubble. Each receiver gets those of all
// senders in one order, as over one connection; they take a moment, and some
// are lost or come twice.
type network struct {
	plant   *plant
	mu      sync.Mutex
	subs    map[*subscription]struct{}
	replies int
}

// subscription is a receiver.
type subscription struct {
	to      *endpoint
	pattern []string
	queue   chan delivery
	quit    chan struct{}
}

type delivery struct {
	msg *nats.Msg
	at  time.Time
}

// queueMax is how many messages wait for a receiver; more are lost, as NATS
// does with slow consumers.
const queueMax = 10_000

// endpoint is one process's connection to the network. It is a scheduler.Bus
// a service.Nodes
// and an exec.Bus.
type endpoint struct {
	net  *network
	life *life
}

func (n *network) endpoint(l *life) *endpoint { return &endpoint{n, l} }

// Publish implements both buses.
func (e *endpoint) Publish(subject string, body []byte) error {
	e.publish(&nats.Msg{Subject: subject, Data: body})
	return nil
}

func (e *endpoint) publish(m *nats.Msg) {
	if e.life.hold(func() { e.carry(m) }) {
		return // it goes out when the process wakes
	}
	e.carry(m)
}

// carry gives a message to who listens.
func (e *endpoint) carry(m *nats.Msg) {
	if e.life.severed() {
		return
	}
	n := e.net
	if n.plant.message != nil {
		m = n.plant.message(m)
	}
	tokens := strings.Split(m.Subject, ".")
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.subs {
		if !matches(s.pattern, tokens) || s.to.life.severed() {
			continue
		}
		for range s.to.life.odds.copies() {
			select {
			case s.queue <- delivery{m, time.Now().Add(s.to.life.odds.transit())}:
			default:
			}
		}
	}
}

func matches(pattern, tokens []string) bool {
	for i, p := range pattern {
		switch {
		case p == ">":
			return len(tokens) > i
		case i >= len(tokens), p != "*" && p != tokens[i]:
			return false
		}
	}
	return len(pattern) == len(tokens)
}

// subscribe has messages delivered, one at a time, until it is stopped.
func (e *endpoint) subscribe(subject string, deliver func(*nats.Msg)) (stop func()) {
	s := &subscription{to: e, pattern: strings.Split(subject, "."), queue: make(chan delivery, queueMax), quit: make(chan struct{})}
	e.net.mu.Lock()
	e.net.subs[s] = struct{}{}
	e.net.mu.Unlock()
	go s.run(deliver)
	return sync.OnceFunc(func() {
		e.net.mu.Lock()
		delete(e.net.subs, s)
		e.net.mu.Unlock()
		close(s.quit)
	})
}

func (s *subscription) run(deliver func(*nats.Msg)) {
	for {
		select {
		case <-s.quit:
			return
		case d := <-s.queue:
			if !s.wait(time.Until(d.at)) || !s.to.life.awake(s.quit) {
				return
			}
			deliver(d.msg)
		}
	}
}

func (s *subscription) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-s.quit:
		return false
	case <-time.After(d):
		return true
	}
}

// Subscribe implements scheduler.Bus.
func (e *endpoint) Subscribe(subject string, handle func(string, []byte)) (func(), error) {
	return e.subscribe(subject, func(m *nats.Msg) { handle(m.Subject, m.Data) }), nil
}

// Request implements scheduler.Bus.
func (e *endpoint) Request(ctx context.Context, subject string, body []byte) ([]byte, error) {
	answer, err := e.request(ctx, &nats.Msg{Subject: subject, Data: body})
	if err != nil {
		return nil, err
	}
	return answer.Data, nil
}

// RequestMsgWithContext implements service.Nodes.
func (e *endpoint) RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	if !e.life.severed() && !e.net.hears(m.Subject) {
		return nil, nats.ErrNoResponders
	}
	asked := *m
	return e.request(ctx, &asked)
}

// PublishMsg implements service.Nodes.
func (e *endpoint) PublishMsg(m *nats.Msg) error {
	e.publish(m)
	return nil
}

// Hear is service.Config.Listen.
func (e *endpoint) Hear(subject string, handle func(*nats.Msg)) (func(), error) {
	return e.subscribe(subject, handle), nil
}

// hears says whether anybody listens.
func (n *network) hears(subject string) bool {
	tokens := strings.Split(subject, ".")
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.subs {
		if matches(s.pattern, tokens) {
			return true
		}
	}
	return false
}

func (e *endpoint) request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	e.net.mu.Lock()
	e.net.replies++
	reply := "reply." + strconv.Itoa(e.net.replies)
	e.net.mu.Unlock()
	answer := make(chan *nats.Msg, 2)
	stop := e.subscribe(reply, func(m *nats.Msg) {
		select {
		case answer <- m:
		default:
		}
	})
	defer stop()
	m.Reply = reply
	e.publish(m)
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
		return nil, errors.Join(errors.New("nobody answered"), ctx.Err())
	}
}

// Listen implements exec.Bus.
func (e *endpoint) Listen(subject string, into chan *nats.Msg) (func(), error) {
	return e.subscribe(subject, func(m *nats.Msg) {
		select {
		case into <- m:
		default: // its inbox is full: a slow consumer
		}
	}), nil
}

// IsConnected implements exec.Bus.
func (e *endpoint) IsConnected() bool { return !e.life.severed() }

// StatusChanged implements exec.Bus. What a cut connection misses is repeated
// by time alone here.
func (e *endpoint) StatusChanged(...nats.Status) chan nats.Status { return make(chan nats.Status) }

// RemoveStatusListener implements exec.Bus.
func (e *endpoint) RemoveStatusListener(l chan nats.Status) { close(l) }

// FlushWithContext implements exec.Bus.
func (e *endpoint) FlushWithContext(context.Context) error { return nil }
