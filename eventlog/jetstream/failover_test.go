package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/belfryhq/belfry/eventlog"
)

// onWithin is by how much following may lag behind an append that has gone on.
const onWithin = time.Second

// roles says which server leads what; -1 for nobody.
func roles(servers []*server.Server) (meta, stream int) {
	meta, stream = -1, -1
	for i, s := range servers {
		if s.JetStreamIsLeader() {
			meta = i
		}
		if s.JetStreamIsStreamLeader("$G", eventlog.DefaultPrefix.Stream()) {
			stream = i
		}
	}
	return meta, stream
}

// arrange moves the stream's leader until it is, or is not, the leader of all
// JetStream.
func arrange(t *testing.T, servers []*server.Server, l *Log, one bool) (meta, stream int) {
	t.Helper()
	eventually(t, "the roles are as wanted", func() bool {
		meta, stream = roles(servers)
		if meta < 0 || stream < 0 || one == (meta == stream) {
			return meta >= 0 && stream >= 0
		}
		_, _ = l.nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+eventlog.DefaultPrefix.Stream(), nil, time.Second)
		time.Sleep(50 * time.Millisecond)
		return false
	})
	return meta, stream
}

// TestFollowingGoesOn: who dies costs a follower no more than it costs who
// appends, and a second.
func TestFollowingGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		one   bool // a single server leads all JetStream and the stream
		quick bool // nobody needs to be elected before the next append
		die   func(meta, stream int) int
	}{
		"the leader of all JetStream dies":           {false, true, func(meta, _ int) int { return meta }},
		"the stream's leader dies with its consumer": {false, false, func(_, stream int) int { return stream }},
		"one that leads both dies":                   {true, false, func(meta, _ int) int { return meta }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers, w := startCluster(t)
			l := createReplicated(t, connect(t, servers[0]), Config{})
			last := settle(t, l, 0, "first")
			meta, stream := arrange(t, servers, l, c.one)
			dead := c.die(meta, stream)
			var all []*following
			var appender *Log
			for i, s := range servers {
				if i != dead {
					appender = open(t, s, Config{Replicas: 3, AppendTimeout: 500 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
					all = append(all, follow(t.Context(), appender, 1))
				}
			}
			for _, f := range all {
				f.until(t, last)
			}
			w.kill(dead)
			died := time.Now()
			for i := range 5 {
				last = settle(t, appender, last, fmt.Sprint("c", i))
				stored := time.Now()
				for _, f := range all {
					f.until(t, last)
				}
				t.Logf("append %d: stored %s after the death, followed %s later", i, stored.Sub(died), time.Since(stored))
				if late := time.Since(stored); late > onWithin {
					t.Errorf("followers lag %s behind append %d", late, i)
				}
			}
			if c.quick && time.Since(died) > onWithin {
				t.Errorf("it took %s, though nobody had to be elected", time.Since(died))
			}
		})
	}
}

// TestALeaderCutOffSaysSo: it goes on to answer, but not for long as one who
// knows.
func TestALeaderCutOffSaysSo(t *testing.T) {
	t.Parallel()
	servers, w := startCluster(t)
	l := createReplicated(t, connect(t, servers[0]), Config{})
	last := settle(t, l, 0, "first")
	_, stream := roles(servers)
	cut := open(t, servers[stream], Config{Replicas: 3})
	rest := open(t, servers[(stream+1)%3], Config{Replicas: 3, AppendTimeout: 500 * time.Millisecond})
	f := follow(t.Context(), cut, 1)
	f.until(t, last)
	eventually(t, "all replicas are heard", func() bool {
		info, err := cut.Info(t.Context())
		return err == nil && info.Heard == 3 && info.Replicas == 3 && info.Leader != ""
	})
	w.split(stream)
	from := time.Now()
	eventually(t, "it says that it hears nobody", func() bool {
		_, err := cut.Info(t.Context())
		return err != nil
	})
	if took := time.Since(from); took > 3*time.Second {
		t.Errorf("it answered from its past for %s", took)
	}
	last = settle(t, rest, last, "second") // by another leader
	for range 3 {
		if info, err := cut.Info(t.Context()); err == nil {
			t.Errorf("cut off, it answers %+v", info)
		}
	}
	w.heal()
	f.until(t, last)
}

// TestDamageOfSeveralMustLast: a stream that is shorter than it was is looked at
// again.
func TestDamageOfSeveralMustLast(t *testing.T) {
	t.Parallel()
	const patience = 2 * time.Second
	servers, _ := startCluster(t)
	createReplicated(t, connect(t, servers[0]), Config{})
	l := open(t, servers[0], Config{Replicas: 3, DamagePatience: patience})
	last := settle(t, l, 0, "first")
	ctx, cancel := context.WithTimeout(t.Context(), patience/2)
	defer cancel()
	if err := l.Integrity(ctx, last+1); err == nil || errors.Is(err, eventlog.ErrDamaged) {
		t.Errorf("at first: got %v, want that it is doubtful", err)
	}
	from := time.Now()
	damaged(t, "in the end", l.Integrity(t.Context(), last+1))
	if took := time.Since(from); took < patience {
		t.Errorf("it counted after %s", took)
	}
	// Catching up ends the doubt.
	found := make(chan error, 1)
	go func() { found <- l.Integrity(t.Context(), last+1) }()
	settle(t, l, last, "second")
	if err := <-found; err != nil {
		t.Error(err)
	}
	if err := l.js.DeleteStream(t.Context(), eventlog.DefaultPrefix.Stream()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Info(t.Context()); err == nil || errors.Is(err, eventlog.ErrDamaged) {
		t.Errorf("deleted, at first: got %v, want that it is doubtful", err)
	}
	eventually(t, "the loss counts", func() bool {
		_, err := l.Info(t.Context())
		return errors.Is(err, eventlog.ErrDamaged) && errors.Is(err, ErrNoStream)
	})
}

// TestAnElectionIsHeardOf: what was asked of a leader that is one no more is not
// waited for until a time-out, neither by who appends nor by who follows, when it
// hands over and when it stops then.
func TestAnElectionIsHeardOf(t *testing.T) {
	t.Parallel()
	const timeout, soon = 20 * time.Second, 5 * time.Second
	servers, w := startCluster(t)
	first := createReplicated(t, connect(t, servers[0]), Config{})
	last := settle(t, first, 0, "first")
	_, gone := arrange(t, servers, first, false) // else its end costs more than the stream's leader
	var all []*following
	var l *Log
	for i, s := range servers {
		if i != gone {
			l = open(t, s, Config{Replicas: 3, AppendTimeout: timeout, Heartbeat: timeout / 2, TailCheck: timeout})
			all = append(all, follow(t.Context(), l, 1))
		}
	}
	for _, f := range all {
		f.until(t, last)
	}
	from := time.Now()
	go func() {
		_, _ = l.nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+eventlog.DefaultPrefix.Stream(), nil, time.Second)
	}()
	for k := 0; ; k++ {
		last = settle(t, l, last, fmt.Sprint("c", k))
		if _, leads := roles(servers); leads >= 0 && leads != gone {
			break
		}
	}
	for _, f := range all {
		f.until(t, last)
	}
	w.kill(gone)
	last = settle(t, l, last, "after its end")
	for _, f := range all {
		f.until(t, last)
	}
	if took := time.Since(from); took > soon {
		t.Errorf("an orderly change of leader cost %s", took)
	}
}
