package check

import (
	"time"

	"github.com/belfryhq/belfry/testing/check/crontab"
)

// control is a fault and the property that it breaks.
type control struct {
	property, name string
	plant          func(*good)
}

// controls are all of them.
func controls() []control {
	return slicesOf(logControls(), laneControls(), scheduleControls(), runControls(), journalControls(), clientControls(), nodeControls(), rareControls())
}

func slicesOf(all ...[]control) (flat []control) {
	for _, c := range all {
		flat = append(flat, c...)
	}
	return flat
}

func logControls() []control {
	return []control{
		{"L3", "a commit that is not there", func(g *good) {
			g.commits = func(c []Commit) []Commit { return append(c[:3:3], c[4:]...) } // the opening of C
			g.replica = func(c []Commit) []Commit { return c[:3] }
		}},
		{"L3", "a commit that cannot be read", func(g *good) {
			g.commits = func(c []Commit) []Commit {
				c[3].Body = []byte("{")
				return c
			}
			g.replica = func(c []Commit) []Commit { return c[:3] }
		}},
		{"L3", "a gap on a replica", func(g *good) {
			g.replica = func(c []Commit) []Commit { return append(c[:3:3], c[4:]...) }
		}},
		{"L4", "another byte on a replica", func(g *good) {
			g.replica = func(c []Commit) []Commit {
				c[9].Body = append([]byte(nil), c[9].Body...)
				c[9].Body[20] ^= 1
				return c
			}
		}},
		{"L4", "another lane on a replica", func(g *good) {
			g.replica = func(c []Commit) []Commit {
				c[9].Subject = "belfry.events.C"
				return c
			}
		}},
		{"L4", "a replica that holds more", func(g *good) {
			g.replica = func(c []Commit) []Commit { return append(c, Commit{Seq: uint64(len(c) + 1)}) }
		}},
		{"L6", "a prev that is wrong", func(g *good) { g.find("item.completed", 0).over["prev"] = 1 }},
		{"L6", "a revision that is wrong", func(g *good) { g.find("item.completed", 0).over["revision"] = 9 }},
		{"L2", "an event id that stands twice", func(g *good) { g.find("item.completed", 0).over["id"] = "c1.0" }},
	}
}

func laneControls() []control {
	return []control{
		{"L7", "an append without expectation: the old owner's event stands after the move", func(g *good) {
			g.find("trigger.fired", 2).lane = "A"
		}},
		{"L7", "a new owner that begins before it folded the hand-over", func(g *good) {
			g.put(g.find("partitions.moved", 1), g.find("trigger.fired", 2))
		}},
		{"N1", "a node that gives what is not its own", func(g *good) {
			e := g.find("partitions.moved", 1)
			e.lane, e.id, e.data = "C", "C", e.data.and(fields{"from": "C"})
		}},
		{"L7", "a move that names another lane's node", func(g *good) { g.find("partitions.moved", 1).data["from"] = "B" }},
		{"L7", "a source that is not the lane", func(g *good) { g.find("item.claimed", 0).over["source"] = "/belfry/B" }},
		{"L7", "a partition that is not the entity's", func(g *good) { g.find("item.created", 0).over["partition"] = Partition("sts_1") }},
		{"L7", "a run in another partition than its trigger", func(g *good) { g.find("trigger.fired", 0).data["run"] = named("run_", false, 0) }},
		{"L7", "a process that decides before its opening", func(g *good) { g.remove(g.find("node.opened", 0)) }},
		{"L7", "an earlier process's commit behind the next opening", func(g *good) {
			again := g.add("A", "node.opened", "A", 2.45, fields{"process": "A2", "stream": "S", "version": "v1"})
			again.over["id"] = "01JXS7E8ZZ0000000000000000.0"
			g.put(again, g.find("item.claimed", 1))
			g.find("item.completed", 0).over["id"] = "01JXS7E800ZZZZZZZZZZZZZZZZ.0"
		}},
		{"R2", "an opening of another stream", func(g *good) { g.find("node.opened", 1).data["stream"] = "T" }},
		{"N1", "a genesis that leaves partitions to nobody", func(g *good) {
			g.entries[0].data["partitions"] = g.entries[0].data["partitions"].([]int)[:63]
		}},
		{"N1", "a move to who never opened a lane", func(g *good) {
			g.find("partitions.moved", 1).data["to"] = "D"
		}},
		{"N1", "a move to nobody", func(g *good) { g.find("partitions.moved", 1).data["to"] = "" }},
		{"N1", "no genesis", func(g *good) {
			g.remove(g.entries[0])
			g.entries[0].beside = false
			g.remove(g.find("partitions.moved", 0))
		}},
		{"N1", "a partition that nobody decides for after the faults", func(g *good) {
			e := g.add("A", "item.created", named("sci_", false, 1), 0.25, fields{"run_date_time": iso(3), "function": fun})
			g.put(e, g.find("item.created", 0))
		}},
	}
}

func scheduleControls() []control {
	return []control{
		{"C1", "a claim while one is open", func(g *good) { g.remove(g.find("item.interrupted", 0)) }},
		{"C1", "an attempt claimed twice", func(g *good) { g.find("item.claimed", 1).data["attempt"] = 1 }},
		{"C2", "a trigger that starts from now after a restart", func(g *good) {
			opened := g.add("B", "node.opened", "B", 6.5, fields{"process": "B2", "stream": "S", "version": "v1"})
			g.put(opened, g.find("run.completed", 3))
			for _, kind := range []string{"trigger.fired", "run.claimed", "run.completed"} {
				g.remove(g.find(kind, 3))
			}
			g.lines = append(g.lines[:4:4], g.lines[5:]...)
		}},
		{"C2", "an occurrence with two outcomes", func(g *good) {
			e := g.add("B", "trigger.skipped", "sts_1", 6.2, fields{"from": iso(6), "to": iso(6), "count": 1, "reason": "expired", "next_run": iso(7)})
			g.put(e, g.find("run.completed", 3))
			g.find("trigger.created", 0).data["catch_up_window"] = "100ms"
		}},
		{"C3", "a claim before its time", func(g *good) { g.find("item.claimed", 0).at = 1.99 }},
		{"C3", "a claim and a start before their time", func(g *good) {
			g.find("item.claimed", 0).at = 1.9
			g.lines[1].Attempt, g.lines[1].Start = 1, clock(1.95)
		}},
		{"C3", "a start long after its time", func(g *good) {
			g.tune = func(v *Verdict) { v.Lateness = 100 * time.Millisecond }
			g.lines[0].Start = clock(1.5)
		}},
		{"C4", "a cron evaluator that is off by one day", func(g *good) {
			weekly(g, 0)
			g.evaluate = shifted
		}},
		{"C4", "a schedule computed a day off", func(g *good) { weekly(g, -1) }},
		{"C5", "a claim while the trigger is paused", func(g *good) {
			g.put(g.find("run.completed", 2), g.find("trigger.paused", 0))
			g.put(g.find("run.claimed", 2), g.find("trigger.paused", 0))
		}},
		{"C5", "a claim after a pause was acknowledged that is not in the log", func(g *good) {
			g.ops = append(g.ops, &goodOp{Op: Op{
				Client: "c9", Verb: "trigger.pause", Entity: "trigger", ID: "sts_1", Seq: 8, Invoked: clock(0.6), Returned: clock(0.7),
			}})
		}},
		{"C6", "a run of what the trigger no longer runs", func(g *good) { g.find("trigger.fired", 3).data["function"] = fields{"id": "fun_2"} }},
		{"C6", "a run with data of an older revision", func(g *good) { g.find("trigger.fired", 3).data["data"] = fields{"old": 1} }},
		{"C6", "a claim of an item's older time", func(g *good) { g.find("item.claimed", 0).data["scheduled_for"] = iso(1) }},
		{"C6", "older code than the claim found", func(g *good) {
			e := g.add("A", "function.updated", "fun_1", 1.9, fields{"code": "d", "version": 2})
			g.put(e, g.find("run.completed", 0))
			g.find("run.completed", 1).data["function_version"] = 2
			for n := 2; n < 5; n++ {
				g.find("run.completed", n).data["function_version"] = 2
			}
		}},
		{"C7", "a claim after the deletion", func(g *good) {
			g.put(g.find("run.completed", 4), g.find("trigger.deleted", 0))
			g.put(g.find("run.claimed", 4), g.find("trigger.deleted", 0))
		}},
		{"C7", "an update of what was deleted", func(g *good) {
			g.add("A", "user.deleted", "bob", 9.1, fields{})
			g.add("A", "user.updated", "bob", 9.2, fields{})
		}},
		{"C7", "a claim after a cancel was acknowledged that is not in the log", func(g *good) {
			g.find("item.completed", 0).kind = "item.retry_scheduled"
			g.add("A", "item.claimed", itemID, 9.1, claimOf(itemOf, 2, 3))
			g.add("A", "item.completed", itemID, 9.2, attemptOf(itemOf, 2, 3))
			g.ops = append(g.ops, &goodOp{Op: Op{
				Client: "c9", Verb: "item.cancel", Entity: "item", ID: itemID, Invoked: clock(2.6), Returned: clock(2.7),
			}})
		}},
		{"C8", "a run that catches up with what was not missed", func(g *good) {
			g.find("trigger.fired", 3).data["missed"] = fields{"from": iso(6), "to": iso(6), "count": 3}
		}},
		{"C8", "a run after the window", func(g *good) { g.find("trigger.created", 0).data["catch_up_window"] = "0s" }},
		{"C9", "an occurrence that fires while an earlier run is open", func(g *good) {
			g.put(g.find("run.completed", 0), g.find("trigger.fired", 1))
		}},
		{"C9", "two that wait where one may", func(g *good) {
			g.find("trigger.created", 0).data["overlap"] = "queue"
			g.put(g.find("run.claimed", 0), g.find("trigger.fired", 1))
			g.put(g.find("run.completed", 0), g.find("run.claimed", 0))
		}},
	}
}

// shifted is an evaluator that takes Friday for Thursday.
func shifted(expression string, anchor, after, until time.Time) ([]time.Time, error) {
	const day = 24 * time.Hour
	all, err := crontab.Occurrences(expression, anchor, after.Add(-day), until.Add(-day))
	for n := range all {
		all[n] = all[n].Add(day)
	}
	return all, err
}

// weekly gives the trigger a schedule of Thursdays and lets what was computed be
// so many days off.
func weekly(g *good, days int) {
	e := g.find("trigger.created", 0)
	e.data["cron_schedule"] = "* * 12 * * " + time.Weekday(int(time.Thursday) + days).String()[:3]
}
