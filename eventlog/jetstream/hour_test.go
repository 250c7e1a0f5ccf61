package jetstream

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"

	"github.com/belfryhq/belfry/eventlog"
)

// TestAnHourOfFollowing, in simulated time: requests expire and are renewed, the
// tail is looked at, and what is stored comes at once and once.
func TestAnHourOfFollowing(t *testing.T) {
	ats.Register() // the server's clock must not belong to the bubble
	defer ats.Unregister()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := options(dir)
		o.SyncAlways = false
		s := start(t, o)
		defer stopServer(s)
		nc := connect(t, s)
		defer nc.Close()
		if err := Create(t.Context(), nc, Config{}); err != nil {
			t.Fatal(err)
		}
		var anew bytes.Buffer
		l, err := Open(t.Context(), nc, Config{Logger: slog.New(slog.NewTextHandler(&anew, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		f := follow(ctx, l, 1)
		var last uint64
		for _, pause := range []time.Duration{0, time.Second, 29 * time.Second, 31 * time.Second, 7 * time.Minute, 51 * time.Minute} {
			time.Sleep(pause)
			asked := time.Now()
			last = put(t, l, "n1", last, 2)
			f.until(t, last)
			if took := time.Since(asked); took > 100*time.Millisecond {
				t.Errorf("after a pause of %s it came %s late", pause, took)
			}
		}
		cancel()
		if err := <-f.done; !errors.Is(err, context.Canceled) || errors.Is(err, eventlog.ErrDamaged) {
			t.Error(err)
		}
		if anew.Len() > 0 {
			t.Errorf("one consumer should have lasted, but:\n%s", anew.String())
		}
	})
}
