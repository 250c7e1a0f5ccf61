package exec_test

import (
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/python"
	"github.com/belfryhq/belfry/exec/wire"
)

// BenchmarkExecutor is no-op runs through an executor, from the claim's message
// to the stored report, by an owner that fills its window. One op is one run.
func BenchmarkExecutor(b *testing.B) {
	b.Run("fake", func(b *testing.B) {
		benchmark(b, &runtime{auto: func(*exec.Job, func(wire.LogLine)) exec.Ended { return success() }, forget: true}, 0)
	})
	b.Run("python", func(b *testing.B) {
		r, err := python.New(python.Config{})
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		benchmark(b, r, 0)
	})
	b.Run("python one at a time", func(b *testing.B) {
		r, err := python.New(python.Config{})
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		benchmark(b, r, 1)
	})
}

// benchmark drives an executor. most bounds the open runs besides the window; 0 is no bound.
func benchmark(b *testing.B, r exec.Runtime, most int) {
	srv := serve(b)
	nc := connect(b, srv, "node")
	heard := make(chan *nats.Msg, 65536)
	for _, subject := range []string{wire.DefaultPrefix.AnnounceAll(), wire.DefaultPrefix.ReportAll()} {
		if _, err := nc.ChanSubscribe(subject, heard); err != nil {
			b.Fatal(err)
		}
	}
	e, err := exec.New(exec.Config{Name: name, Logger: slog.New(slog.DiscardHandler)}, connect(b, srv, "exec"), r)
	if err != nil {
		b.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := e.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	o := &benchOwner{nc: nc, most: most, open: map[string]bool{}}
	for o.window == 0 {
		o.hear(b, <-heard)
	}
	o.drive(b, heard, 2000) // warm up
	b.ResetTimer()
	o.drive(b, heard, b.N)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
	b.ReportMetric(float64(o.window), "window")
	if err := e.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// benchOwner claims what its window lets it, and stores what is reported.
type benchOwner struct {
	nc          *nats.Conn
	incarnation string
	window      int
	most        int
	sent, ended int
	open        map[string]bool
	said        time.Time
	stored      []byte
}

func (o *benchOwner) drive(b *testing.B, heard <-chan *nats.Msg, n int) {
	last := o.ended + n
	for o.ended < last {
		if time.Since(o.said) > time.Second {
			o.said = time.Now()
			o.say(b, wire.VerbDemand, wire.Demand{Owner: "o", Stream: stream, Epoch: 1, Waiting: n, Oldest: o.said})
		}
		limit := o.window
		if o.most > 0 {
			limit = min(limit, o.most)
		}
		for o.sent-o.ended < limit && o.sent < last {
			o.sent++
			id := fmt.Sprintf("run_01J000000000000000000%05d", o.sent)
			o.open[id] = true
			msg := fmt.Appendf(nil, `{"stream":%q,"incarnation":%q,"partition":1,"epoch":1,"claim_seq":%d,"oldest_open":0,`+
				`"run":%q,"attempt":1,"source":{"kind":"item","id":"sci_01J0000000000000000000001"},`+
				`"scheduled_for":"2026-03-01T12:00:00Z","function":"fun_01J0000000000000000000001","function_name":"noop","function_version":1,`+
				`"user":{"id":"ada","first_name":"Ada","last_name":"Lovelace"},"user_id":"ada","data":{"target_email":"someone@example.com","n":1},`+
				`"timeout_ms":300000,"memory_limit":536870912`, stream, o.incarnation, o.sent, id)
			if o.sent <= 50 {
				msg = append(msg, `,"code":"def execute(current_user, **kwargs):\n    return {'status': 'success'}\n"`...)
			}
			if err := o.nc.Publish(wire.DefaultPrefix.RunSubject("default", name), append(msg, '}')); err != nil {
				b.Fatal(err)
			}
		}
		o.hear(b, <-heard)
		for len(heard) > 0 {
			o.hear(b, <-heard)
		}
		o.store(b)
	}
}

func (o *benchOwner) hear(b *testing.B, msg *nats.Msg) {
	if msg.Subject == wire.DefaultPrefix.AnnounceSubject(name) {
		var a wire.Announce
		if err := json.Unmarshal(msg.Data, &a); err != nil {
			b.Fatal(err)
		}
		if o.incarnation == "" {
			o.incarnation = a.Incarnation
			o.say(b, wire.VerbAsk, wire.Ask{Owner: "o", Stream: stream, Epochs: map[int]uint64{1: 1}})
		}
		o.window = a.Windows["o"]
		return
	}
	var r struct {
		Data struct {
			Run  string           `json:"run"`
			Kind wire.OutcomeKind `json:"kind"`
		} `json:"data"`
	}
	if err := json.Unmarshal(msg.Data, &r); err != nil || r.Data.Kind != wire.Completed {
		b.Fatalf("%v: %s", err, msg.Data)
	}
	if o.open[r.Data.Run] { // else it was repeated
		delete(o.open, r.Data.Run)
		o.ended++
	}
	o.stored = append(o.stored, `,{"run":"`...)
	o.stored = append(o.stored, r.Data.Run...)
	o.stored = append(o.stored, `","attempt":1}`...)
}

func (o *benchOwner) store(b *testing.B) {
	if len(o.stored) == 0 {
		return
	}
	msg := []byte(`{"stream":` + strconv.Quote(stream) + `,"incarnation":"` + o.incarnation + `","partition":1,"epoch":1,"attempts":[`)
	msg = append(append(msg, o.stored[1:]...), `]}`...)
	if err := o.nc.Publish(wire.DefaultPrefix.ExecSubject(name, wire.VerbStored), msg); err != nil {
		b.Fatal(err)
	}
	o.stored = o.stored[:0]
}

func (o *benchOwner) say(b *testing.B, verb string, v any) {
	data, err := json.Marshal(v)
	if err == nil {
		err = o.nc.Publish(wire.DefaultPrefix.ExecSubject(name, verb), data)
	}
	if err != nil {
		b.Fatal(err)
	}
}
