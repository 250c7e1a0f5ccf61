package exec_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/python"
	"github.com/belfryhq/belfry/exec/wire"
)

// TestPythonThroughTheWire sends runs of several functions and users to an
// executor with the real runtime, in real time, and checks every report.
func TestPythonThroughTheWire(t *testing.T) {
	r, err := python.New(python.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	srv := serve(t)
	nc := connect(t, srv, "node")
	heard := make(chan *nats.Msg, 4096)
	for _, subject := range []string{wire.DefaultPrefix.AnnounceAll(), wire.DefaultPrefix.ReportAll()} {
		if _, err := nc.ChanSubscribe(subject, heard); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	e, err := exec.New(exec.Config{Name: name, Slots: 4, HandBackAfter: time.Minute, Logger: slog.New(slog.DiscardHandler)}, connect(t, srv, "exec"), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &wires{t: t, nc: nc, heard: heard}
	w.ask()

	functions := map[string]struct{ code, want string }{
		"hello": {
			"from valstorm.models import User\ndef execute(current_user: User, **kwargs):\n" +
				"    print(f\"Hello {current_user.name}, sending email to {kwargs['to']}\")\n    return {'status': 'success'}\n",
			`completed {"status":"success"} [Hello Ada, sending email to bob]`,
		},
		"async":  {"async def execute(current_user, **kwargs):\n    return kwargs['n']\n", "completed 7 []"},
		"raises": {"def execute(current_user, **kwargs):\n    print('so far')\n    raise ValueError('no')\n", "failed ValueError: no [so far]"},
		"exits":  {"import os\ndef execute(current_user, **kwargs):\n    os._exit(9)\n", "failed WorkerCrashed: the Python process ended during the run: exit status 9 []"},
		"hangs":  {"def execute(current_user, **kwargs):\n    while True: pass\n", "timed_out Timeout: no result within 300ms []"},
	}
	for round := range 4 {
		for id, f := range functions {
			w.send(fmt.Sprintf("%s-%d", id, round), id, f.code)
		}
	}
	for len(w.got) < 4*len(functions) {
		w.next()
	}
	for id, got := range w.got {
		function, _, _ := strings.Cut(id, "-")
		if want := functions[function].want; got != want {
			t.Errorf("%s: %s\nnot %s", id, got, want)
		}
	}
	if err := e.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if s := e.Stats(); s.Stored != uint64(len(w.got)) || s.Unstored != 0 {
		t.Errorf("the stats are %+v", s)
	}
}

// wires is an owner with the real clock.
type wires struct {
	t     *testing.T
	nc    *nats.Conn
	heard chan *nats.Msg
	inc   string
	seq   uint64
	got   map[string]string // run → how it ended
}

func (w *wires) ask() {
	w.t.Helper()
	data, err := json.Marshal(wire.Ask{Owner: "o", Stream: stream, Epochs: map[int]uint64{1: 1}})
	if err != nil {
		w.t.Fatal(err)
	}
	msg, err := w.nc.Request(wire.DefaultPrefix.ExecSubject(name, wire.VerbAsk), data, 10*time.Second)
	if err != nil {
		w.t.Fatal(err)
	}
	var a wire.Announce
	if err := json.Unmarshal(msg.Data, &a); err != nil {
		w.t.Fatal(err)
	}
	w.inc, w.got = a.Incarnation, map[string]string{}
}

func (w *wires) send(run, function, code string) {
	w.t.Helper()
	w.seq++
	timeout := time.Minute
	if function == "hangs" {
		timeout = 300 * time.Millisecond
	}
	w.say(wire.DefaultPrefix.RunSubject("default", name), wire.Run{
		Stream: stream, Incarnation: w.inc, Partition: 1, Epoch: 1, ClaimSeq: w.seq, Run: run, Attempt: 1,
		Function: function, FunctionName: function, Version: 1, Code: &code,
		User: jsontext.Value(`{"id":"ada","name":"Ada"}`), UserID: "ada", Data: jsontext.Value(`{"to":"bob","n":7}`),
		TimeoutMS: timeout.Milliseconds(), MemoryLimit: 256 << 20,
	})
}

func (w *wires) say(subject string, v any) {
	w.t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = w.nc.Publish(subject, data)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// next takes one message, and stores what it reports.
func (w *wires) next() {
	w.t.Helper()
	select {
	case msg := <-w.heard:
		if wire.Sender(msg.Subject) != name || msg.Subject == wire.DefaultPrefix.AnnounceSubject(name) {
			return
		}
		var r wire.Report
		if err := json.Unmarshal(msg.Data, &r); err != nil {
			w.t.Fatal(err)
		}
		d := r.Data
		said := string(d.Result)
		if d.Error != nil {
			said = d.Error.Type + ": " + d.Error.Message
		}
		var printed []string
		for _, l := range d.Logs {
			printed = append(printed, l.Text)
		}
		w.say(wire.DefaultPrefix.ExecSubject(name, wire.VerbStored), wire.Stored{
			Stream: stream, Incarnation: w.inc, Partition: 1, Epoch: 1, Attempts: []wire.Attempt{{Run: d.Run, Attempt: d.Attempt}},
		})
		if _, twice := w.got[d.Run]; !twice {
			w.got[d.Run] = fmt.Sprintf("%s %s %v", d.Kind, said, printed)
		}
	case <-time.After(time.Minute):
		w.t.Fatalf("silence; so far %v", w.got)
	}
}
