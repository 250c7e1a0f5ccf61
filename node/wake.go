package node

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// listenAgainAfter is the pause after the stream could not be listened to.
	listenAgainAfter = time.Second
	// listenIdle is for how long the consumer outlives who waited last: they
	// ask again and again.
	listenIdle = 10 * time.Second
	// consumerIdle is after what silence of ours the server forgets it.
	consumerIdle = 30 * time.Second
)

// wakers tell those who wait that a run's output has more. There is one consumer
// for all of them, while there are any; it is sent no more than subjects, and
// what it is sent is stored already, so that who is woken can read it.
type wakers struct {
	stream jetstream.Stream
	log    *slog.Logger

	mu      sync.Mutex
	waiting map[string][]chan struct{} // by run
	stop    func()                     // ends listening; nil while nobody listens
	idle    *time.Timer                // calls it
	closed  bool
	under   sync.WaitGroup
}

func newWakers(stream jetstream.Stream, log *slog.Logger) *wakers {
	return &wakers{stream: stream, log: log, waiting: map[string][]chan struct{}{}}
}

// watch gives a channel that has a value when there may be more of a run's
// output, until stop. Watch before you read.
func (w *wakers) watch(run string) (more <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[run] = append(w.waiting[run], c)
	if w.idle != nil {
		w.idle.Stop()
	}
	if w.stop == nil && !w.closed {
		ctx, cancel := context.WithCancel(context.Background())
		w.stop = cancel
		w.under.Go(func() { w.listen(ctx) })
	}
	return c, func() { w.leave(run, c) }
}

func (w *wakers) leave(run string, c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := w.waiting[run][:0]
	for _, other := range w.waiting[run] {
		if other != c {
			rest = append(rest, other)
		}
	}
	if w.waiting[run] = rest; len(rest) == 0 {
		delete(w.waiting, run)
	}
	if len(w.waiting) > 0 || w.stop == nil {
		return
	}
	if w.idle == nil {
		w.idle = time.AfterFunc(listenIdle, w.rest)
	} else {
		w.idle.Reset(listenIdle)
	}
}

// rest ends listening if nobody waits.
func (w *wakers) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 && w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// close ends listening for good.
func (w *wakers) close() {
	w.mu.Lock()
	w.closed = true
	if w.idle != nil {
		w.idle.Stop()
	}
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
	w.mu.Unlock()
	w.under.Wait()
}

// listen wakes until ctx ends, through outages too.
func (w *wakers) listen(ctx context.Context) {
	for ctx.Err() == nil {
		if err := w.consume(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("output cannot be followed; trying again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(listenAgainAfter):
			}
		}
	}
}

// consume wakes until ctx ends or the consumer does.
func (w *wakers) consume(ctx context.Context) error {
	consumer, err := w.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverNewPolicy, AckPolicy: jetstream.AckNonePolicy,
		HeadersOnly: true, MemoryStorage: true, Replicas: 1, InactiveThreshold: consumerIdle,
	})
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	consuming, err := consumer.Consume(func(m jetstream.Msg) { w.wake(m.Subject()) },
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			select {
			case failed <- err:
			default:
			}
		}))
	if err != nil {
		return err
	}
	defer consuming.Stop()
	w.wakeAll() // for what was stored before the consumer was there
	select {
	case <-ctx.Done():
		deleting, cancel := context.WithTimeout(context.WithoutCancel(ctx), listenAgainAfter)
		defer cancel()
		_ = w.stream.DeleteConsumer(deleting, consumer.CachedInfo().Name) // else the server forgets it
		return nil
	case err := <-failed:
		return err
	}
}

// wake wakes who waits for the run of a subject.
func (w *wakers) wake(subject string) {
	token := strings.Split(subject, ".")
	if len(token) != 5 { // see wire.LogsSubject
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.waiting[token[3]] {
		nudge(c)
	}
}

func (w *wakers) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, waiting := range w.waiting {
		for _, c := range waiting {
			nudge(c)
		}
	}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
