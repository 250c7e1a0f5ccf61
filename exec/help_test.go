package exec_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

// TestMain begins the server's clock outside of every bubble.
func TestMain(m *testing.M) {
	ats.Register()
	os.Exit(m.Run())
}

// name of the executor in all tests.
const name = "exec-1"

// serve starts a server that knows an executor, with the least permissions,
// and a node.
func serve(t testing.TB) *server.Server {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		DontListen: true, NoLog: true, NoSigs: true,
		Users: []*server.User{
			{Username: "node", Password: "node"},
			{Username: "exec", Password: "exec", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: []string{
					"belfry.announce." + name, "belfry.result." + name + ".*", "belfry.schedule." + name + ".*", "belfry.logs." + name + ".>",
				}},
				Subscribe: &server.SubjectPermission{Allow: []string{
					"belfry.run.*." + name, "belfry.exec." + name + ".>", "_INBOX_exec.>",
				}},
				Response: &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	return srv
}

func connect(t testing.TB, srv *server.Server, user string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(srv), nats.UserInfo(user, user),
		nats.CustomInboxPrefix("_INBOX_"+user), nats.ReconnectWait(100*time.Millisecond),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) || errors.Is(err, nats.ErrSlowConsumer) {
				t.Errorf("%s: %v", user, err)
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// bench is an executor under test and an owner that talks with it.
type bench struct {
	t       *testing.T
	srv     *server.Server
	execNC  *nats.Conn
	nc      *nats.Conn // the owner's
	exec    *exec.Executor
	runtime *runtime
	heard   chan *nats.Msg // announcements and reports
	told    wire.Announce  // the last announcement
	reports []wire.Report  // and not looked at yet
	logs    [][]wire.LogLine
	ends    int // of output, as the log stream tells
}

const stream = "stream-1"

// bubble runs a test in simulated time, with an executor that one owner has asked.
func bubble(t *testing.T, cfg exec.Config, test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, srv: serve(t), runtime: &runtime{}, heard: make(chan *nats.Msg, 65536)}
		b.execNC, b.nc = connect(t, b.srv, "exec"), connect(t, b.srv, "node")
		for _, subject := range []string{wire.DefaultPrefix.AnnounceAll(), wire.DefaultPrefix.ReportAll(), "belfry.logs.>"} {
			if _, err := b.nc.ChanSubscribe(subject, b.heard); err != nil {
				t.Fatal(err)
			}
		}
		b.settle()
		cfg.Name = name
		cfg.Logger = slog.New(slog.DiscardHandler)
		var err error
		if b.exec, err = exec.New(cfg, b.execNC, b.runtime); err != nil {
			t.Fatal(err)
		}
		if err = b.exec.Start(b.t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = b.exec.Stop(ctx)
		})
		b.settle()
		b.ask("owner-a", map[int]uint64{1: 10, 2: 10})
		b.pass(10 * time.Millisecond)
		test(b)
	})
}

// settle lets everything happen that can happen now, and reads what was said.
func (b *bench) settle() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel() // with a context: Flush alone shares timers between bubbles
	if err := b.nc.FlushWithContext(ctx); err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
	for {
		select {
		case msg := <-b.heard:
			b.hear(msg)
		default:
			return
		}
	}
}

func (b *bench) hear(msg *nats.Msg) {
	b.t.Helper()
	switch {
	case len(msg.Subject) > 12 && msg.Subject[:12] == "belfry.logs.":
		var lines []wire.LogLine
		b.read(msg.Data, &lines)
		if len(lines) == 0 {
			b.ends++
			return
		}
		b.logs = append(b.logs, lines)
	case wire.Sender(msg.Subject) != name:
		b.t.Errorf("a message of %q", wire.Sender(msg.Subject))
	case msg.Subject == wire.DefaultPrefix.AnnounceSubject(name):
		b.told = wire.Announce{}
		b.read(msg.Data, &b.told)
	default:
		var r wire.Report
		b.read(msg.Data, &r)
		if msg.Subject != wire.DefaultPrefix.ReportSubject(name, r.Data.Partition) {
			b.t.Errorf("a report of partition %d on %s", r.Data.Partition, msg.Subject)
		}
		b.reports = append(b.reports, r)
	}
}

func (b *bench) read(data []byte, v any) {
	b.t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		b.t.Fatalf("%v: %s", err, data)
	}
}

// pass lets time pass.
func (b *bench) pass(d time.Duration) {
	b.t.Helper()
	time.Sleep(d)
	b.settle()
}

func (b *bench) publish(subject string, v any) {
	b.t.Helper()
	b.publishOnly(subject, v)
	b.settle()
}

// ask asks as an owner, and returns the answer, or nil when there is none.
func (b *bench) ask(owner string, epochs map[int]uint64) *wire.Announce {
	b.t.Helper()
	return b.askOf(wire.Ask{Owner: owner, Stream: stream, Epochs: epochs})
}

func (b *bench) askOf(a wire.Ask) *wire.Announce {
	b.t.Helper()
	data, err := json.Marshal(a)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	msg, err := b.nc.RequestWithContext(ctx, wire.DefaultPrefix.ExecSubject(name, wire.VerbAsk), data)
	b.settle()
	if err != nil {
		return nil
	}
	var answer wire.Announce
	b.read(msg.Data, &answer)
	return &answer
}

func (b *bench) demand(d wire.Demand) {
	b.t.Helper()
	if d.Stream == "" {
		d.Stream = stream
	}
	b.publish(wire.DefaultPrefix.ExecSubject(name, wire.VerbDemand), d)
}

// run is a run of partition 1 with its code; change what matters.
func (b *bench) run(id string, seq uint64) wire.Run {
	code := "code of " + id
	return wire.Run{
		Stream: stream, Incarnation: b.told.Incarnation, Partition: 1, Epoch: 10, ClaimSeq: seq, OldestOpen: 0,
		Run: id, Attempt: 1, Source: wire.Source{Kind: "item", ID: "sci_1"}, ScheduledFor: time.Now(),
		Function: "fun_" + id, FunctionName: "f", Version: 1, User: jsontext.Value(`{}`), UserID: "ada",
		Data: jsontext.Value(`{"a":1}`), TimeoutMS: 60_000, Code: &code,
	}
}

func (b *bench) send(runs ...wire.Run) {
	b.t.Helper()
	for _, r := range runs {
		b.publish(wire.DefaultPrefix.RunSubject("default", name), r)
	}
}

func (b *bench) stored(keys ...wire.Attempt) {
	b.t.Helper()
	b.publish(wire.DefaultPrefix.ExecSubject(name, wire.VerbStored), wire.Stored{
		Stream: stream, Incarnation: b.told.Incarnation, Partition: 1, Epoch: 10, Attempts: keys,
	})
}

func (b *bench) cancel(id string, attempt int) {
	b.t.Helper()
	b.publish(wire.DefaultPrefix.ExecSubject(name, wire.VerbCancel), wire.Cancel{
		Stream: stream, Incarnation: b.told.Incarnation, Partition: 1, Epoch: 10, Run: id, Attempt: attempt,
	})
}

// take returns the reports that came since the last look.
func (b *bench) take() []wire.Report {
	out := b.reports
	b.reports = nil
	return out
}

// one returns the one report that came.
func (b *bench) one(kind wire.OutcomeKind) wire.Report {
	b.t.Helper()
	reports := b.take()
	if len(reports) != 1 || reports[0].Data.Kind != kind {
		b.t.Fatalf("the reports are %+v, not one that says %s", reports, kind)
	}
	return reports[0]
}

// held says what an executor holds, as an answer to Ask tells.
func (b *bench) held() map[string]wire.HeldState {
	b.t.Helper()
	answer := b.ask("owner-a", map[int]uint64{1: 10, 2: 10})
	if answer == nil {
		b.t.Fatal("an Ask is not answered")
	}
	out := map[string]wire.HeldState{}
	for _, h := range answer.Held {
		out[h.Run] = h.State
	}
	return out
}

func (b *bench) holds(want map[string]wire.HeldState) {
	b.t.Helper()
	if got := b.held(); !maps.Equal(got, want) {
		b.t.Errorf("held is %v, not %v", got, want)
	}
}

func (b *bench) refused(why string, want uint64) {
	b.t.Helper()
	if got := b.exec.Stats().Refused[why]; got != want {
		b.t.Errorf("%d messages are refused because of %q, not %d: %v", got, why, want, b.exec.Stats().Refused)
	}
}

func attempt(id string) wire.Attempt { return wire.Attempt{Run: id, Attempt: 1} }

// publishOnly publishes and waits for nothing.
func (b *bench) publishOnly(subject string, v any) {
	b.t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = b.nc.Publish(subject, data)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
