package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/node/api"
)

// until is standard output that calls done once it has so many lines.
type until struct {
	bytes.Buffer
	lines int
	done  func()
}

func (u *until) Write(b []byte) (int, error) {
	n, err := u.Buffer.Write(b)
	if strings.Count(u.String(), "\n") >= u.lines {
		u.done()
	}
	return n, err
}

func TestAuditTailShowsEventsUntilItIsInterrupted(t *testing.T) {
	b := startBelfry(t)
	for _, args := range [][]string{
		{"belfry", "audit", "tail", "--entity", "item"},
		{"belfry", "audit", "tail", "--since", "2026-01-01T00:00:00Z", "-o", "json"},
	} {
		b.forget()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out, errs := &until{lines: 3, done: cancel}, &bytes.Buffer{}
		if status := Main(ctx, args, nil, out, errs); status != exitDone || errs.Len() > 0 {
			t.Fatalf("%v: %d %q", args, status, errs)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 3 || !strings.Contains(lines[0], "node.opened") || !strings.Contains(lines[2], "item.canceled") {
			t.Errorf("%v shows %q", args, lines)
		}
		if args[3] == "--since" && !jsontext.Value(lines[2]).IsValid() {
			t.Errorf("%q is not JSON", lines[2])
		}
		asked := strings.Join(b.forget(), "\n")
		want := "admin cluster.status {}\nadmin audit.events {\"entity\":\"item\",\"after\":\"120\"}\n"
		if args[3] == "--since" {
			want = "admin audit.events {\"since\":\"2026-01-01T00:00:00Z\"}\n"
		}
		if !strings.HasPrefix(asked, want) || !strings.Contains(asked, `"after":"5.0"`) {
			t.Errorf("asked %v, want first %v, then what is after the last event", asked, want)
		}
	}
}

func TestWaitingHasAnEnd(t *testing.T) {
	startBelfry(t)
	status, out, errs := run(t, "item", "create", "--name", "stuck", "--in", "0s", "--function", "hello", "--wait-timeout", "10ms")
	if status != exitFailed || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "sci_01KAQ3V9M2Z8Y4T6R1W5X7STCK has not ended within 10ms") {
		t.Errorf("%d %q %q", status, out, errs)
	}
}

func TestAnInterruptedWaitNamesTheItemThatGoesOn(t *testing.T) {
	b := startBelfry(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.onAsk = func(verb string) {
		if verb == "item.get" {
			cancel()
		}
	}
	var out, errs bytes.Buffer
	status := Main(ctx, words("belfry item create --name stuck --in 0s --function hello --wait"), nil, &out, &errs)
	if status != exitFailed || out.Len() > 0 || !strings.Contains(errs.String(), "interrupted: item sci_01KAQ3V9M2Z8Y4T6R1W5X7STCK goes on") {
		t.Errorf("%d %q %q", status, &out, &errs)
	}
}

func TestAnInterruptedRequestSaysSo(t *testing.T) {
	b := startBelfry(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.onAsk = func(string) { cancel() }
	b.silent = true
	var out, errs bytes.Buffer
	status := Main(ctx, words("belfry item cancel sci_01KAQ3V9M2Z8Y4T6R1W5X7GRT0"), nil, &out, &errs)
	if status != exitFailed || out.Len() > 0 || !strings.HasPrefix(errs.String(), "belfry: interrupted") {
		t.Errorf("%d %q %q", status, &out, &errs)
	}
}

func TestALargeFileIsSentInPartsThatFit(t *testing.T) {
	item := func(size int) jsontext.Value { return jsontext.Value(`"` + strings.Repeat("x", size-2) + `"`) }
	for _, test := range []struct {
		name  string
		items []jsontext.Value
		want  []int
	}{
		{"none", nil, []int{0}},
		{"as many as one request takes", repeat(item(10), api.ManyMax), []int{1000}},
		{"one more", repeat(item(10), api.ManyMax+1), []int{1000, 1}},
		{"large ones", repeat(item(300<<10), 7), []int{3, 3, 1}},
		{"one that is too large by itself", []jsontext.Value{item(10), item(2 << 20), item(10)}, []int{1, 1, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []int
			for _, part := range parts(test.items) {
				got = append(got, len(part))
			}
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("parts %v, want %v", got, test.want)
			}
		})
	}
}

func repeat(v jsontext.Value, n int) (all []jsontext.Value) {
	for range n {
		all = append(all, v)
	}
	return all
}

// process is a server whose life a test tells.
type process struct {
	startErr, endErr, stopErr error
	ended                     chan struct{}
	stopped                   int
	onStart                   func()
}

func (p *process) Start(context.Context) error {
	if p.onStart != nil {
		p.onStart()
	}
	return p.startErr
}
func (p *process) Ready() string         { return "nats://127.0.0.1:4222 http://127.0.0.1:8420" }
func (p *process) Done() <-chan struct{} { return p.ended }
func (p *process) Err() error            { return p.endErr }
func (p *process) Stop(ctx context.Context) error {
	p.stopped++
	return errors.Join(p.stopErr, ctx.Err())
}

func TestUpRefusesWhatANodeCannotBe(t *testing.T) {
	for _, args := range [][]string{{"up", "--slots", "-1"}, {"up", "--http-addr", "8420"}, {"up", "--data", ""}} {
		status, out, errs := run(t, args...)
		if status != exitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, args[1]) {
			t.Errorf("%v: %d %q %q", args, status, out, errs)
		}
	}
}

func TestUp(t *testing.T) {
	const ready = "ready nats://127.0.0.1:4222 http://127.0.0.1:8420\n"
	ended := make(chan struct{})
	close(ended)
	broken := errors.New("the disk is full: make room and start again")
	for _, test := range []struct {
		name      string
		process   process
		interrupt bool
		out, errs string
		status    int
	}{
		{"is ready, and stops when it is interrupted", process{}, true, ready, "", exitDone},
		{"cannot start", process{startErr: broken}, false, "", "belfry: the disk is full: make room and start again\n", exitFailed},
		{"is interrupted before it is ready", process{startErr: context.Canceled}, true, "", "", exitDone},
		{"stops by itself", process{ended: ended, endErr: broken}, false, ready, "belfry: the disk is full: make room and start again\n", exitFailed},
		{"cannot stop cleanly", process{stopErr: broken}, true, ready, "belfry: the disk is full: make room and start again\n", exitFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.interrupt {
				test.process.onStart = cancel
			}
			var out, errs bytes.Buffer
			term := &terminal{out: &out, errs: &errs}
			status := term.report((&session{terminal: term}).serve(ctx, &test.process, stopTimeout))
			if status != test.status || out.String() != test.out || errs.String() != test.errs {
				t.Errorf("%d %q %q", status, &out, &errs)
			}
			if test.process.stopped != 1 {
				t.Errorf("stopped %d times", test.process.stopped)
			}
		})
	}
}
