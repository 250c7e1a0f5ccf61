package exec_test

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

func (b *bench) taken(incarnation string) {
	b.t.Helper()
	b.publish(wire.DefaultPrefix.ExecSubject(name, wire.VerbTaken), wire.Taken{Owner: "owner-a", Incarnation: incarnation, SilentMS: 2000})
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestAnExecutorHasJoinedOnceItWasAsked(t *testing.T) {
	bubble(t, exec.Config{}, func(b *bench) {
		if !closed(b.exec.Joined()) || closed(b.exec.Refused()) {
			t.Error("it was asked, and has not joined")
		}
		if err := b.exec.Stop(b.t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.exec.Joined() != nil || b.exec.Refused() != nil {
			t.Error("it is stopped, and tells of what was")
		}
		if err := b.exec.Start(b.t.Context()); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Second)
		if answer := b.askOf(wire.Ask{Owner: "owner-a", Stream: stream, Incarnation: "another", Epochs: map[int]uint64{1: 10}}); answer != nil {
			t.Error("it answers what another incarnation was asked")
		}
		if closed(b.exec.Joined()) {
			t.Error("another incarnation was asked, and it has joined")
		}
		if answer := b.askOf(wire.Ask{Owner: "owner-a", Stream: stream, Incarnation: b.told.Incarnation, Epochs: map[int]uint64{1: 10}}); answer == nil || !closed(b.exec.Joined()) {
			t.Error("it was asked by its incarnation, and has not joined")
		}
	})
}

func TestANameThatStaysTakenIsGivenUp(t *testing.T) {
	bubble(t, exec.Config{}, func(b *bench) {
		for second := range 3 {
			b.taken(b.told.Incarnation)
			if closed(b.exec.Refused()) {
				t.Fatalf("it gave up after %d s, when the one before it may just have been killed", second)
			}
			b.pass(time.Second)
		}
		b.taken(b.told.Incarnation)
		if !closed(b.exec.Refused()) {
			t.Error("it goes on under a name that is another's")
		}
	})
}

func TestANameThatWasTakenForAMomentIsKept(t *testing.T) {
	bubble(t, exec.Config{}, func(b *bench) {
		for range 5 { // each time the one before it is believed alive for 2 s
			for range 3 {
				b.taken(b.told.Incarnation)
				b.pass(time.Second)
			}
			b.pass(5 * time.Second)
		}
		for range 10 {
			b.taken("another")
			b.pass(time.Second)
		}
		if closed(b.exec.Refused()) {
			t.Error("it gave up a name that is its own")
		}
	})
}
