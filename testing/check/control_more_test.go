package check

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func runControls() []control {
	return []control{
		{"R1", "an end without a claim", func(g *good) { g.put(g.find("item.completed", 0), g.find("item.created", 0)) }},
		{"R1", "a pause of what is paused", func(g *good) {
			g.put(g.add("B", "trigger.paused", "sts_1", 4.5, fields{}), g.find("trigger.paused", 0))
		}},
		{"R1", "a life without a beginning", func(g *good) {
			g.remove(g.find("item.created", 0))
			g.ops = slices.Delete(g.ops, 1, 2)
		}},
		{"R2", "a result of an old attempt", func(g *good) { g.find("item.completed", 0).data["attempt"] = 1 }},
		{"R2", "a result of another executor", func(g *good) { g.find("item.completed", 0).data["executor"] = "x2" }},
		{"R2", "a result of another run", func(g *good) { g.find("item.completed", 0).data["run"] = "run_other" }},
		{"R2", "a result of another incarnation, where the event tells", func(g *good) { g.find("item.completed", 0).data["incarnation"] = "i2" }},
		{"R2", "a result of another incarnation, by its own line", func(g *good) { g.lines[1].Incarnation = "i2" }},
		{"R2", "another executor runs, by its own line", func(g *good) { g.lines[1].Executor = "x2" }},
		{"R3", "an attempt that was left out", func(g *good) {
			g.find("item.claimed", 1).data["attempt"] = 3
			g.find("item.completed", 0).data["attempt"] = 3
			g.lines[1].Attempt = 3
		}},
		{"R4", "an end after the end", func(g *good) { g.add("A", "item.failed", itemID, 9.1, attemptOf(itemOf, 2, 2)) }},
		{"R8", "an item that never ends", func(g *good) {
			g.remove(g.find("item.completed", 0))
		}},
	}
}

func journalControls() []control {
	return []control{
		{"R6", "an effect before its claim", func(g *good) { g.lines[0].Start = clock(1.0015) }},
		{"R6", "an effect without a claim", func(g *good) {
			g.lines = append(g.lines, Line{ID: itemID, Run: itemOf, Attempt: 3, Executor: "x1", Start: clock(3)})
		}},
		{"R6", "an attempt that ran twice", func(g *good) {
			g.lines = append(g.lines, g.lines[1])
		}},
		{"R6", "what completed and never ran", func(g *good) { g.lines = g.lines[1:] }},
		{"R6", "nobody's run", func(g *good) { g.lines = append(g.lines, Line{ID: "sci_nobody", Attempt: 1, Start: clock(3)}) }},
		{"B1", "what had ended runs again after the backup was restored", func(g *good) {
			g.backup = &restored{g.find("user.created", 2).seq, clock(20)}
			again := g.lines[1]
			again.Start = clock(21)
			g.lines = append(g.lines, again)
		}},
		{"B1", "what had ended is claimed again after the backup was restored", func(g *good) {
			g.backup = &restored{g.find("user.created", 2).seq, clock(20)}
			g.add("A", "item.claimed", itemID, 21, claimOf(itemOf, 2, 3))
		}},
		{"B1", "an occurrence fires again after the backup was restored", func(g *good) {
			g.backup = &restored{g.find("run.completed", 3).seq, clock(6.5)}
			g.find("trigger.fired", 4).data["scheduled_for"] = iso(6)
			g.find("run.claimed", 4).data["scheduled_for"] = iso(6)
			g.find("run.completed", 4).data["scheduled_for"] = iso(6)
		}},
	}
}

func clientControls() []control {
	read := func(g *good) *goodOp { return g.ops[len(g.ops)-1] }
	return []control{
		{"L1", "an acknowledged write that the log lost", func(g *good) { g.remove(g.find("user.created", 1)) }},
		{"L1", "an acknowledged deletion that the log lost", func(g *good) {
			g.ops = append(g.ops, &goodOp{Op: Op{Client: "c9", Verb: "user.delete", Entity: "user", ID: "bob", Invoked: clock(9.1), Returned: clock(9.2)}})
		}},
		{"L1", "an acknowledged write that stands elsewhere", func(g *good) {
			g.ops[2].Revision, g.ops[2].Seq, g.ops[2].of = 1, g.ops[2].of.seq+1, nil
		}},
		{"L2", "a request that was carried out twice", func(g *good) {
			e := g.add("A", "user.created", "bob2", 9.3, fields{"name": "Bob again"})
			e.over["actor"], e.over["cause"] = "admin", g.ops[2].Request
		}},
		{"L1", "an acknowledged update that the log has nothing of", func(g *good) {
			g.ops = append(g.ops, &goodOp{Op{
				Client: "c9", Verb: "user.update", Entity: "user", ID: "bob", Request: "request-lost", Invoked: clock(9.1), Returned: clock(9.2),
			}, g.find("user.created", 1)})
		}},
		{"L2", "an event that nobody asked for", func(g *good) {
			e := g.add("A", "user.created", "zed", 9.3, fields{"name": "Zed"})
			e.over["actor"], e.over["cause"] = "admin", "nobody's"
		}},
		{"L2", "a refused request that was stored", func(g *good) { g.ops[2].Outcome = Refused }},
		{"L2", "an unavailable node that stored", func(g *good) { g.ops[2].Outcome = Unavailable }},
		{"L5", "what was asked later stands earlier", func(g *good) { g.ops[2].Invoked, g.ops[2].Returned = clock(8.5), clock(8.6) }},
		{"P3", "a stale read", func(g *good) { read(g).of = g.find("trigger.fired", 2) }},
		{"P3", "a strong read that is stale while the network is split", func(g *good) {
			g.faults = []Fault{{Kind: "split", From: clock(3), To: clock(5)}}
			g.tune = func(v *Verdict) { v.StaleFor = time.Minute }
			read(g).of, read(g).Strong = g.find("trigger.fired", 2), true
		}},
		{"P3", "a read of the future", func(g *good) { read(g).of = g.find("trigger.resumed", 0) }},
		{"P3", "a read of what the log has not", func(g *good) { read(g).of, read(g).Revision = nil, 99 }},
		{"P3", "a read of another status", func(g *good) {
			g.ops = append(g.ops, &goodOp{Op{
				Verb: "item.get", Entity: "item", ID: itemID, Read: true, Status: "Queued", Invoked: clock(8), Returned: clock(8.1),
			}, g.find("item.completed", 0)})
		}},
		{"P3", "a trigger that is told to be active, and is paused", func(g *good) {
			g.ops = append(g.ops, &goodOp{Op{
				Verb: "trigger.get", Entity: "trigger", ID: "sts_1", Read: true, Status: "active", Invoked: clock(6), Returned: clock(6.1),
			}, g.find("trigger.paused", 0)})
		}},
	}
}

func nodeControls() []control {
	return []control{
		{"P1", "a node that folded something else", func(g *good) { g.hashes[1].Sum[0]++ }},
		{"P2", "a snapshot and its tail that are not the whole fold", func(g *good) { g.hashes[3].Sum[0]++ }},
		{"N4", "a node that is ready and does not serve", func(g *good) { g.ready[0].Served = false }},
	}
}

// Each planted fault breaks its property first.
func TestControls(t *testing.T) {
	for _, c := range controls() {
		t.Run(c.property+" "+c.name, func(t *testing.T) {
			g := newGood()
			c.plant(g)
			v := g.judge()
			r := v.First(4)
			switch {
			case r == nil:
				t.Fatal("the judge objects to nothing")
			case r.Property != c.property:
				t.Fatalf("the judge objects to %s first:\n%s%v", r.Property, r, v.Violations)
			case v.Outcome() != Broken:
				t.Fatal(v.Outcome())
			}
		})
	}
}

// Every property of the design is judged, and its judge is shown to object.
func TestEachPropertyHasAControl(t *testing.T) {
	const properties = "L1 L2 L3 L4 L5 L6 L7 C1 C2 C3 C4 C5 C6 C7 C8 C9 R1 R2 R3 R4 R6 R8 P1 P2 P3 N1 N4 B1"
	var found []string
	for _, c := range controls() {
		found = append(found, c.property)
	}
	for _, p := range strings.Fields(properties) {
		if !slices.Contains(found, p) {
			t.Errorf("%s has no control", p)
		}
	}
	for _, p := range found {
		if !strings.Contains(properties, p) {
			t.Errorf("%s is no property of the design", p)
		}
	}
}
