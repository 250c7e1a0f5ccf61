// Package scheduler is the owner's loops: decider, committer, timers, windows
// and dispatch, recovery, hand-over.
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
// With other nodes there is a third loop, which follows all lanes of the stream:
// what others stored, moves of partitions among it, is folded between decisions.
// GiveAway hands partitions over, TakeFrom takes them from a node that is gone.
// A node whose lane was written by another throws away what it had decided and
// folds the log again.
//
// Each event passes an auditor before it is folded, and nodes compare what they
// made of partitions. An objection stops claiming and shows in Ready.
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
