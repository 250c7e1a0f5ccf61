package check

// rareControls are further ways in which a property breaks, one for each branch
// of its judge.
func rareControls() []control {
	lone := func(o Op) func(*good) {
		return func(g *good) {
			o.Client, o.Invoked, o.Returned = "c9", clock(9.3), clock(9.4)
			g.ops = append(g.ops, &goodOp{Op: o})
		}
	}
	fires := func(field string, value any) func(*good) {
		return func(g *good) { g.find("trigger.fired", 3).data[field] = value }
	}
	scheduled := func(field string, value any) func(*good) {
		return func(g *good) {
			g.find("item.created", 1).data[field] = value
			g.lines[1].Scheduled = nil
		}
	}
	return append([]control{
		{"L1", "an acknowledgement behind the end of the log", lone(Op{Verb: "item.update", Entity: "item", ID: itemID, Seq: 999})},
		{"L1", "a revision that the log has not", lone(Op{Verb: "item.update", Entity: "item", ID: itemID, Revision: 99, Seq: 12})},
		{"L1", "a create without a record, of which the log has nothing", lone(Op{Verb: "item.create_many", Entity: "item", Request: "many"})},
		{"L1", "a create of what the log does not know", lone(Op{Verb: "item.create", Entity: "item", ID: "sci_none", Seq: 3})},
		{"L2", "a refused create that is there", func(g *good) {
			e := g.add("A", "user.created", "eve", 9.1, fields{})
			e.over["actor"], e.over["cause"] = "admin", "~generated"
			lone(Op{Verb: "user.create", Entity: "user", ID: "eve", Outcome: Refused})(g)
		}},
		{"L2", "a request twice in one commit", func(g *good) {
			e := g.add("A", "user.created", "bob2", 0.3, fields{})
			e.over["actor"], e.over["cause"], e.beside = "admin", g.ops[2].Request, true
			g.put(e, g.find("user.created", 1))
		}},
		{"L3", "a commit without events", func(g *good) {
			g.commits = func(c []Commit) []Commit {
				c[4].Body = []byte("[]")
				return c
			}
			g.replica = func(c []Commit) []Commit { return c[:3] }
		}},
		{"L3", "a commit that comes again", func(g *good) {
			g.commits = func(c []Commit) []Commit { return append(c, c[3]) }
		}},
		{"L7", "a process that opens its lane after it was replaced", func(g *good) {
			g.add("C", "node.opened", "C", 9.1, fields{"process": "C2", "stream": "S"})
			g.add("C", "node.opened", "C", 9.2, fields{"process": "C", "stream": "S"})
		}},
		{"N1", "an owner that does not live", func(g *good) { g.living = []string{"A", "C"} }},
		{"L1", "an item that a run was told is stored", func(g *good) { g.lines[1].Scheduled = append(g.lines[4].Scheduled, "sci_none") }},
		{"L1", "an item that a run was told is stored, and another scheduled", func(g *good) { g.lines[1].Scheduled = []string{itemID} }},
		{"L2", "an item of a run that has ended", func(g *good) { g.put(g.find("item.created", 1), g.find("item.completed", 0)) }},
		{"L2", "an item of a run that there is not", scheduled("scheduled_by", "run_none")},
		{"L2", "an item of another run", scheduled("scheduled_by", runID(4))},
		{"L2", "an item of a run, under another id", scheduled("name", "another")},
		{"L2", "an item of a run that runs as another", scheduled("running_user", "bob")},
		{"L2", "an item of a run in another's name", func(g *good) { g.find("item.created", 1).over["actor"] = "bob" }},
		{"L2", "a drawn cause that nobody asked under", func(g *good) {
			e := g.add("A", "user.created", "eve", 9.1, fields{})
			e.over["actor"], e.over["cause"] = "admin", "~9"
			lone(Op{Verb: "user.get", Entity: "user", ID: "none", Read: true, Cause: "~8"})(g)
		}},
		{"R2", "a completion of what did not come to its end", func(g *good) { g.lines[1].Ended = false }},
		{"R2", "a completion before its code had come to its end", func(g *good) { g.lines[1].End = clock(2.6) }},
		{"L7", "an opening in another's lane", func(g *good) { g.find("node.opened", 2).id = "D" }},
		{"L7", "a marker in another's lane", func(g *good) { g.find("node.marked", 0).id = "D" }},
		{"L7", "a marker of another process", func(g *good) { g.find("node.marked", 0).data["process"] = "B0" }},
		{"L7", "a marker that another node wrote", func(g *good) { g.find("node.marked", 0).over["source"] = "/belfry/C" }},
		{"L7", "a marker of a partition", func(g *good) { g.find("node.marked", 0).over["partition"] = 3 }},
		{"L7", "a marker before the opening", func(g *good) { g.put(g.find("node.marked", 0), g.find("node.opened", 0)) }},
		{"L7", "a move that names a partition of its own", func(g *good) { g.find("partitions.moved", 1).over["partition"] = 3 }},
		{"N1", "a move of a partition that there is not", func(g *good) {
			g.find("partitions.moved", 1).data["partitions"] = []int{Partition("sts_1"), 64}
		}},
		{"C1", "a run that fires twice", func(g *good) { g.find("trigger.fired", 4).data["run"] = runID(3) }},
		{"C3", "an occurrence decided before its time", func(g *good) { g.find("trigger.fired", 3).at = 5.9 }},
	}, append(rareRuns(), []control{
		{"C6", "another runner", fires("running_user", "bob")},
		{"C6", "another retry", fires("retry", fields{"max_attempts": 5})},
		{"C6", "another name", fires("name", "u")},
		{"C8", "two that catch up with the same gap", func(g *good) {
			g.find("trigger.created", 0).data["overlap"] = "allow"
			g.find("trigger.fired", 3).at = 7.001
			g.put(g.find("run.claimed", 3), g.find("trigger.fired", 4)).at = 7.002
			g.put(g.find("run.completed", 3), g.find("run.claimed", 3)).at = 7.1
			g.lines[4].Start = clock(7.005)
		}},
		{"C8", "a run that catches up where none shall", func(g *good) {
			g.find("trigger.created", 0).data["catch_up"] = "none"
			fires("missed", fields{"from": iso(6), "to": iso(6), "count": 1})(g)
		}},
		{"C9", "two at work where one may", func(g *good) {
			g.find("trigger.created", 0).data["overlap"] = "queue"
			g.put(g.find("run.completed", 0), g.find("run.claimed", 1))
		}},
	}...)...)
}

func rareRuns() []control {
	versions := func(g *good, of int, says int) {
		g.find("run.completed", of).data["function_version"] = says
	}
	return []control{
		{"C6", "newer code than there is", func(g *good) { versions(g, 0, 2) }},
		{"C6", "a version left out", func(g *good) {
			g.add("A", "function.updated", "fun_1", 9.1, fields{"code": "d", "version": 3})
		}},
		{"C7", "a completion by a function that was deleted before the claim", func(g *good) {
			g.put(g.add("A", "function.deleted", "fun_1", 5.9, fields{"name": "f"}), g.find("trigger.resumed", 0))
		}},
		{"R1", "a function without a beginning", func(g *good) { g.add("A", "function.updated", "fun_9", 9.1, fields{}) }},
		{"R1", "an event that items do not have", func(g *good) {
			g.put(g.add("A", "item.forgotten", itemID, 0.3, fields{}), g.find("item.created", 0))
		}},
		{"R1", "an item that is created again", func(g *good) { g.add("A", "item.created", itemID, 9.1, fields{"run_date_time": iso(10)}) }},
		{"R2", "a claim that names no executor", func(g *good) {
			g.find("item.claimed", 1).data["executor"] = ""
			g.find("item.completed", 0).data["executor"] = ""
		}},
		{"R2", "a run's event that names another", func(g *good) { g.find("run.claimed", 0).data["run"] = runID(9) }},
		{"R3", "a next attempt of another run", func(g *good) {
			g.find("item.claimed", 1).data["run"] = "run_other"
			g.find("item.completed", 0).data["run"] = "run_other"
			g.lines[1].Run = "run_other"
		}},
		{"R4", "an update after the end", func(g *good) { g.add("A", "item.updated", itemID, 9.1, fields{"run_date_time": iso(20)}) }},
	}
}
