package check

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// good is a sound log of two nodes with all that is known besides, into which
// tests plant faults. Revisions, prevs and sequences follow from the order of
// the entries.
type good struct {
	entries []*entry
	ops     []*goodOp
	lines   []Line
	hashes  []Hash
	ready   []Readiness
	faults  []Fault

	replica  func([]Commit) []Commit // as the other node holds the log
	commits  func([]Commit) []Commit // as it is read
	backup   *restored
	evaluate func(string, time.Time, time.Time, time.Time) ([]time.Time, error)
	tune     func(*Verdict)
	living   []string
	from     float64 // when the faults had ended, seconds after noon
}

// entry is an event in a commit of its own, or beside the one before.
type entry struct {
	lane, kind, id string
	at             float64
	data           fields
	beside         bool
	over           fields // of the envelope
	seq, revision  uint64
}

// goodOp is an op whose revision and sequence are those of an entry.
type goodOp struct {
	Op
	of *entry
}

type fields map[string]any

func (f fields) and(more fields) fields {
	all := fields{}
	for k, x := range f {
		all[k] = x
	}
	for k, x := range more {
		all[k] = x
	}
	return all
}

// clock is a moment: seconds after noon of a Thursday.
func clock(seconds float64) time.Time {
	return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

func iso(seconds float64) string { return clock(seconds).Format("2006-01-02T15:04:05.000Z") }

// named draws the first id with a prefix that lives in, or outside of, the
// partition of sts_1, after skipping some.
func named(prefix string, inside bool, skip int) string {
	for k := 0; ; k++ {
		id := fmt.Sprint(prefix, k)
		if (Partition(id) == Partition("sts_1")) == inside {
			if skip--; skip < 0 {
				return id
			}
		}
	}
}

var (
	itemID = named("sci_", false, 0)
	itemOf = strings.Replace(itemID, "sci_", "run_", 1)
	nextID = scheduledID(itemOf, clock(2), "next")
	nextOf = strings.Replace(nextID, "sci_", "run_", 1)
	fun    = fields{"id": "fun_1"}
)

func runID(n int) string { return named("run_", true, n) }

func (g *good) add(lane, kind, id string, at float64, data fields) *entry {
	e := &entry{lane: lane, kind: kind, id: id, at: at, data: data, over: fields{}}
	g.entries = append(g.entries, e)
	return e
}

// asked is an entry that a client asked for.
func (g *good) asked(lane, kind, id string, at float64, data fields) *entry {
	e := g.add(lane, kind, id, at, data)
	request := fmt.Sprint("request-", len(g.ops))
	e.over["actor"], e.over["cause"] = "admin", request
	entity, verb, _ := strings.Cut(kind, ".")
	verb = map[string]string{"created": "create", "paused": "pause", "resumed": "resume", "deleted": "delete"}[verb]
	g.ops = append(g.ops, &goodOp{Op{
		Client: "c1", Node: lane, Verb: entity + "." + verb, Request: request, ID: id, Entity: entity,
		Invoked: clock(at - 0.01), Returned: clock(at + 0.01),
	}, e})
	return e
}

func attemptOf(run string, scheduled float64, number int) fields {
	return fields{"run": run, "scheduled_for": iso(scheduled), "attempt": number, "executor": "x1"}
}

func claimOf(run string, scheduled float64, number int) fields {
	return attemptOf(run, scheduled, number).and(fields{"incarnation": "i1", "pool": "default"})
}

// occurs adds an occurrence of the trigger, and the life of its run.
func (g *good) occurs(lane string, n int, second float64) {
	g.add(lane, "trigger.fired", "sts_1", second+0.001, fields{
		"run": runID(n), "attempt": 0, "scheduled_for": iso(second), "name": "t", "function": fun,
		"running_user": "admin", "next_run": iso(second + 1),
	})
	g.add(lane, "run.claimed", runID(n), second+0.002, claimOf(runID(n), second, 1))
	g.add(lane, "run.completed", runID(n), second+0.1, attemptOf(runID(n), second, 1).and(fields{"function_version": 1, "started_date": iso(second + 0.005)}))
	g.lines = append(g.lines, Line{ID: runID(n), Run: runID(n), Attempt: 1, Executor: "x1", Incarnation: "i1", Start: clock(second + 0.005), Ended: true})
}

// newGood is the log: A owns all and gives the trigger's partition to B.
func newGood() *good {
	g := &good{from: 8}
	all := make([]int, partitions)
	for p := range all {
		all[p] = p
	}
	g.add("A", "partitions.moved", "cluster", 0, fields{"to": "A", "partitions": all, "stream": "S"})
	g.add("A", "user.created", "admin", 0, fields{"name": "admin"}).beside = true
	for n, node := range []string{"A", "B", "C"} {
		g.add(node, "node.opened", node, 0.01*float64(n), fields{"process": node, "stream": "S", "version": "v1"})
	}
	g.asked("A", "function.created", "fun_1", 0.1, fields{"name": "f", "version": 1, "code": "c"})
	g.asked("A", "item.created", itemID, 0.2, fields{"name": "i", "run_date_time": iso(2), "function": fun})
	g.asked("A", "user.created", "bob", 0.3, fields{"name": "Bob"})
	g.asked("A", "trigger.created", "sts_1", 0.5, fields{
		"name": "t", "cron_schedule": "* * 12 * * *", "function": fun, "active": true, "overlap": "skip",
		"catch_up": "latest", "catch_up_window": "24h", "anchor": iso(0.5), "next_run": iso(1),
	})
	g.occurs("A", 0, 1)
	g.add("A", "item.claimed", itemID, 2, claimOf(itemOf, 2, 1))
	g.add("A", "item.interrupted", itemID, 2.05, attemptOf(itemOf, 2, 1).and(fields{"reason": "executor_lost"}))
	g.add("A", "item.claimed", itemID, 2.06, claimOf(itemOf, 2, 2))
	g.add("A", "item.completed", itemID, 2.5, attemptOf(itemOf, 2, 2).and(fields{"function_version": 1}))
	g.lines = append(g.lines, Line{ID: itemID, Run: itemOf, Attempt: 2, Executor: "x1", Incarnation: "i1", Start: clock(2.1), Ended: true})
	g.occurs("A", 1, 2)
	// The coordinator is C: it writes in A's lane.
	moved := g.add("A", "partitions.moved", "A", 2.8, fields{"from": "A", "to": "B", "partitions": []int{Partition("sts_1")}})
	moved.over["source"] = "/belfry/C"
	g.occurs("B", 2, 3)
	g.add("B", "node.marked", "B", 3.4, fields{"process": "B"})
	g.asked("B", "trigger.paused", "sts_1", 3.5, fields{})
	g.asked("B", "trigger.resumed", "sts_1", 5.5, fields{"next_run": iso(6)})
	g.occurs("B", 3, 6)
	g.occurs("B", 4, 7)
	g.asked("B", "trigger.deleted", "sts_1", 7.5, fields{"name": "t"})
	// The item's second attempt schedules another.
	g.put(g.add("A", "item.created", nextID, 2.2, fields{
		"name": "next", "run_date_time": iso(8.5), "function": fun, "scheduled_by": itemOf,
	}), g.find("item.claimed", 1)).over["actor"] = "admin"
	g.lines[1].Scheduled = []string{nextID}
	g.add("A", "item.claimed", nextID, 8.5, claimOf(nextOf, 8.5, 1))
	g.add("A", "item.completed", nextID, 8.6, attemptOf(nextOf, 8.5, 1).and(fields{"function_version": 1}))
	g.lines = append(g.lines, Line{ID: nextID, Run: nextOf, Attempt: 1, Executor: "x1", Incarnation: "i1", Start: clock(8.52), Ended: true})
	g.asked("A", "user.created", "zoe", 9, fields{"name": "Zoe"})
	// Its outcome was unknown: it was asked again, as another request.
	again := *g.ops[len(g.ops)-1]
	again.Request, again.Invoked, again.Returned = "again", clock(9.05), clock(9.06)
	g.ops = append(g.ops, &again)
	g.ops = append(g.ops, &goodOp{Op{
		Client: "c2", Node: "C", Verb: "trigger.get", ID: "sts_1", Entity: "trigger", Read: true,
		Invoked: clock(4), Returned: clock(4.01),
	}, g.find("trigger.paused", 0)})
	for _, node := range []string{"A", "B", FullFold, SnapshotAndTail} {
		g.hashes = append(g.hashes, Hash{Node: node, Partition: 3, Seq: 20, Sum: [32]byte{7}})
	}
	g.ready = []Readiness{{Node: "A", At: clock(4), Ready: true, Served: true}, {Node: "B", At: clock(0), Ready: false}}
	g.render()
	return g
}

// find is the n-th entry of a kind.
func (g *good) find(kind string, n int) *entry {
	for _, e := range g.entries {
		if e.kind == kind {
			if n--; n < 0 {
				return e
			}
		}
	}
	panic("there is no " + kind)
}

func (g *good) remove(e *entry) {
	g.entries = slices.DeleteFunc(g.entries, func(x *entry) bool { return x == e })
}

// put puts an entry behind another, away from where it was.
func (g *good) put(e, behind *entry) *entry {
	g.remove(e)
	g.entries = slices.Insert(g.entries, slices.Index(g.entries, behind)+1, e)
	return e
}

// render writes the log.
func (g *good) render() (commits []Commit) {
	revision, last, prev := map[string]uint64{}, map[string]uint64{}, map[string]uint64{}
	var bodies [][]fields
	for _, e := range g.entries {
		if !e.beside {
			bodies = append(bodies, nil)
			commits = append(commits, Commit{Seq: uint64(len(bodies)), Subject: "belfry.events." + e.lane})
		}
		seq := uint64(len(bodies))
		entity, _, _ := strings.Cut(e.kind, ".")
		k := entity + "/" + e.id
		if last[k] != seq {
			prev[k], last[k] = last[k], seq
		}
		revision[k]++
		e.seq, e.revision = seq, revision[k]
		partition := map[string]int{"user": 0, "function": 0, "node": -1, "partitions": -1}
		place, fixed := partition[entity]
		if !fixed {
			place = Partition(e.id)
		}
		bodies[seq-1] = append(bodies[seq-1], fields{
			"id": fmt.Sprintf("c%d.%d", seq, len(bodies[seq-1])), "source": "/belfry/" + e.lane, "type": "belfry." + e.kind,
			"subject": e.id, "time": iso(e.at), "entity": entity, "revision": revision[k], "prev": prev[k], "partition": place,
			"actor": "belfry", "cause": "", "data": e.data,
		}.and(e.over))
	}
	for n := range commits {
		commits[n].Body, _ = json.Marshal(bodies[n])
	}
	return commits
}

// judge judges all of it.
func (g *good) judge() *Verdict {
	commits := g.render()
	v := New()
	if g.evaluate != nil {
		v.evaluate = g.evaluate
	}
	if g.tune != nil {
		g.tune(v)
	}
	v.Faults(g.faults)
	read := commits
	if g.commits != nil {
		read = g.commits(slices.Clone(commits))
	}
	for _, c := range read {
		v.Commit(c)
	}
	v.Finish()
	if g.backup != nil {
		v.Restored(g.backup.seq, g.backup.at)
	}
	v.Owned(g.living...)
	if g.replica != nil {
		commits = g.replica(slices.Clone(commits))
	}
	v.Replica("B", commits)
	v.Hashes(g.hashes)
	v.Readiness(g.ready)
	v.AllDecided(time.Time{})
	v.AllDecidedFor(clock(g.from), time.Time{})
	v.AllEnded()
	var ops []Op
	for _, o := range g.ops {
		if o.of != nil {
			o.Revision, o.Seq = o.of.revision, o.of.seq
		}
		ops = append(ops, o.Op)
	}
	v.History(ops)
	v.Lines(g.lines)
	return v
}

func TestTheGoodLogIsGood(t *testing.T) {
	for name, tune := range map[string]func(*good){
		"as it is":              func(*good) {},
		"with windows":          func(g *good) { g.tune = func(v *Verdict) { v.Lateness = 10 * time.Millisecond } },
		"with a replica behind": func(g *good) { g.replica = func(c []Commit) []Commit { return c[:len(c)/2] } },
		"with faults":           func(g *good) { g.faults = []Fault{{Kind: "crash", Node: "A", From: clock(1), To: clock(2)}} },
		"on Thursdays":          func(g *good) { weekly(g, 0) },
		"restored at its end":   func(g *good) { g.backup = &restored{100, clock(100)} },
	} {
		g := newGood()
		tune(g)
		if v := g.judge(); v.Outcome() != Clean {
			t.Errorf("%s: %v\n%v", name, v.Violations, v.First(3))
		}
	}
}
