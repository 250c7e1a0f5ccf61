package check_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/testing/check"
)

// book writes a log event by event, each in a commit of its own unless it is
// put beside the last, chained as it must be.
type book struct {
	commits  [][]map[string]any
	revision map[string]int
	seq      map[string]int // of the last event
	prev     map[string]int // that it named
}

func newBook() *book {
	return &book{revision: map[string]int{}, seq: map[string]int{}, prev: map[string]int{}}
}

// at is a moment of the book: seconds after noon.
func at(seconds float64) string {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	return noon.Add(time.Duration(seconds * float64(time.Second))).Format("2006-01-02T15:04:05.000Z")
}

// with are the fields of an event's data, name after name.
func with(fields ...any) map[string]any {
	data := map[string]any{}
	for n := 0; n < len(fields); n += 2 {
		data[fields[n].(string)] = fields[n+1]
	}
	return data
}

func (b *book) write(kind, id string, seconds float64, data map[string]any) *book {
	b.commits = append(b.commits, nil)
	return b.beside(kind, id, seconds, data)
}

// beside writes into the last commit.
func (b *book) beside(kind, id string, seconds float64, data map[string]any) *book {
	seq := len(b.commits)
	if b.seq[id] != seq {
		b.prev[id], b.seq[id] = b.seq[id], seq
	}
	b.revision[id]++
	entity, _, _ := strings.Cut(kind, ".")
	partition := check.Partition(id)
	if entity == "node" {
		partition = -1
	}
	b.commits[seq-1] = append(b.commits[seq-1], map[string]any{
		"id": fmt.Sprint("c.", seq, ".", len(b.commits[seq-1])), "source": "/belfry/local", "type": "belfry." + kind,
		"subject": id, "time": at(seconds), "entity": entity, "revision": b.revision[id], "prev": b.prev[id],
		"partition": partition, "data": data,
	})
	return b
}

func (b *book) log() (commits []check.Commit) {
	for n, events := range b.commits {
		body, err := json.Marshal(events)
		if err != nil {
			panic(err)
		}
		commits = append(commits, check.Commit{Seq: uint64(n + 1), Subject: "belfry.events.local", Body: body})
	}
	return commits
}

const sts = "sts_1"

// run is the id of a run in the partition of the trigger.
func run(n int) string {
	for k := 0; ; k++ {
		if id := fmt.Sprint("run_", k); check.Partition(id) == check.Partition(sts) {
			if n--; n < 0 {
				return id
			}
		}
	}
}

var function = map[string]any{"id": "fun_1"}

// trigger begins a book with a trigger that fires each second of the hour.
func trigger(more ...any) *book {
	data := with("name", "t", "cron_schedule", "* * 12 * * *", "function", function, "active", true,
		"overlap", "skip", "catch_up", "latest", "catch_up_window", "24h", "anchor", at(0.5), "next_run", at(1))
	for field, value := range with(more...) {
		data[field] = value
	}
	return newBook().write("trigger.created", sts, 0.5, data)
}

// fire writes that the occurrence of a second became run n.
func (b *book) fire(n int, second, now float64, more ...any) *book {
	return b.write("trigger.fired", sts, now, fired(n, second, more...))
}

func fired(n int, second float64, more ...any) map[string]any {
	data := with("run", run(n), "attempt", 0, "scheduled_for", at(second), "name", "t", "function", function, "next_run", at(second+1))
	for field, value := range with(more...) {
		data[field] = value
	}
	return data
}

func attempt(n int, second float64, number int) map[string]any {
	return with("run", run(n), "scheduled_for", at(second), "attempt", number, "executor", "local")
}

// runs writes the life of run n, of the occurrence of a second.
func (b *book) runs(n int, second, from, to float64) *book {
	return b.write("run.claimed", run(n), from, attempt(n, second, 1)).write("run.completed", run(n), to, attempt(n, second, 1))
}

func skip(from, to float64, count int, why string, next ...float64) map[string]any {
	data := with("from", at(from), "to", at(to), "count", count, "reason", why)
	if len(next) > 0 {
		data["next_run"] = at(next[0])
	}
	return data
}

// once is a book in which the trigger fired at 1 and 2.
func once() *book {
	return trigger().fire(0, 1, 1.001).runs(0, 1, 1.002, 1.1).fire(1, 2, 2.001).runs(1, 2, 2.002, 2.1)
}

// caughtUp is a book whose trigger was down from 2 to 60.
func caughtUp(count, skipped int) *book {
	return once().write("trigger.skipped", sts, 60.5, skip(3, 59, skipped, "missed", 60)).
		beside("trigger.fired", sts, 60.5, fired(2, 60, "missed", with("from", at(3), "to", at(60), "count", count))).
		runs(2, 60, 60.501, 60.6)
}

// verdict is a book and what the judge must say of it, "" if nothing.
type verdict struct {
	book    *book
	objects string
}

func soundBooks() map[string]verdict {
	return map[string]verdict{
		"a sound log": {once(), ""},
		"an overlap": {trigger().fire(0, 1, 1.001).write("run.claimed", run(0), 1.002, attempt(0, 1, 1)).
			write("trigger.skipped", sts, 2.001, skip(2, 2, 1, "overlap", 3)), ""},
		"a sound gap": {caughtUp(58, 57), ""},
		"a gap decided by the old expression, beside the new one": {once().write("trigger.skipped", sts, 60.5, skip(3, 59, 57, "missed", 60)).
			beside("trigger.fired", sts, 60.5, fired(2, 60, "missed", with("from", at(3), "to", at(60), "count", 58))).
			beside("trigger.updated", sts, 60.5, with("cron_schedule", "*/5 * * * * *", "anchor", at(60.5), "next_run", at(65))), ""},
		"a gap that nothing catches up, beside another policy": {trigger("catch_up", "none").
			write("trigger.skipped", sts, 60.5, skip(1, 60, 60, "missed", 61)).
			beside("trigger.updated", sts, 60.5, with("catch_up", "latest", "next_run", at(61))), ""},
		"a pause and a deletion in one commit": {once().write("trigger.skipped", sts, 3.001, skip(3, 3, 1, "paused")).
			beside("trigger.paused", sts, 3.001, with()).beside("trigger.deleted", sts, 3.002, with()), ""},
		"a pause, a resumption and a run in one commit": {once().write("trigger.paused", sts, 2.5, with()).
			beside("trigger.resumed", sts, 2.6, with("next_run", at(3))).
			beside("trigger.fired", sts, 3.001, fired(2, 3)), ""},
		"another expression while paused, by a clock that went back": {trigger("cron_schedule", "0 0 13 * * *", "next_run", at(3600)).
			write("trigger.paused", sts, 100, with()).
			write("trigger.updated", sts, 50, with("cron_schedule", "@every 40s", "anchor", at(50))).
			write("trigger.resumed", sts, 50, with("next_run", at(90))).fire(0, 90, 90.001, "next_run", at(130)), ""},
		"from the end of time": {trigger("cron_schedule", "@yearly", "starts_at", "9999-12-31T23:59:59.999Z", "anchor", "9999-12-31T23:59:59.999Z",
			"next_run", "0001-01-01T00:00:00Z"), ""},
		"resumed by a clock that went back": {trigger().write("trigger.paused", sts, 0.6, with()).
			write("trigger.resumed", sts, -3.5, with("next_run", at(1))).fire(0, 1, 1.001), ""},
		"an expression changed by a clock that went back": {trigger().
			write("trigger.updated", sts, -3.5, with("cron_schedule", "*/2 * 12 * * *", "anchor", at(-3.5), "next_run", at(2))).
			fire(0, 2, 2.001, "next_run", at(4)), ""},
		"an expired gap": {trigger("catch_up_window", "1m", "cron_schedule", "0 0 13 * * *", "next_run", at(3600)).
			write("trigger.skipped", sts, 3700, skip(3600, 3600, 1, "expired", 3600+24*3600)), ""},
		"a sound pause": {once().write("trigger.skipped", sts, 3.001, skip(3, 3, 1, "paused")).
			beside("trigger.paused", sts, 3.001, with()).
			write("trigger.resumed", sts, 9.5, with("next_run", at(10))).fire(2, 10, 10.001), ""},
		"a pause cancels what waits": {trigger().fire(0, 1, 1.001).write("trigger.paused", sts, 1.5, with()).
			beside("run.canceled", run(0), 1.5, with("run", run(0), "scheduled_for", at(1))), ""},
		"a run by hand while paused": {once().write("trigger.paused", sts, 2.5, with()).
			write("trigger.fired", sts, 4.2, with("run", run(7), "attempt", 0, "scheduled_for", at(4.2), "manual", true, "function", function)).
			runs(7, 4.2, 4.3, 4.4), ""},
		"a later attempt while paused": {trigger().fire(0, 1, 1.001).write("run.claimed", run(0), 1.002, attempt(0, 1, 1)).
			write("trigger.paused", sts, 1.5, with()).write("run.interrupted", run(0), 1.6, attempt(0, 1, 1)).
			write("run.claimed", run(0), 1.7, attempt(0, 1, 2)), ""},
		"a new expression": {once().write("trigger.updated", sts, 2.5, with("cron_schedule", "*/5 * * * * *", "anchor", at(2.5), "next_run", at(5))).
			fire(2, 5, 5.001, "next_run", at(10)), ""},
		"every three seconds": {newBook().write("trigger.created", sts, 0.5, with("name", "t", "cron_schedule", "@every 3s", "function", function, "active", true,
			"overlap", "skip", "catch_up", "latest", "catch_up_window", "24h", "anchor", at(0.5), "next_run", at(3.5))).
			fire(0, 3.5, 3.501, "next_run", at(6.5)), ""},
		"between its bounds": {trigger("starts_at", at(2), "ends_at", at(2), "anchor", at(2), "next_run", at(2)).
			write("trigger.fired", sts, 2.001, without(fired(0, 2), "next_run")).
			write("node.opened", "local", 9, with()), ""},
		"jitter": {trigger("jitter", "500ms").fire(0, 1, 1.001, "due", at(1.4)).runs(0, 1, 1.401, 1.5), ""},
		"a call": {newBook().write("run.created", run(0), 1, with("run", run(0), "scheduled_for", at(1))).runs(0, 1, 1.1, 1.2), ""},
	}
}

func faultyBooks() map[string]verdict {
	return map[string]verdict{
		"an occurrence without outcome":     {once().fire(2, 4, 4.001), "C2: trigger sts_1 has no outcome of 2026-01-01T12:00:03Z"},
		"none before a pause":               {once().write("trigger.paused", sts, 3.5, with()), "C2: trigger sts_1 has no outcome"},
		"none before a deletion":            {once().write("trigger.deleted", sts, 3.5, with()), "C2: trigger sts_1 has no outcome"},
		"none before a new expression":      {once().write("trigger.updated", sts, 3.5, with("cron_schedule", "@hourly", "anchor", at(3.5), "next_run", at(3600))), "C2: trigger sts_1 has no outcome"},
		"none at the end":                   {once().write("node.opened", "local", 9, with()), "C2: trigger sts_1 has no outcome of 2026-01-01T12:00:09Z"},
		"an occurrence with two":            {once().fire(2, 2, 2.2), "C2: trigger sts_1 has a second outcome of 2026-01-01T12:00:02Z"},
		"fired and skipped":                 {trigger().fire(0, 1, 1.001).write("trigger.skipped", sts, 1.002, skip(1, 1, 1, "overlap", 2)), "C2: trigger sts_1 has a second outcome"},
		"an outcome of an old expression":   {once().write("trigger.updated", sts, 2.5, with("cron_schedule", "*/5 * * * * *", "anchor", at(2.5), "next_run", at(5))).fire(2, 3, 3.001), "C4"},
		"an outcome behind the resumption":  {once().write("trigger.paused", sts, 2.5, with()).write("trigger.resumed", sts, 9.5, with("next_run", at(10))).fire(2, 9, 9.6), "C2: trigger sts_1 decides 2026-01-01T12:00:09Z"},
		"a claim while paused":              {waiting(with()).write("trigger.paused", sts, 2.5, with()).write("run.claimed", run(1), 2.6, attempt(1, 2, 1)), "C5: run " + run(1) + " is claimed"},
		"a run that waits through a pause":  {waiting(with()).write("trigger.paused", sts, 2.5, with()), "C5: run " + run(1) + " still waits"},
		"a claim after a deletion":          {waiting(with()).write("trigger.deleted", sts, 2.5, with()).write("run.claimed", run(1), 2.6, attempt(1, 2, 1)), "C7: run " + run(1) + " is claimed"},
		"a run that outlives its trigger":   {waiting(with()).write("trigger.deleted", sts, 2.5, with()), "C7: run " + run(1) + " still waits"},
		"fired while paused":                {once().write("trigger.paused", sts, 2.5, with()).fire(2, 3, 3.001), "C5"},
		"fired after a deletion":            {once().write("trigger.deleted", sts, 2.5, with()).fire(2, 3, 3.001), "C7"},
		"fired beside its schedule":         {once().fire(2, 3.5, 3.501), "C4: trigger sts_1 decides 2026-01-01T12:00:03.5Z"},
		"fired before its time":             {once().fire(2, 3, 2.9), "C3"},
		"fired outside its bounds":          {trigger("ends_at", at(1)).fire(0, 1, 1.001).runs(0, 1, 1.01, 1.02).fire(1, 2, 2.001), "C4"},
		"a skipped count that is wrong":     {caughtUp(58, 56), "C8: trigger sts_1 at 8 decides 56 occurrences from 2026-01-01T12:00:03Z to 2026-01-01T12:00:59Z, there are 57"},
		"a caught-up count that is wrong":   {caughtUp(57, 57), "C8: trigger sts_1 at 8 catches up with 57"},
		"missed, and nothing catches up":    {once().write("trigger.skipped", sts, 60.5, skip(3, 60, 58, "missed", 61)), "C8"},
		"expired before its time":           {once().write("trigger.skipped", sts, 60.5, skip(3, 60, 58, "expired", 61)), "C8"},
		"fired after its window":            {trigger("catch_up_window", "1m").write("trigger.fired", sts, 70, fired(0, 1, "next_run", at(2))), "C8"},
		"two runs at once":                  {trigger().fire(0, 1, 1.001).write("run.claimed", run(0), 1.002, attempt(0, 1, 1)).fire(1, 2, 2.001), "C9: trigger sts_1 fires"},
		"an overlap that is none":           {once().write("trigger.skipped", sts, 3.001, skip(3, 3, 1, "overlap", 4)), "C9: trigger sts_1 skips"},
		"skipped as paused, and never was":  {once().write("trigger.skipped", sts, 3.001, skip(3, 3, 1, "paused")), "C2"},
		"skipped for no reason":             {once().write("trigger.skipped", sts, 3.001, skip(3, 3, 1, "tired", 4)), "no reason"},
		"a next run that is wrong":          {trigger().fire(0, 1, 1.001, "next_run", at(3)), "C4: trigger sts_1 at 2 names"},
		"a next run of none":                {newBook().write("trigger.created", sts, 0.5, with("cron_schedule", "0 0 30 2 *", "active", true, "anchor", at(0.5), "next_run", at(9))), "C4"},
		"an anchor out of thin air":         {trigger("anchor", at(0.2)), "C4"},
		"a run in another partition":        {once().fire(2, 3, 3.001, "run", "run_"+run(2)[4:]+"x"), "L7"},
		"a run that fires twice":            {once().fire(1, 3, 3.001), "a second time"},
		"another function":                  {once().fire(2, 3, 3.001, "function", map[string]any{"id": "fun_2"}), "fires fun_2"},
		"a run of nobody":                   {newBook().runs(0, 1, 1.1, 1.2), "never created"},
		"a run's claim before it may start": {trigger("jitter", "500ms").fire(0, 1, 1.001, "due", at(1.4)).runs(0, 1, 1.39, 1.5), "C3"},
		"a jitter that is too long":         {once().fire(2, 3, 3.001, "due", at(3.4)), "C3"},
		"an attempt of a run left out":      {trigger().fire(0, 1, 1.001).write("run.claimed", run(0), 1.1, attempt(0, 1, 2)), "R3"},
		"a retry before its time": {trigger().fire(0, 1, 1.001).write("run.claimed", run(0), 1.1, attempt(0, 1, 1)).
			write("run.retry_scheduled", run(0), 1.2, with("run", run(0), "scheduled_for", at(1), "attempt", 1, "executor", "local", "retry_at", at(1.8))).
			write("run.claimed", run(0), 1.7, attempt(0, 1, 2)), "C3"},
		"a run that ends twice": {once().write("run.failed", run(1), 2.5, attempt(1, 2, 1)), "R4"},
		"a run that waits through a pause that ends in its commit": {waiting(with()).write("trigger.paused", sts, 2.5, with()).
			beside("trigger.resumed", sts, 2.6, with("next_run", at(3))), "C5: run " + run(1) + " still waits"},
		"paused twice": {once().write("trigger.paused", sts, 2.4, with()).write("trigger.paused", sts, 2.5, with()), "R1"},
	}
}

// The judge of triggers objects to each planted fault, and to nothing in a
// sound log. The log is judged up to its last event.
func TestTheJudgeOfTriggers(t *testing.T) {
	cases := soundBooks()
	maps.Copy(cases, faultyBooks())
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v := check.Log(c.book.log())
			v.AllDecided(time.Time{})
			objections := said(v)
			if c.objects == "" && objections != "" || !strings.Contains(objections, c.objects) {
				t.Errorf("the judge said %q, nothing of %q", objections, c.objects)
			}
		})
	}
}

func without(data map[string]any, field string) map[string]any {
	delete(data, field)
	return data
}

// waiting is a book in which the run of 2 waits.
func waiting(more map[string]any) *book {
	return trigger().fire(0, 1, 1.001).runs(0, 1, 1.002, 1.1).write("trigger.fired", sts, 2.001, fired(1, 2)).
		write("node.opened", "local", 2.002, more)
}

// A chain that is broken, and a partition that is wrong, in a sound log.
func TestTheJudgeOfChains(t *testing.T) {
	for name, c := range map[string]struct {
		old, replacement, objects string
	}{
		"a revision":        {`"revision":3`, `"revision":4`, "L6"},
		"a prev":            {`"prev":2`, `"prev":1`, "L6"},
		"a trigger's place": {fmt.Sprintf(`"partition":%d`, check.Partition(sts)), `"partition":3`, "L7: belfry.trigger.created"},
	} {
		t.Run(name, func(t *testing.T) {
			log, planted := once().log(), false
			for n := range log {
				if body := strings.Replace(string(log[n].Body), c.old, c.replacement, 1); !planted && body != string(log[n].Body) {
					log[n].Body, planted = []byte(body), true
				}
			}
			if objections := said(check.Log(log)); !planted || !strings.Contains(objections, c.objects) {
				t.Errorf("the judge said %q, nothing of %q", objections, c.objects)
			}
		})
	}
}
