package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// linesCode writes outside of Belfry when a run begins and when it ends.
const linesCode = `import json, os, time
import valstorm

def note(journal, what):
    line = json.dumps([what, valstorm.run.id, valstorm.run.attempt, time.time_ns()]) + "\n"
    fd = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, line.encode())
    os.close(fd)

def execute(current_user, journal, **kwargs):
    note(journal, "begin")
    note(journal, "end")
`

const (
	// farAhead is longer than any fault keeps creates waiting, so that what is late
	// is the run, not the asking; shortlyAhead is for a test that ends soon.
	farAhead     = 25 * time.Second
	shortlyAhead = 8 * time.Second
	// window is how much time one round of making items fills.
	window = 2 * time.Second
	// batches share a window, each in a partition of its own, which a request id
	// draws.
	batches = 16
	// attemptMax is how long a caller waits for an answer before it asks again.
	attemptMax = 5 * time.Second
	// callEvery is the pace of one caller.
	callEvery = 100 * time.Millisecond
)

// load is runs that fall due, callers, and what they were told.
type load struct {
	t       *testing.T
	m       *cluster.Members
	journal string
	rate    int           // runs due each second
	ahead   time.Duration // how long before its time an item is made

	mu  sync.Mutex
	ops []check.Op
	due map[string]time.Time // of items that were acknowledged before it

	stop  context.CancelFunc
	group sync.WaitGroup
}

// newLoad makes the function and the first items, and has callers ask at each
// node, and one that knows all of them.
func newLoad(t *testing.T, m *cluster.Members, rate int, ahead time.Duration) *load {
	t.Helper()
	l := &load{t: t, m: m, rate: rate, ahead: ahead, journal: filepath.Join(t.TempDir(), "journal"), due: map[string]time.Time{}}
	ctx, stop := context.WithCancel(t.Context())
	l.stop = stop
	t.Cleanup(stop)
	everywhere := l.connect(m.URL())
	if o := l.ask(ctx, everywhere, "feeder", "all", "function", "create", "function", map[string]any{"name": "lines", "code": linesCode, "timeout": "30s"}); o.Outcome != check.Acknowledged {
		t.Fatal("the function was not stored")
	}
	next := time.Now().Add(3 * time.Second)
	for ; time.Until(next) < ahead; next = next.Add(window) {
		l.fill(ctx, everywhere, next)
	}
	l.group.Go(func() {
		for ; ctx.Err() == nil; next = next.Add(window) {
			pause(ctx, time.Until(next)-ahead)
			if ctx.Err() == nil {
				l.fill(ctx, everywhere, next)
			}
		}
	})
	l.group.Go(func() { l.call(ctx, everywhere, "rider", "all") })
	for _, p := range m.Nodes {
		c := l.connect(p.URL, nats.IgnoreDiscoveredServers())
		l.group.Go(func() { l.call(ctx, c, "at-"+p.Name, p.Name) })
	}
	return l
}

func (l *load) connect(url string, options ...nats.Option) *client.Client {
	l.t.Helper()
	c, err := client.Connect(l.t.Context(), client.Config{URL: url, Timeout: attemptMax, Options: options})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(c.Close)
	return c
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d): // real processes, real time
	case <-ctx.Done():
	}
}

// fill makes the items of one window, spread evenly over it and over partitions.
func (l *load) fill(ctx context.Context, c *client.Client, from time.Time) {
	n := l.rate * int(window/time.Second)
	for b := range min(batches, n) {
		var items []jsontext.Value
		var dues []time.Time
		for k := b; k < n; k += batches {
			due := from.Add(window * time.Duration(k) / time.Duration(n)).Truncate(time.Millisecond)
			raw, err := json.Marshal(l.item(due))
			if err != nil {
				l.t.Error(err)
				return
			}
			items, dues = append(items, raw), append(dues, due)
		}
		o := check.Op{Client: "feeder", Verb: "item.create_many", Entity: "item", Request: fmt.Sprintf("feed-%d-%d", from.UnixMilli(), b), Invoked: time.Now()}
		var made api.ItemResults
		err := errors.New("not asked yet")
		for err != nil && ctx.Err() == nil { // what it asks for is needed
			made, err = c.CreateItems(client.WithRequestID(ctx, o.Request), api.ItemsInput{Items: items})
		}
		o.Returned, o.Outcome = time.Now(), outcomeOf(err)
		l.mu.Lock()
		l.ops = append(l.ops, o)
		for k, r := range made.Results {
			if r.Error != nil {
				l.t.Errorf("an item of a create_many was refused: %v", r.Error)
			} else if o.Returned.Before(dues[k]) {
				l.due[r.ID] = dues[k]
			}
		}
		l.mu.Unlock()
	}
}

func (l *load) item(due time.Time) map[string]any {
	return map[string]any{
		"name": "due", "run_date_time": due.UTC().Format(time.RFC3339Nano), "function": "lines",
		"data": map[string]any{"journal": l.journal},
	}
}

// call makes items that are due at once and reads them, until the end.
func (l *load) call(ctx context.Context, c *client.Client, name, node string) {
	for n := 0; ctx.Err() == nil; n++ {
		o := l.ask(context.WithoutCancel(ctx), c, name, node, "item", "create", fmt.Sprint(name, "-", n), l.item(time.Now()))
		if n%4 == 0 && o.Outcome == check.Acknowledged {
			l.ask(context.WithoutCancel(ctx), c, name, node, "item", "get", "", map[string]any{"id": o.ID, "strong": n%8 == 0})
		}
		pause(ctx, callEvery)
	}
}

// ask asks once, as often as a client repeats it by itself, and notes it.
func (l *load) ask(ctx context.Context, c *client.Client, name, node, entity, verb, request string, body map[string]any) check.Op {
	o := check.Op{Client: name, Node: node, Verb: entity + "." + verb, Entity: entity, Request: request, Read: request == "", Invoked: time.Now()}
	o.ID, _ = body["id"].(string)
	o.Strong, _ = body["strong"].(bool)
	if request != "" {
		ctx = client.WithRequestID(ctx, request)
	}
	raw, err := c.Ask(ctx, entity, verb, body)
	o.Returned = time.Now()
	var got struct {
		ID       string
		Revision uint64
		Seq      uint64
		Status   string
	}
	if err == nil {
		err = json.Unmarshal(raw, &got)
	}
	if o.Outcome = outcomeOf(err); o.Outcome == check.Acknowledged {
		o.ID, o.Revision, o.Seq, o.Status = got.ID, got.Revision, got.Seq, got.Status
	} else {
		l.t.Logf("%s %s %s after %v: %v", o.Invoked.UTC().Format("15:04:05.000"), name, o.Verb, o.Returned.Sub(o.Invoked).Round(time.Millisecond), err)
	}
	l.mu.Lock()
	l.ops = append(l.ops, o)
	l.mu.Unlock()
	return o
}

func outcomeOf(err error) check.Outcome {
	var refusal *api.Error
	switch {
	case err == nil:
		return check.Acknowledged
	case !errors.As(err, &refusal), refusal.Code == api.Timeout:
		return check.Unknown
	case refusal.Code == api.Unavailable:
		return check.Unavailable
	}
	return check.Refused
}

// end ends the asking, and returns when all that was made has ended.
func (l *load) end(most time.Duration) {
	l.t.Helper()
	l.stop()
	l.group.Wait()
	waitEnded(l.t, l.m.Client(api.Admin), l.ahead+most)
}

// lines is what the functions wrote.
func (l *load) lines() (lines []check.Line) {
	l.t.Helper()
	raw, err := os.ReadFile(l.journal)
	if err != nil {
		l.t.Fatal(err)
	}
	type attempt struct {
		run string
		n   int
	}
	begun := map[attempt]int{}
	for text := range strings.Lines(string(raw)) {
		var what, run string
		var n int
		var at int64
		if err := json.Unmarshal([]byte(text), &[]any{&what, &run, &n, &at}); err != nil {
			l.t.Fatalf("the journal has the line %q: %v", text, err)
		}
		if what == "begin" {
			begun[attempt{run, n}] = len(lines)
			lines = append(lines, check.Line{ID: run, Attempt: n, Start: time.Unix(0, at)})
		} else if k, known := begun[attempt{run, n}]; known {
			lines[k].Ended, lines[k].End = true, time.Unix(0, at)
		}
	}
	return lines
}
