package arch

import "strings"

// entry is a package on the map.
type entry struct {
	path     string // below the module; a trailing /... stands for all below
	sentence string
	imports  string // of ours, by space: a path, or path/... for it and all below
	pure     bool   // no clock, no I/O, no chance
}

// packages is the map. Arrows beyond the plan of DESIGN.md have their reason
// beside them.
func packages() []entry {
	return []entry{
		{path: "eventlog", pure: true, sentence: "the language: event types, commit, subjects, codec and upcasters"},
		{path: "eventlog/jetstream", imports: "eventlog", sentence: "the log on JetStream: open, a lane to append to, following all lanes, integrity"},
		{path: "eventlog/memlog", imports: "eventlog", sentence: "the same interface in memory, with faults, for simulation"},
		{path: "projection", imports: "eventlog", pure: true, sentence: "records folded from events, the due index, queries, snapshots"},

		{
			// node/api: refusals are errors of its catalogue, so that there is one
			// list of codes. node/record: the words for statuses.
			path: "node/command", imports: "projection eventlog node/api node/record node/command/cron", pure: true,
			sentence: "what may follow: Decide, validation, policies",
		},
		{
			// A package of its own since it is the one place that knows the cron
			// library. eventlog: its durations, for @every.
			path: "node/command/cron", imports: "eventlog", pure: true,
			sentence: "schedule expressions: reading them, and their occurrences",
		},
		{
			// A package of its own since service shows records to callers and
			// scheduler shows users to functions, and neither may know the other.
			path: "node/record", imports: "projection eventlog node/api", pure: true,
			sentence: "turns what was folded into the records that callers and functions see",
		},
		{path: "node/cluster", sentence: "Raft: state machine, members, the plan, join and leave"},
		// exec/credential: the broker admits executors by the keys that it gives.
		{path: "node/broker", imports: "exec/credential", sentence: "the embedded NATS server, its identities and connections"},
		// A package of its own, since it must not know the server that it stands in for.
		{path: "node/external", imports: "exec/address", sentence: "a NATS that others run: whether it is fit to keep the log, and a node's connections to it"},
		{
			// node/api: Do refuses with its errors. node/record: a run carries the
			// user's record.
			path: "node/scheduler", imports: "node/command node/cluster node/api node/record projection eventlog exec/wire",
			sentence: "the owner's loops: decider, committer, timers, windows and dispatch, recovery",
		},
		{
			// node/cluster: what the members agree on. node/scheduler: why a move was
			// refused. Neither's running part: it moves by small interfaces, so that
			// simulation drives it without Raft and NATS.
			path: "node/coordinator", imports: "node/cluster node/scheduler",
			sentence: "who should own what, and has it so: the leader's duty, and every node's part in moving partitions",
		},
		{
			// testing/check: audit.verify lets the judge of our tests judge the log
			// of a running node. The judge shares no code with what wrote the log;
			// a second one, inside the product, would.
			path: "node/service", imports: "node/api node/command node/record node/scheduler node/cluster projection eventlog exec/wire testing/check",
			sentence: "the API as a NATS micro service: requests become commands and queries, answers become replies",
		},
		{
			// eventlog: times, durations, sizes and references look alike in
			// events and records.
			path: "node/api", imports: "eventlog", pure: true,
			sentence: "the wire of callers: subjects, requests, replies, the error catalogue",
		},
		{path: "node/client", imports: "node/api exec/address", sentence: "Go SDK for other services, and what cli uses; a leaf"},
		{path: "node/web", imports: "node/client node/api", sentence: "HTTP: health, metrics, later the page"},
		{
			path: "node", imports: "node/... exec/... projection eventlog eventlog/jetstream",
			sentence: "builds a node from a Config and runs it: the one composition root",
		},

		{path: "exec/wire", sentence: "the wire of executors: announce, window, run, result; a leaf"},
		{path: "exec", imports: "exec/wire", sentence: "what running means: receive, hold, renew, result, limits"},
		// exec/wire: outcomes, errors and lines of output are the wire's own.
		{path: "exec/python", imports: "exec exec/wire", sentence: "the Python runtime: shim (standard library only, embedded) with the valstorm package"},

		// A leaf of its own, since broker admits by it and must not know Python.
		{path: "exec/credential", sentence: "how an executor proves its name: a secret, and the key that it gives a name"},
		// A leaf of its own, since a node, its callers and executors all say to
		// which NATS they cannot connect.
		{path: "exec/address", sentence: "addresses of NATS as anybody may be told them, without what is secret in them"},
		{
			path: "exec/process", imports: "exec exec/wire exec/python exec/credential exec/address",
			sentence: "an executor as a process of its own: its credential, its connection, its Python",
		},

		// exec/process: belfry exec, as node is belfry up. eventlog: durations such as 3d, and times, are read and shown by its types.
		{path: "cli", imports: "node node/api node/client exec exec/process eventlog", sentence: "the commands people type; the only place that knows urfave"},
		{path: "cli/belfry", imports: "cli", sentence: "main, under 30 lines"},

		{path: "testing/arch", sentence: "architecture as a test"},
		{path: "testing/conformance", imports: everything, sentence: "the suites that every implementation of an interface must pass"},
		// The judge imports nothing of the product, so that it shares no
		// misunderstanding.
		{path: "testing/check", imports: "testing/check/crontab", sentence: "the judge"},
		{path: "testing/check/crontab", sentence: "the judge's own evaluator of schedule expressions"},
		{path: "testing/reference", imports: everything, sentence: "the README's reference, held to the code"},
		{path: "testing/property", imports: everything, sentence: "sequences of commands by chance"},
		{path: "testing/sim", imports: everything, sentence: "simulated time"},
		{path: "testing/cluster", imports: everything, sentence: "real processes"},
		{path: "testing/chaos", imports: everything, sentence: "faults"},
		{path: "testing/bench", imports: everything, sentence: "benchmarks"},
		{path: "testing/golden", imports: everything, sentence: "old logs"},
	}
}

// everything is the arrow of tests, which may look at all there is.
const everything = "..."

// find is the entry of a package.
func find(entries []entry, path string) (entry, bool) {
	for _, e := range entries {
		if e.path == path {
			return e, true
		}
	}
	return entry{}, false
}

// mayImport tells whether the map has an arrow from e to path.
func (e entry) mayImport(path string) bool {
	for _, pattern := range strings.Fields(e.imports) {
		below, tree := strings.CutSuffix(pattern, "/...")
		switch {
		case pattern == everything, pattern == path:
			return true
		case tree && (path == below || strings.HasPrefix(path, below+"/")):
			return true
		}
	}
	return false
}
