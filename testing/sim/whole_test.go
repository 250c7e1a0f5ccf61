package sim_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/check"
)

// whole is a whole node in a bubble: node.New and Start, Raft, NATS with
// JetStream on disk, the API, and a real executor on the real wire. Only the
// Python is a double, since the pipes of a process would hold the bubble's clock.
type whole struct {
	t       *testing.T
	dir     string
	idle    time.Duration
	journal *wholeJournal
	takes   time.Duration // each run
	outages []check.Fault
	open    int // items that have not ended when the judge looks

	node         *node.Node
	executor     *exec.Executor
	executorConn *nats.Conn
	runtime      *wholeRuntime
	conn         *nats.Conn // of a caller
	client       *client.Client
}

// wholeBubble lives in simulated time, from midnight UTC of 2000-01-01 on, and
// tells how long it took.
func wholeBubble(t *testing.T, idle time.Duration, live func(*whole)) {
	t.Helper()
	if idle > time.Minute {
		defer wholeQuietStats(idle)()
	}
	emptyPools()
	defer emptyPools()
	dir := t.TempDir()
	began := time.Now()
	var lived time.Duration
	synctest.Test(t, func(t *testing.T) {
		born := time.Now()
		defer wholeAccess(max(idle/24, time.Second))()
		w := &whole{t: t, dir: filepath.Join(dir, "data"), idle: idle, journal: new(wholeJournal)}
		w.start()
		defer func() { w.stop() }()
		live(w)
		lived = time.Since(born)
	})
	t.Logf("%.1f days in %s", lived.Hours()/24, time.Since(began).Round(time.Millisecond))
}

// emptyPools takes out what is pooled for the whole process, such as nats.go's
// timers: one made in a bubble must not come up in another. It survives one
// collection, not two.
func emptyPools() {
	goruntime.GC()
	goruntime.GC()
}

// start starts the node and its executor, and connects as a caller.
func (w *whole) start() {
	w.t.Helper()
	n, err := node.New(node.Config{
		DataDir: w.dir, DontListen: true, NoExec: true, Idle: w.idle, Logger: wholeLogger(w.t),
	})
	w.must(err)
	w.node = n
	w.must(n.Start(w.t.Context()))
	if w.idle > time.Minute {
		wholeQuietServer(n, w.idle)
	}
	w.startExecutor()
	w.conn, err = n.CallerConn("test")
	w.must(err)
	w.client = client.New(w.conn, api.Admin)
}

// startExecutor starts another incarnation of the executor.
func (w *whole) startExecutor() {
	w.t.Helper()
	var err error
	w.executorConn, err = w.node.ExecutorConn()
	w.must(err)
	w.runtime = &wholeRuntime{journal: w.journal, takes: w.takes, killed: make(chan struct{})}
	w.executor, err = exec.New(exec.Config{
		Name: node.Name, Slots: 8, AnnounceEvery: w.idle, OwnerSilence: 5 * w.idle, Logger: wholeLogger(w.t),
	}, w.executorConn, w.runtime)
	w.must(err)
	w.must(w.executor.Start(w.t.Context()))
}

// executorTakes has each run of this executor, and of later ones, take so long.
func (w *whole) executorTakes(d time.Duration) { w.takes, w.runtime.takes = d, d }

// stop stops what start started, in good order.
func (w *whole) stop() {
	w.t.Helper()
	if w.executor != nil {
		w.must(w.executor.Stop(context.Background()))
	}
	w.must(w.node.Stop(context.Background()))
	w.executor = nil
}

// kill is kill -9: what is in the directory at this moment is all that is left.
// Goroutines cannot be killed, so the process goes on in the old directory until
// it is stopped, where nobody sees it any more.
func (w *whole) kill() {
	w.t.Helper()
	synctest.Wait()
	left := w.dir + "'"
	w.must(os.CopyFS(left, os.DirFS(w.dir)))
	w.runtime.kill()
	w.stop()
	w.dir = left
}

// off stops the node in good order and starts it again at a moment.
func (w *whole) off(until time.Time) {
	w.t.Helper()
	from := time.Now()
	w.stop()
	w.until(until)
	w.start()
	w.outage("off", from)
}

// killed kills the node and starts it again at a moment.
func (w *whole) killed(until time.Time) {
	w.t.Helper()
	from := time.Now()
	w.kill()
	w.until(until)
	w.start()
	w.outage("kill", from)
}

func (w *whole) outage(kind string, from time.Time) {
	w.outages = append(w.outages, check.Fault{Kind: kind, Node: node.Name, From: from, To: time.Now()})
}

// loseExecutor has the executor vanish without a word.
func (w *whole) loseExecutor() {
	w.t.Helper()
	w.executorConn.Close() // first, or the end of a run may yet be reported
	w.runtime.kill()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	w.must(w.executor.Stop(gone))
	w.executor = nil
}

func (w *whole) must(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatalf("%s: %v", time.Now().UTC().Format(time.DateTime), err)
	}
}

// until lives until a moment.
func (w *whole) until(at time.Time) { time.Sleep(time.Until(at)) }

// function stores the function that everything here runs.
func (w *whole) function() {
	w.t.Helper()
	_, err := w.client.CreateFunction(w.t.Context(), api.FunctionInput{Name: wholeText("f"), Code: wholeText("def execute(current_user): ...")})
	w.must(err)
}

// trigger stores a trigger of the function and returns its id.
func (w *whole) trigger(cron string, change func(*api.TriggerInput)) string {
	w.t.Helper()
	in := api.TriggerInput{Name: wholeText(cron), CronSchedule: &cron, Function: &api.RefInput{IDOrName: "f"}}
	if change != nil {
		change(&in)
	}
	t, err := w.client.CreateTrigger(w.t.Context(), in)
	w.must(err)
	return t.ID
}

// item stores an item of the function and returns its id.
func (w *whole) item(due time.Time) string {
	w.t.Helper()
	i, err := w.client.CreateItem(w.t.Context(), api.ItemInput{
		Name: wholeText("i"), RunDateTime: wholeText(due.Format(time.RFC3339)), Function: &api.RefInput{IDOrName: "f"},
	})
	w.must(err)
	return i.ID
}

// shown is everything that the API shows of triggers, items and runs.
func (w *whole) shown() string {
	w.t.Helper()
	page := api.List{Limit: new(1000)}
	triggers, err := w.client.ListTriggers(w.t.Context(), api.TriggerList{List: page})
	w.must(err)
	items, err := w.client.ListItems(w.t.Context(), api.ItemList{List: page})
	w.must(err)
	runs, err := w.client.ListRuns(w.t.Context(), api.RunList{List: page})
	w.must(err)
	text, err := json.Marshal([]any{triggers, items, runs})
	w.must(err)
	return string(text)
}

// commits is the whole stream, as any client may read it.
func (w *whole) commits() (all []check.Commit) {
	w.t.Helper()
	var info struct {
		State struct {
			LastSeq uint64 `json:"last_seq"`
		} `json:"state"`
	}
	w.ask("$JS.API.STREAM.INFO.BELFRY_EVENTS", "", &info)
	for seq := uint64(1); seq <= info.State.LastSeq; seq++ {
		var got struct {
			Message struct {
				Subject string `json:"subject"`
				Seq     uint64 `json:"seq"`
				Data    string `json:"data"`
			} `json:"message"`
		}
		w.ask("$JS.API.STREAM.MSG.GET.BELFRY_EVENTS", fmt.Sprintf(`{"seq":%d}`, seq), &got)
		body, err := base64.StdEncoding.DecodeString(got.Message.Data)
		w.must(err)
		all = append(all, check.Commit{Seq: got.Message.Seq, Subject: got.Message.Subject, Body: body})
	}
	return all
}

func (w *whole) ask(subject, request string, answer any) {
	w.t.Helper()
	m, err := w.conn.Request(subject, []byte(request), 10*time.Second)
	w.must(err)
	w.must(json.Unmarshal(m.Data, answer))
}

// judge lets the judge read the stream and the journal; each occurrence up to
// now must be decided, and everything due have ended. Runs begin within a
// second, but for outages.
func (w *whole) judge() *check.Verdict {
	w.t.Helper()
	v := check.Log(w.commits())
	v.Lateness = time.Second
	v.Faults(w.outages)
	v.Lines(w.journal.all())
	v.AllDecided(time.Now())
	if w.open == 0 {
		v.AllEnded()
	}
	v.Owned(node.Name)
	for _, violation := range v.Violations[:min(20, len(v.Violations))] {
		w.t.Error(violation)
	}
	fired, skipped := 0, map[string]int{}
	for _, t := range v.Triggers {
		fired += t.Fired
		for why, n := range t.Skipped {
			skipped[why] += n
		}
	}
	w.t.Logf("%d commits, %d events, %d fired, skipped %v, %d items, %d lines in the journal, %d processes",
		v.Commits, v.Events, fired, skipped, len(v.Items), len(w.journal.all()), v.Openings)
	return v
}

// began are the moments at which runs of one trigger began, as the journal has
// them.
func (w *whole) began(v *check.Verdict, trigger string) (all []time.Time) {
	for _, l := range w.journal.all() {
		if r := v.Runs[l.ID]; r != nil && r.Trigger == trigger {
			all = append(all, l.Start)
		}
	}
	return all
}

// wholeRuntime stands for Python: a run writes its line and takes a while.
type wholeRuntime struct {
	journal *wholeJournal
	takes   time.Duration
	killed  chan struct{}
}

// Version implements exec.Runtime.
func (*wholeRuntime) Version() string { return "3.99" }

// Check implements exec.Runtime.
func (*wholeRuntime) Check(context.Context, string, string) (*wire.CodeError, error) { return nil, nil }

// Run implements exec.Runtime.
func (r *wholeRuntime) Run(ctx context.Context, job *exec.Job, _ func(wire.LogLine)) exec.Ended {
	select {
	case <-r.killed:
		return exec.Ended{Kind: wire.Lost}
	default:
	}
	id := job.Run
	if job.Source.Kind == "item" {
		id = job.Source.ID
	}
	began := time.Now()
	line := r.journal.begin(check.Line{ID: id, Run: job.Run, Attempt: job.Attempt, Executor: node.Name, Start: began})
	select {
	case <-time.After(r.takes):
	case <-r.killed:
		return exec.Ended{Kind: wire.Lost}
	case <-ctx.Done():
		return exec.Ended{Kind: wire.Canceled, Started: began, Finished: time.Now()}
	}
	ended := time.Now()
	r.journal.end(line, ended)
	return exec.Ended{Kind: wire.Completed, Started: began, Finished: ended, Result: []byte(`{}`)}
}

// kill ends the code that runs: it writes nothing any more.
func (r *wholeRuntime) kill() { close(r.killed) }

// wholeJournal is what functions write outside Belfry.
type wholeJournal struct {
	mu    sync.Mutex
	lines []check.Line
}

func (j *wholeJournal) begin(l check.Line) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, l)
	return len(j.lines) - 1
}

func (j *wholeJournal) end(n int, at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines[n].End, j.lines[n].Ended = at, true
}

func (j *wholeJournal) all() []check.Line {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]check.Line(nil), j.lines...)
}

func wholeText(s string) *string { return &s }

// wholeLogger shows warnings and errors with the test.
func wholeLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(wholeLines{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type wholeLines struct{ t *testing.T }

// Write implements io.Writer.
func (l wholeLines) Write(line []byte) (int, error) {
	l.t.Logf("%s", line)
	return len(line), nil
}
