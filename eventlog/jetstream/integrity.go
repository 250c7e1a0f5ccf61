package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/eventlog"
)

// errEnd stops Scrub's Follow.
var errEnd = errors.New("the end is reached")

// Integrity says whether the stream is whole, as far as can be told at once:
// that it is the one that was opened, ends at remembered or later, counts no
// holes, and that its first message, the remembered one and its last can be
// read. It is ErrDamaged if not. It costs four requests. It does not read what
// lies between, where the server itself does not know of a flipped bit until
// somebody asks for that message: that is Scrub. Several replicas are looked at
// again, for Config.DamagePatience, before they count as damaged, and while
// nobody leads a majority of them, until ctx ends.
func (l *Log) Integrity(ctx context.Context, remembered uint64) error {
	doubt := eventlog.Doubt{Patience: l.cfg.DamagePatience}
	for {
		err := doubt.Judge(l.whole(ctx, remembered), l.replicas, time.Now())
		again := errors.Is(err, eventlog.ErrDoubtful) || errors.Is(err, ErrNoMajority) || errors.Is(err, ErrNoLeader)
		if !again {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(askAgain):
		}
	}
}

// whole is one look of Integrity.
func (l *Log) whole(ctx context.Context, remembered uint64) error {
	info, err := l.Info(ctx)
	if err != nil {
		return err
	}
	if err := info.Check(remembered); err != nil {
		return err
	}
	for _, seq := range []uint64{info.FirstSeq, max(remembered, info.FirstSeq), info.LastSeq} {
		if info.Messages == 0 {
			break
		}
		if _, err := l.Get(ctx, seq); errors.Is(err, eventlog.ErrNotFound) {
			return unreadable(seq)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Scrub reads every message from seq to the last and returns the sequence that
// it came to; ErrDamaged if one of them cannot be read. It takes as long as a
// replay does, and as pace, which is called after each of them, makes it wait; an
// error of pace ends it.
func (l *Log) Scrub(ctx context.Context, seq uint64, pace func() error) (uint64, error) {
	info, err := l.Info(ctx)
	if err != nil {
		return 0, err
	}
	if err := info.Check(0); err != nil {
		return 0, err
	}
	if seq = max(seq, info.FirstSeq); seq > info.LastSeq {
		return info.LastSeq, nil
	}
	err = l.Follow(ctx, seq, func(m eventlog.Message) error {
		if m.Seq >= info.LastSeq {
			return errEnd
		}
		return pace()
	})
	if !errors.Is(err, errEnd) {
		return 0, err
	}
	return info.LastSeq, nil
}

// unreadable is the error of a message that must be there and is not.
func unreadable(seq uint64) error {
	return fmt.Errorf("%w: sequence %d cannot be read: restore its files or a backup", eventlog.ErrDamaged, seq)
}
