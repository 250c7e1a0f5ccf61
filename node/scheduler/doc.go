// Package scheduler is the owner's loops: decider, committer, timers, windows
// and dispatch, recovery.
//
// It refuses to know callers, Python and Raft: commands come in by Do, runs go
// out over exec/wire, and what must be remembered outside the log is handed to
// a callback.
//
//	Do, reports, timers ──▶ loop (one goroutine) ── Decide, Evolve ──▶ commit n+1 gathers
//	                          ▲                                          │ one at a time
//	     effects: replies,    │                                          ▼
//	     runs, Stored ◀── acknowledged ◀── committer (one goroutine): append to the lane,
//	                                       again and again until it is known to stand
//
// The state runs ahead of the log by the commits that are open. Whatever leaves
// the package, a reply, a run, an acknowledgement to an executor, waits for the
// open commits that it rests on (Horizon).
//
// # Who is fenced, and by what
//
// Each append expects the lane's last message to be the one this process wrote
// or folded. A later process of the same node begins with an opening in the
// same lane; from then on the older one's appends are refused by JetStream, it
// finds the opening and ends. No lease and no clock is part of it.
//
// # Concurrency
//
// Do, Read, DrawID, Status and Stats are safe for concurrent use. The loop alone
// writes the state, under a lock that readers share; the committer sees only
// sealed commits. Start returns when the process decides; Stop blocks.
package scheduler
