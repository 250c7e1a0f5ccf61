package jetstream

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/eventlog"
)

// walkPause is between two looks for something new.
const walkPause = 50 * time.Millisecond

// walk follows without a consumer, for as long as a round may wait for one, and
// returns why there was none. A consumer needs the leader of the whole cluster,
// and a server that the leader holds to be alive; when one server dies, both may
// be missing for ten seconds. Each message read by itself needs the stream's
// leader only, without which nothing is appended. It costs a request for each.
func (f *follower) walk(ctx context.Context, cause error) error {
	end := time.NewTimer(f.wait)
	defer end.Stop()
	for {
		info, err := f.check(ctx)
		if err != nil {
			return err
		}
		for f.next <= info.LastSeq {
			m, err := f.read(ctx)
			if err != nil {
				return err
			}
			f.heard = true
			if err := f.pass(m); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-end.C:
			return cause
		case <-time.After(walkPause):
		}
	}
}

// read gets the next message, which is stored.
func (f *follower) read(ctx context.Context) (eventlog.Message, error) {
	look, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	m, err := f.log.Get(look, f.next)
	if err != nil {
		return m, f.missing(ctx)
	}
	return m, nil
}
