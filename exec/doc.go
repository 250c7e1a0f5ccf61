// Package exec is what running means: receive, hold, renew, result, limits.
//
// An Executor takes runs that owners have claimed for it, gives each to a
// Runtime when one of its slots is free, and reports how it ended, again and
// again until the report is stored. It does not decide what runs, when, or
// whether a run is tried again; it stores nothing on disk and trusts no
// message that names another incarnation, another stream or a past epoch.
//
//	              belfry.run.<pool>.<name>, belfry.exec.<name>.>
//	                                │ one channel, in order
//	                                ▼
//	refused ◀── fence: stream, incarnation, epoch, mark, held?      receive
//	                                │
//	                                ▼
//	         queued ───────────▶ running ───────────▶ ended         hold
//	           │  a slot is free    │  Runtime.Run      │ Stored
//	           │                    │                   ▼
//	           └─ 1 s: handed back  └─ Cancel: stopped  forgotten
//	                                                    │
//	   announce: every second, and when windows change  │
//	   report: at once, and every 500 ms until Stored ◀─┘           beat
//
// An attempt is held from its receipt until its report is stored, and every
// sign of life lists what is held. So an owner can always tell a run that is
// under way from one that never arrived.
//
// # Windows
//
// Each owner is granted a window: how many attempts it may have open here. The
// sum is the slots and a short backlog, measured rate times loop time, which is
// nothing where runs are long. A lone owner has all of it. See window.go.
//
// # Concurrency
//
// An Executor is safe for concurrent use. One mutex guards the state of a
// session, which is everything between a Start and a Stop. Its goroutines are
// one that receives, one that keeps time (announcements, repeated reports,
// hand-backs), one for each slot, and one for each check under way. No lock is
// held while something is published, decoded or run.
package exec
