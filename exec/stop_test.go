package exec_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

// stop stops the executor beside the test.
func (b *bench) stop(ctx context.Context) (done func() bool) {
	b.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- b.exec.Stop(ctx) }()
	synctest.Wait()
	b.settle()
	return func() bool {
		b.t.Helper()
		synctest.Wait()
		select {
		case err := <-ended:
			if err != nil {
				b.t.Error(err)
			}
			ended <- nil
			return true
		default:
			return false
		}
	}
}

func TestStopHandsBackAndLetsRunsEnd(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		b.send(b.run("r1", 100), b.run("r2", 101))
		stopped := b.stop(b.t.Context())
		if r := b.one(wire.HandedBack); r.Data.Run != "r2" {
			t.Errorf("handed back %+v", r.Data)
		}
		if !b.told.Leaving || b.told.Windows["owner-a"] != 0 {
			t.Errorf("announced %+v", b.told)
		}
		b.send(b.run("r3", 102))
		b.refused("leaving", 1)
		b.pass(2 * time.Second)
		if stopped() {
			t.Fatal("stopped while a run is within its grace")
		}
		b.complete("r1")
		reports := b.take()
		if last := reports[len(reports)-1].Data; last.Run != "r1" || last.Kind != wire.Completed {
			t.Errorf("the last report is %+v", last)
		}
		b.stored(attempt("r1"), attempt("r2"))
		if !stopped() {
			t.Error("not stopped though all is stored")
		}
		if err := b.exec.Stop(b.t.Context()); err != nil {
			t.Error(err)
		}
		if s := b.exec.Stats(); s.Stored != 2 {
			t.Errorf("the stats after a stop are %+v", s)
		}
	})
}

func TestStopEndsWhatDoesNotEnd(t *testing.T) {
	bubble(t, exec.Config{Slots: 1, Grace: 3 * time.Second}, func(b *bench) {
		b.send(b.run("r1", 100))
		stopped := b.stop(b.t.Context())
		b.ask("owner-a", map[int]uint64{1: 10})
		b.pass(2900 * time.Millisecond)
		if n := len(b.take()); n != 0 {
			t.Errorf("%d reports within the grace", n)
		}
		b.pass(200 * time.Millisecond)
		if r := b.one(wire.Lost); r.Data.Error == nil || r.Data.Error.Type != "ExecutorStopped" {
			t.Errorf("reported %+v", r.Data)
		}
		b.pass(time.Second) // nobody stores it
		if !stopped() {
			t.Error("not stopped though the time to flush is over")
		}
		if !b.told.Leaving || len(b.told.Held) != 1 {
			t.Errorf("the last announcement is %+v", b.told)
		}
	})
}

func TestStopWithoutTimeStopsAtOnce(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		b.send(b.run("r1", 100))
		ctx, cancel := context.WithCancel(b.t.Context())
		cancel()
		begun := time.Now()
		if err := b.exec.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		b.settle()
		b.one(wire.Lost)
		if d := time.Since(begun); d > 0 {
			t.Errorf("it took %s", d)
		}
	})
}

func TestStopSaysWhatDoesNotEnd(t *testing.T) {
	bubble(t, exec.Config{Slots: 1, NoGrace: true}, func(b *bench) {
		b.runtime.deaf = true
		b.send(b.run("r1", 100))
		err := b.exec.Stop(b.t.Context())
		if err == nil || err.Error() != "exec: the runtime did not end attempt 1 of r1: kill this process" {
			t.Errorf("the error is %v", err)
		}
		b.runtime.call("r1").done <- success()
	})
}

func TestStartWithoutAServer(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		if err := b.exec.Stop(b.t.Context()); err != nil {
			t.Fatal(err)
		}
		b.execNC.Close()
		if err := b.exec.Start(b.t.Context()); err == nil {
			t.Error("started without a connection")
		}
	})
}
