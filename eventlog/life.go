package eventlog

import (
	"context"
	"fmt"
	"slices"
)

// Life reads the events of one entity back from the log, oldest first, each
// with the sequence of its commit. It begins at the commit at seq, which must
// hold one of them, and walks along prev to the first.
func Life(ctx context.Context, log Log, subject string, seq uint64) ([]Event, []uint64, error) {
	var events []Event // newest commit first; within a commit, latest first
	var seqs []uint64
	for seq != 0 {
		m, err := log.Get(ctx, seq)
		if err != nil {
			return nil, nil, fmt.Errorf("life of %s at %d: %w", subject, seq, err)
		}
		found, err := DecodeOf(m.Body, subject)
		if err != nil {
			return nil, nil, err
		}
		if len(found) == 0 {
			return nil, nil, damaged("commit %d should hold an event of %s and does not", seq, subject)
		}
		for n := len(found) - 1; n >= 0; n-- {
			events, seqs = append(events, found[n]), append(seqs, seq)
		}
		if found[0].Prev >= seq {
			return nil, nil, damaged("event %s names %d as the commit before it", found[0].ID, found[0].Prev)
		}
		seq = found[0].Prev
	}
	slices.Reverse(events)
	slices.Reverse(seqs)
	return events, seqs, nil
}
