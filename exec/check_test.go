package exec_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

// check asks for a check; the answer comes to the channel.
func (b *bench) check(code string) <-chan wire.Checked {
	b.t.Helper()
	answers := make(chan wire.Checked, 1)
	inbox := b.nc.NewInbox()
	sub, err := b.nc.Subscribe(inbox, func(m *nats.Msg) {
		var c wire.Checked
		if err := json.Unmarshal(m.Data, &c); err != nil {
			b.t.Error(err)
		}
		answers <- c
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = sub.Unsubscribe() })
	data, err := json.Marshal(wire.Check{Name: "f", Code: code})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.nc.PublishRequest(wire.DefaultPrefix.ExecSubject(name, wire.VerbCheck), inbox, data); err != nil {
		b.t.Fatal(err)
	}
	b.settle()
	return answers
}

func TestChecks(t *testing.T) {
	bubble(t, exec.Config{Slots: 1}, func(b *bench) {
		b.runtime.check = func(_ context.Context, code string) (*wire.CodeError, error) {
			switch code {
			case "bad":
				return &wire.CodeError{Message: "no", Line: 2, Column: 3}, nil
			case "broken":
				return nil, errors.New("no Python")
			}
			return nil, nil
		}
		if c := <-b.check("good"); c.Error != nil || c.Unavailable != "" {
			t.Errorf("answered %+v", c)
		}
		if c := <-b.check("bad"); c.Error == nil || *c.Error != (wire.CodeError{Message: "no", Line: 2, Column: 3}) {
			t.Errorf("answered %+v", c)
		}
		if c := <-b.check("broken"); c.Unavailable != "no Python" {
			t.Errorf("answered %+v", c)
		}
	})
}

func TestChecksBlockNothing(t *testing.T) {
	bubble(t, exec.Config{Slots: 1, CheckMax: 3 * time.Second}, func(b *bench) {
		b.runtime.check = func(ctx context.Context, _ string) (*wire.CodeError, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		var waiting []<-chan wire.Checked
		for range 64 {
			waiting = append(waiting, b.check("slow"))
		}
		if c := <-b.check("one more"); !strings.Contains(c.Unavailable, "too many checks") {
			t.Errorf("answered %+v", c)
		}
		b.send(b.run("r1", 100))
		b.complete("r1")
		b.one(wire.Completed)
		b.pass(3 * time.Second)
		for _, answer := range waiting {
			if c := <-answer; !strings.Contains(c.Unavailable, "no time") {
				t.Errorf("answered %+v", c)
			}
		}
	})
}
