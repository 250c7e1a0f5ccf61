package node

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/service"
)

// openTestOutput makes the stream of outputs on a server of its own, and gives
// what stores a chunk.
func openTestOutput(t *testing.T) (o *output, store func(chunk string)) {
	t.Helper()
	srv, err := server.NewServer(&server.Options{DontListen: true, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if o, err = openOutput(t.Context(), js, outputConfig{"BELFRY_LOGS", "", 1, 1 << 30, slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.wakers.close)
	return o, func(chunk string) {
		t.Helper()
		if _, err := js.Publish(t.Context(), wire.DefaultPrefix.LogsSubject("e1", "run_1", 1), []byte(chunk)); err != nil {
			t.Fatal(err)
		}
	}
}

func lineOf(text string, more string) string {
	return fmt.Sprintf(`{%s"time":"2026-11-24T12:00:00Z","stream":"stdout","text":%q}`, more, text)
}

func TestKeptOutputIsReadByItsNumbers(t *testing.T) {
	o, store := openTestOutput(t)
	read := func(from service.OutputPlace) (got string, at service.OutputPlace, end bool) {
		t.Helper()
		at, end, err := o.Read(t.Context(), "run_1", 1, from, func(n int, l eventlog.LogLine) bool {
			got += fmt.Sprint(n, l.Text, " ")
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		return got, at, end
	}
	store("[" + lineOf("a", `"n":1,`) + "," + lineOf("b", "") + "]")
	got, at, end := read(service.OutputPlace{})
	if got != "1a 2b " || end {
		t.Errorf("read %q, end %t", got, end)
	}
	store("[" + lineOf("b", `"n":2,`) + "," + lineOf("c", "") + "]") // one that was sent already
	store("[" + lineOf("e", `"n":5,`) + "]")                         // after one that was lost
	store("[]")
	if got, _, end = read(at); got != "3c 5e " || !end {
		t.Errorf("after that it read %q, end %t", got, end)
	}
	if got, _, end = read(service.OutputPlace{Line: 4, Seq: 1 << 62}); got != "" || end {
		t.Errorf("beyond the stream it read %q, end %t", got, end)
	}
}

func TestWhoeverWaitsForOutputIsWokenByWhatIsStored(t *testing.T) {
	o, store := openTestOutput(t)
	woken := func(more <-chan struct{}) bool {
		select {
		case <-more:
			return true
		case <-time.After(10 * time.Second):
			return false
		}
	}
	one, stopOne := o.Watch("run_1")
	other, stopOther := o.Watch("run_2")
	if !woken(one) || !woken(other) {
		t.Fatal("nobody looks at what was stored before the stream was listened to")
	}
	store("[]")
	if !woken(one) {
		t.Error("a chunk wakes nobody")
	}
	if len(other) > 0 {
		t.Error("a chunk wakes who waits for another run")
	}
	stopOne()
	stopOther()
	if o.wakers.rest(); len(o.wakers.waiting) != 0 || o.wakers.stop != nil {
		t.Error("the stream is listened to for nobody")
	}
	if again, stop := o.Watch("run_1"); !woken(again) {
		t.Error("who comes later is not woken")
	} else {
		stop()
	}
}
