package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/eventlog"
)

const (
	// retryMin and retryMax bound the pause before Follow begins anew.
	retryMin, retryMax = 50 * time.Millisecond, 250 * time.Millisecond
	// silentMax is how many heartbeats may be missed.
	silentMax = 3
)

// Why a round of following ended; the next one begins where it stood.
var (
	errSilent  = errors.New("the server gives no sign of life")
	errSkipped = errors.New("a message that is stored was not delivered")
)

// final is an error that ends Follow.
type final struct{ error }

// follower is one Follow: rounds, each with a consumer of its own, until ctx
// ends or an error is final.
type follower struct {
	log     *Log
	deliver func(eventlog.Message) error
	next    uint64 // the sequence to deliver next
	// last is the latest sequence that was delivered, 0 before the first.
	// Invariant: last is 0 or next-1.
	last uint64
	// wait bounds each of its own requests: short at first, since a connection
	// that breaks swallows them, and longer with each round that heard nothing.
	wait  time.Duration
	heard bool // this round heard a message or a sign of life
	// shape and hole are the doubts whether the stream as a whole, and the next
	// message, are damaged.
	shape, hole eventlog.Doubt
	// suspect is the sequence that the last look at the tail found stored but
	// not delivered, 0 for none.
	suspect uint64
}

// Follow implements eventlog.Log. deliver runs in the caller's goroutine. When
// ctx ends, its cause is returned. A start that is no longer kept, because the
// front of the history was cut, is eventlog.ErrNotFound.
func (l *Log) Follow(ctx context.Context, seq uint64, deliver func(eventlog.Message) error) error {
	patient := eventlog.Doubt{Patience: l.cfg.DamagePatience}
	f := &follower{log: l, deliver: deliver, next: max(seq, 1), shape: patient, hole: patient}
	pause, said := retryMin, ""
	for {
		if f.wait = min(2*f.wait, l.cfg.ReadTimeout); f.heard || f.wait == 0 {
			pause, f.wait, said = retryMin, silentMax*l.cfg.Heartbeat, ""
		}
		f.heard = false
		err := f.round(ctx)
		var end final
		switch {
		case errors.As(err, &end):
			return end.error
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, eventlog.ErrDamaged):
			return err
		case l.nc.IsClosed():
			return fmt.Errorf("follow from sequence %d: %w", f.next, nats.ErrConnectionClosed)
		}
		if err.Error() != said { // without a leader it is the same for seconds
			said = err.Error()
			l.cfg.Logger.Info("following begins anew", slog.Uint64("seq", f.next), slog.Any("cause", err))
		}
		if errors.Is(err, errElected) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, retryMax)
	}
}

// round follows until something is wrong and says what. The error is never nil.
func (f *follower) round(ctx context.Context) error {
	// Who led before goes on to push, until it stops, which nobody tells.
	ctx, end := f.log.elections.term(ctx)
	defer end()
	if _, err := f.check(ctx); err != nil {
		return err
	}
	arrived := make(chan *nats.Msg, f.log.buffer)
	sub, err := f.log.nc.ChanSubscribe(f.log.nc.NewInbox(), arrived)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only when the connection is closed
	s, err := f.begin(ctx, sub.Subject)
	if err != nil {
		return err
	}
	defer s.close()
	return f.receive(ctx, s, arrived)
}

// source is a consumer at the server.
type source interface {
	// handled counts a message that was delivered.
	handled(m *nats.Msg) error
	// status takes a note of the server.
	status(m *nats.Msg) error
	// close lets the server forget the consumer.
	close()
}

// begin makes a consumer whose messages come to inbox.
func (f *follower) begin(ctx context.Context, inbox string) (source, error) {
	if f.log.replicas > 1 {
		return f.newPusher(ctx, inbox)
	}
	return f.newPuller(ctx, inbox)
}

// receive delivers what arrives and watches for silence and for messages that
// do not come.
func (f *follower) receive(ctx context.Context, s source, arrived <-chan *nats.Msg) error {
	beat := time.NewTicker(f.log.cfg.Heartbeat)
	defer beat.Stop()
	silent, idle := 0, 0 // heartbeats without any sign, without a message
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case m := <-arrived:
			silent = 0
			if isStatus(m) {
				if err := s.status(m); err != nil {
					return err
				}
				f.heard = true
				continue
			}
			idle, f.heard = 0, true
			if err := f.message(ctx, m); err != nil {
				return err
			}
			if err := s.handled(m); err != nil {
				return err
			}
		case <-beat.C:
			if silent++; silent > silentMax {
				return errSilent
			}
			if idle++; time.Duration(idle)*f.log.cfg.Heartbeat < f.log.cfg.TailCheck {
				continue
			}
			idle = 0
			if err := f.tail(ctx); err != nil {
				return err
			}
		}
	}
}

// message delivers m if its turn has come.
func (f *follower) message(ctx context.Context, m *nats.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("a message of the stream without a sequence: %w", err)
	}
	switch seq := meta.Sequence.Stream; {
	case seq < f.next:
		return fmt.Errorf("sequence %d came again", seq)
	case seq > f.next:
		return f.missing(ctx)
	}
	if err := f.deliver(f.log.message(m.Subject, f.next, m.Header, m.Data)); err != nil {
		return final{err}
	}
	_ = f.hole.Judge(nil, 1, time.Time{}) // there is none
	f.last = f.next
	f.next++
	return nil
}

// check asks for the stream's state and says what forbids to go on. What a
// leader without a majority tells forbids nothing: what it sends was committed,
// and what it does not know it may yet learn.
func (f *follower) check(ctx context.Context) (eventlog.Info, error) {
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	info, err := f.log.look(ctx)
	if err != nil || !info.Majority() {
		return info, err
	}
	if err := f.shape.Judge(info.Check(f.last), info.Replicas, time.Now()); err != nil {
		return info, err
	}
	if f.next < info.FirstSeq {
		return info, final{fmt.Errorf("%w: sequence %d was cut with the front of the history, which begins at %d now",
			eventlog.ErrNotFound, f.next, info.FirstSeq)}
	}
	return info, nil
}

// tail looks whether anything is stored that should have come. A server that
// cannot read a message logs it and stays silent.
func (f *follower) tail(ctx context.Context) error {
	info, err := f.check(ctx)
	switch {
	case err != nil:
		return err
	case info.LastSeq < f.next:
		f.suspect = 0
	case f.suspect != f.next:
		f.suspect = f.next // it may be on its way
	default:
		return f.missing(ctx)
	}
	return nil
}

// missing says why the next message did not come.
func (f *follower) missing(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	_, err := f.log.Get(look, f.next)
	switch {
	case err == nil:
		return errSkipped
	case !errors.Is(err, eventlog.ErrNotFound):
		return err
	}
	info, err := f.check(ctx)
	switch {
	case err != nil:
		return err
	case !info.Majority():
		return errSkipped
	}
	return f.hole.Judge(unreadable(f.next), info.Replicas, time.Now())
}
