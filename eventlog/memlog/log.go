package memlog

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/belfryhq/belfry/eventlog"
)

// Log is a stream in memory, as one node sees it.
type Log struct {
	stream *stream
	faults Faults
}

var _ eventlog.Log = (*Log)(nil)

// New makes an empty stream.
func New(faults Faults) *Log { return &Log{stream: newStream(), faults: faults} }

// With is the same stream, seen with other faults: by another node.
func (l *Log) With(faults Faults) *Log { return &Log{stream: l.stream, faults: faults} }

// Append implements eventlog.Log.
func (l *Log) Append(ctx context.Context, lane string, expect eventlog.Expect, id string, body []byte) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("%w: %w", eventlog.ErrUnknown, err)
	}
	var fault Fault
	if l.faults.BeforeAppend != nil {
		fault = l.faults.BeforeAppend(lane, id)
	}
	switch fault.Kind {
	case None:
	case Lost:
		return 0, unknownAfter(ctx, fault)
	case AckLost:
		_, _ = l.stream.append(lane, expect, id, body) // nobody hears how it went
		return 0, unknownAfter(ctx, fault)
	case Late:
		l.land(fault.Delay, lane, expect, id, body)
		return 0, unknownAfter(ctx, Fault{Kind: Late})
	case Delayed:
		return l.delayed(ctx, fault.Delay, lane, expect, id, body)
	}
	return l.stream.append(lane, expect, id, body)
}

// landed is how an append went that was stored later.
type landed struct {
	seq uint64
	err error
}

// land appends after a delay.
func (l *Log) land(delay time.Duration, lane string, expect eventlog.Expect, id string, body []byte) <-chan landed {
	done := make(chan landed, 1)
	body = append([]byte(nil), body...)
	time.AfterFunc(delay, func() {
		seq, err := l.stream.append(lane, expect, id, body)
		done <- landed{seq, err}
	})
	return done
}

func (l *Log) delayed(ctx context.Context, delay time.Duration, lane string, expect eventlog.Expect, id string, body []byte) (uint64, error) {
	select {
	case r := <-l.land(delay, lane, expect, id, body):
		return r.seq, r.err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", eventlog.ErrUnknown, ctx.Err())
	}
}

// unknownAfter is ErrUnknown after a fault's delay or when ctx ends.
func unknownAfter(ctx context.Context, fault Fault) error {
	if err := pause(ctx, fault.Delay); err != nil {
		return fmt.Errorf("%w: %w", eventlog.ErrUnknown, err)
	}
	return fmt.Errorf("%w: a fault was injected (kind %d)", eventlog.ErrUnknown, fault.Kind)
}

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Get implements eventlog.Log.
func (l *Log) Get(ctx context.Context, seq uint64) (eventlog.Message, error) {
	if err := l.read(ctx); err != nil {
		return eventlog.Message{}, err
	}
	m, ok := l.stream.get(seq)
	if !ok || m.Seq > l.present() {
		return eventlog.Message{}, eventlog.ErrNotFound
	}
	return m, nil
}

// Next implements eventlog.Log.
func (l *Log) Next(ctx context.Context, lane string, seq uint64) (eventlog.Message, error) {
	if err := l.read(ctx); err != nil {
		return eventlog.Message{}, err
	}
	m, ok := l.stream.next(lane, seq)
	if !ok || m.Seq > l.present() {
		return eventlog.Message{}, eventlog.ErrNotFound
	}
	return m, nil
}

// Info implements eventlog.Log. The leader is "".
func (l *Log) Info(ctx context.Context) (eventlog.Info, error) {
	if err := l.read(ctx); err != nil {
		return eventlog.Info{}, err
	}
	i := l.stream.info()
	if last := l.present(); i.LastSeq > last {
		i.Messages -= i.LastSeq - last // a leader's past has no holes
		i.LastSeq = last
	}
	return i, nil
}

// present is the last sequence that reads may know.
func (l *Log) present() uint64 {
	if l.faults.Past != nil {
		if seq := l.faults.Past(); seq > 0 {
			return seq
		}
	}
	return math.MaxUint64
}

// Integrity says whether the stream is whole: Info and its Check.
func (l *Log) Integrity(ctx context.Context, remembered uint64) error {
	info, err := l.Info(ctx)
	if err != nil {
		return err
	}
	return info.Check(remembered)
}

// read is what comes before each read.
func (l *Log) read(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.faults.BeforeRead != nil {
		return l.faults.BeforeRead()
	}
	return nil
}

// Follow implements eventlog.Log. When ctx ends, its cause is returned.
func (l *Log) Follow(ctx context.Context, seq uint64, deliver func(eventlog.Message) error) error {
	var delivered uint64
	for next := max(seq, 1); ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		m, grown, err := l.stream.wait(next, delivered)
		if err != nil {
			return err
		}
		if grown != nil {
			select {
			case <-ctx.Done():
			case <-grown:
			}
			continue
		}
		if l.faults.BeforeDeliver != nil {
			if err := pause(ctx, l.faults.BeforeDeliver(next)); err != nil {
				return err
			}
		}
		if err := deliver(m); err != nil {
			return err
		}
		delivered, next = next, next+1
	}
}
