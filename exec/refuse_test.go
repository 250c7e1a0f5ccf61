package exec_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

func TestRunsThatAreRefused(t *testing.T) {
	for why, change := range map[string]func(b *bench, r *wire.Run){
		"another stream":              func(_ *bench, r *wire.Run) { r.Stream = "other" },
		"another incarnation":         func(_ *bench, r *wire.Run) { r.Incarnation = "other" },
		"a past epoch":                func(_ *bench, r *wire.Run) { r.Epoch = 9 },
		"below the oldest open claim": func(b *bench, r *wire.Run) { b.raise(); r.ClaimSeq = 49 },
		"already held":                func(_ *bench, r *wire.Run) { r.Run = "before" },
	} {
		t.Run(why, func(t *testing.T) {
			bubble(t, exec.Config{Slots: 4}, func(b *bench) {
				b.send(b.run("before", 60))
				r := b.run("r1", 100)
				change(b, &r)
				began := len(b.runtime.started())
				b.send(r)
				if n := len(b.runtime.started()); n != began {
					t.Error("it began")
				}
				if n := len(b.take()); n != 0 {
					t.Errorf("%d reports: a refusal is silent", n)
				}
				b.refused(why, 1)
				b.send(b.run("good", 101))
				if n := len(b.runtime.started()); n != began+1 {
					t.Error("a good run after it did not begin")
				}
			})
		})
	}
}

// raise has partition 1 hear of an oldest open claim of 50.
func (b *bench) raise() {
	b.t.Helper()
	r := b.run("raises", 60)
	r.OldestOpen = 50
	b.send(r)
}

func TestTheMarkOfAPartitionNeverGoesBack(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		b.raise()
		lower := b.run("lower", 55)
		lower.OldestOpen = 40
		b.send(lower, b.run("echo", 45))
		other := b.run("other partition", 45)
		other.Partition = 2
		b.send(other)
		b.holds(map[string]wire.HeldState{
			"raises": wire.HeldRunning, "lower": wire.HeldRunning, "other partition": wire.HeldRunning,
		})
		b.refused("below the oldest open claim", 1)
	})
}

func TestARefusedRunDoesNotRaiseTheMark(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		stale := b.run("stale", 100)
		stale.Epoch, stale.OldestOpen = 9, 90
		b.send(stale, b.run("r1", 50))
		b.holds(map[string]wire.HeldState{"r1": wire.HeldRunning})
	})
}

func TestADuplicateIsRefusedInEveryState(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		r1, r2 := b.run("r1", 100), b.run("r2", 101)
		b.send(r1, r2, r1, r2)
		b.refused("already held", 2)
		b.complete("r1")
		b.take()
		b.send(r1)
		b.refused("already held", 3)
		b.stored(attempt("r1"))
		b.send(r1)
		b.refused("already stored", 1)
		second := b.run("r1", 102)
		second.Attempt = 2
		b.complete("r2")
		b.send(second)
		if got := b.runtime.started(); fmt.Sprint(got) != "[r1 r2 r1]" {
			t.Errorf("began %v", got)
		}
	})
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		for i, subject := range []string{
			wire.DefaultPrefix.RunSubject("default", name), wire.DefaultPrefix.ExecSubject(name, wire.VerbStored), wire.DefaultPrefix.ExecSubject(name, wire.VerbAsk),
			wire.DefaultPrefix.ExecSubject(name, wire.VerbDemand), wire.DefaultPrefix.ExecSubject(name, wire.VerbCancel),
			wire.DefaultPrefix.ExecSubject(name, wire.VerbCheck), wire.DefaultPrefix.ExecSubject(name, "dance"),
		} {
			if err := b.nc.Publish(subject, []byte(`{"run":`)); err != nil {
				t.Fatal(err)
			}
			b.settle()
			b.refused("malformed", uint64(i+1))
		}
	})
}

func TestARunRaisesTheEpoch(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		newer := b.run("newer", 100)
		newer.Epoch = 20
		b.send(newer, b.run("older", 101))
		b.holds(map[string]wire.HeldState{"newer": wire.HeldRunning})
		b.refused("a past epoch", 1)
	})
}

func TestAskRaisesTheEpochsBeforeItIsAnswered(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		b.send(b.run("r1", 100))
		answer := b.ask("owner-b", map[int]uint64{1: 30})
		if answer == nil || len(answer.Held) != 1 || answer.Held[0] != (wire.Held{
			Run: "r1", Attempt: 1, Partition: 1, State: wire.HeldRunning,
		}) {
			t.Fatalf("the answer is %+v", answer)
		}
		b.send(b.run("late", 101))
		b.refused("a past epoch", 1)
		if b.ask("owner-a", map[int]uint64{1: 10}) != nil {
			t.Error("an owner that was replaced everywhere is answered")
		}
		if b.ask("owner-a", map[int]uint64{1: 10, 2: 10}) == nil {
			t.Error("an owner that was replaced somewhere is not answered")
		}
		if b.ask("owner-c", nil) == nil {
			t.Error("an owner of nothing is not answered")
		}
	})
}

func TestNobodyElsesRunsBeforeTheFirstAsk(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		if err := b.exec.Stop(b.t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.exec.Start(b.t.Context()); err != nil {
			t.Fatal(err)
		}
		b.settle()
		b.send(b.run("r1", 100))
		b.refused("another stream", 1)
	})
}

func TestAnotherStream(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		b.send(b.run("r1", 100), b.run("r2", 101))
		other := wire.Ask{Owner: "owner-x", Stream: "stream-2", Epochs: map[int]uint64{1: 3}}
		if b.askOf(other) != nil {
			t.Fatal("another stream is answered while owners of this one live")
		}
		b.demand(wire.Demand{Owner: "owner-x", Stream: "stream-2", Epoch: 3, Waiting: 1})
		b.refused("another stream", 2)
		b.pass(wire.LostAfter)
		b.take()
		answer := b.askOf(other)
		if answer == nil || len(answer.Held) != 0 {
			t.Fatalf("the answer is %+v", answer)
		}
		b.pass(wire.ReportEvery)
		if n := len(b.take()); n != 0 {
			t.Errorf("%d reports that no stream can store", n)
		}
		fresh := b.run("r1", 7) // its own marks, epochs, code and duplicates
		fresh.Stream, fresh.Epoch = "stream-2", 3
		b.send(fresh)
		if got := b.runtime.started(); len(got) != 2 {
			t.Errorf("began %v", got)
		}
		missing := b.run("r2", 8)
		missing.Stream, missing.Epoch, missing.Code = "stream-2", 3, nil
		b.send(missing)
		b.one(wire.CodeMissing)
	})
}

func TestCode(t *testing.T) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		with, without := b.run("r1", 100), b.run("r2", 101)
		without.Function, without.Code = with.Function, nil
		b.send(without)
		r := b.one(wire.CodeMissing)
		if r.Data.Run != "r2" || r.Data.FunctionVersion != 1 || !r.Data.Started.IsZero() {
			t.Errorf("reported %+v", r.Data)
		}
		b.pass(2 * wire.ReportEvery)
		if n := len(b.take()); n != 0 {
			t.Errorf("repeated %d times", n)
		}
		b.holds(map[string]wire.HeldState{})

		again := without
		again.Code = with.Code
		b.send(again, again) // the report may have come twice, and so the code
		b.holds(map[string]wire.HeldState{"r2": wire.HeldRunning})
		b.refused("already held", 1)

		third := b.run("r3", 102)
		third.Function, third.Code = with.Function, nil
		b.send(third)
		if c := b.runtime.call("r3"); c == nil || c.job.Code != *with.Code {
			t.Errorf("the code that is known was not used: %+v", c)
		}
		third = b.run("r4", 103)
		third.Function, third.Code, third.Version = with.Function, nil, 2
		b.send(third)
		b.one(wire.CodeMissing)
	})
}

func TestTheJobIsTheRun(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		r := b.run("r1", 100)
		b.send(r)
		j := b.runtime.call("r1").job
		got := fmt.Sprintln(j.Run, j.Attempt, j.Source, j.ScheduledFor.Equal(r.ScheduledFor), j.Function, j.FunctionName,
			j.Version, j.Code, string(j.User), j.UserID, string(j.Data), j.Timeout)
		if want := "r1 1 {item sci_1} true fun_r1 f 1 code of r1 {} ada {\"a\":1} 1m0s\n"; got != want {
			t.Errorf("the job is %s, not %s", got, want)
		}
	})
}

func TestTooMuchIsRefused(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		const most = 4 * wire.WindowMax
		for i := range most + 5 {
			r := b.run(fmt.Sprint("r", i), uint64(100+i))
			b.publishOnly(wire.DefaultPrefix.RunSubject("default", name), r)
			if i%1000 == 0 {
				b.settle()
			}
		}
		b.settle()
		b.refused("too much is held", 5)
	})
}

// TestThePermissionsOfTheTestsAreReal is the negative control of all others,
// which run with the least permissions an executor needs.
func TestThePermissionsOfTheTestsAreReal(t *testing.T) {
	srv := serve(t)
	broken := make(chan error, 1)
	nc, err := nats.Connect("", nats.InProcessServer(srv), nats.UserInfo("exec", "exec"), nats.CustomInboxPrefix("_INBOX_exec"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { broken <- err }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	for _, subject := range []string{"belfry.announce.other", "belfry.result.other.1", "belfry.events.node-1", "belfry.api.admin.item.create"} {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		if err := <-broken; !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v", subject, err)
		}
	}
}
