package exec_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

// asks gives a bench whose run "r1" is under way, what is asked of its owner, and
// what its code is told.
type asks struct {
	*bench
	asked chan *nats.Msg
	told  chan told
}

type told struct {
	answer wire.ScheduleAnswer
	err    error
}

func asking(t *testing.T, test func(a *asks)) {
	bubble(t, exec.Config{Slots: 4}, func(b *bench) {
		a := &asks{b, make(chan *nats.Msg, 16), make(chan told, 1)}
		if _, err := b.nc.ChanSubscribe(wire.DefaultPrefix.ScheduleAll(), a.asked); err != nil {
			t.Fatal(err)
		}
		b.send(b.run("r1", 100))
		test(a)
	})
}

// ask has the code of r1 ask for an item.
func (a *asks) schedule(ctx context.Context, item wire.Item) {
	a.t.Helper()
	job := a.runtime.call("r1").job
	go func() {
		answer, err := job.Schedule(ctx, item)
		a.told <- told{answer, err}
	}()
	a.settle()
}

// questions are those that came since the last look.
func (a *asks) questions() (all []wire.Schedule) {
	a.t.Helper()
	a.settle()
	for {
		select {
		case msg := <-a.asked:
			var m wire.Schedule
			a.read(msg.Data, &m)
			if wire.Sender(msg.Subject) != name || msg.Subject != wire.DefaultPrefix.ScheduleSubject(name, m.Partition) {
				a.t.Errorf("a question came on %s", msg.Subject)
			}
			all = append(all, m)
		default:
			return all
		}
	}
}

// answer answers a question, but for what a change makes wrong.
func (a *asks) answer(q wire.Schedule, id string, change func(*wire.Scheduled)) {
	a.t.Helper()
	m := wire.Scheduled{
		Stream: q.Stream, Incarnation: q.Incarnation, Partition: q.Partition, Epoch: 10, Number: q.Number,
		Answer: wire.ScheduleAnswer{ID: id},
	}
	if change != nil {
		change(&m)
	}
	a.publish(wire.DefaultPrefix.ExecSubject(name, wire.VerbScheduled), m)
}

func (a *asks) waits() bool { return len(a.told) == 0 }

func item(name string) wire.Item {
	return wire.Item{Name: name, Function: jsontext.Value(`"f"`), After: "1s"}
}

// A question is asked again until it is answered, by who decides now.
func TestAQuestionIsAskedUntilItIsAnswered(t *testing.T) {
	asking(t, func(a *asks) {
		a.schedule(a.t.Context(), item("next"))
		first := a.questions()
		if len(first) != 1 || first[0].Run != "r1" || first[0].Attempt != 1 || first[0].Item.Name != "next" {
			t.Fatalf("asked %+v", first)
		}
		a.pass(2 * wire.ReportEvery)
		again := a.questions()
		if len(again) < 1 || fmt.Sprint(again[0]) != fmt.Sprint(first[0]) {
			t.Fatalf("asked again %+v, not %+v", again, first[0])
		}
		for why, change := range map[string]func(*wire.Scheduled){
			"another stream":      func(m *wire.Scheduled) { m.Stream = "other" },
			"another incarnation": func(m *wire.Scheduled) { m.Incarnation = "other" },
			"a past epoch":        func(m *wire.Scheduled) { m.Epoch = 9 },
		} {
			a.answer(first[0], "sci_wrong", change)
			a.refused(why, 1)
		}
		a.answer(first[0], "sci_other", func(m *wire.Scheduled) { m.Number++ })
		if !a.waits() {
			t.Fatalf("it took %+v for an answer", <-a.told)
		}
		a.answer(first[0], "sci_1", nil)
		if got := <-a.told; got.err != nil || got.answer.ID != "sci_1" {
			t.Errorf("told %+v", got)
		}
		a.pass(2 * wire.ReportEvery)
		if more := a.questions(); len(more) > 0 {
			t.Errorf("asked again after the answer: %+v", more)
		}
	})
}

// The second answer to one question is not taken for that to the next, of the
// same name.
func TestALateAnswerIsOfItsQuestion(t *testing.T) {
	asking(t, func(a *asks) {
		a.schedule(a.t.Context(), item("next"))
		first := a.questions()[0]
		a.answer(first, "", func(m *wire.Scheduled) { m.Answer.Error = &wire.Refusal{Code: "not_found"} })
		if got := <-a.told; got.answer.Error == nil || got.answer.Error.Code != "not_found" {
			t.Fatalf("told %+v", got)
		}
		a.schedule(a.t.Context(), item("next"))
		a.answer(first, "", func(m *wire.Scheduled) { m.Answer.Error = &wire.Refusal{Code: "not_found"} })
		if !a.waits() {
			t.Fatalf("told %+v by an answer of before", <-a.told)
		}
		a.answer(a.questions()[0], "sci_1", nil)
		if got := <-a.told; got.answer.ID != "sci_1" {
			t.Errorf("told %+v", got)
		}
	})
}

func TestAQuestionEndsWithItsRun(t *testing.T) {
	asking(t, func(a *asks) {
		why := errors.New("the run is over")
		ctx, cancel := context.WithCancelCause(a.t.Context())
		a.schedule(ctx, item("next"))
		cancel(why)
		if got := <-a.told; !errors.Is(got.err, why) {
			t.Errorf("told %+v", got)
		}
		a.questions()
		if a.pass(2 * wire.ReportEvery); len(a.questions()) > 0 {
			t.Error("it is asked on")
		}
	})
}

func TestBoundsOfWhatARunSchedules(t *testing.T) {
	asking(t, func(a *asks) {
		for what, i := range map[string]wire.Item{
			"a long name": item(string(make([]byte, wire.ScheduleBytesMax))),
			"much data":   {Name: "n", Function: jsontext.Value(`"f"`), After: "1s", Data: make(jsontext.Value, wire.DataBytesMax+1)},
		} {
			a.schedule(a.t.Context(), i)
			if got := <-a.told; got.answer.Error == nil || got.answer.Error.Code != "too_large" {
				t.Errorf("%s: told %+v", what, got)
			}
		}
		if q := a.questions(); len(q) > 0 {
			t.Errorf("asked %d bytes", len(q))
		}
		for n := range wire.ScheduleMax + 1 {
			a.schedule(a.t.Context(), item(fmt.Sprint(n)))
			if n < wire.ScheduleMax {
				a.answer(a.questions()[0], "sci_1", nil)
			}
			if got := <-a.told; (got.answer.Error != nil) != (n == wire.ScheduleMax) {
				t.Fatalf("item %d: told %+v", n, got)
			}
		}
		a.schedule(a.t.Context(), item("7")) // once more is no other one
		a.answer(a.questions()[0], "sci_1", nil)
		if got := <-a.told; got.answer.Error != nil {
			t.Errorf("the same item: told %+v", got)
		}
	})
}
