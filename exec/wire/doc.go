// Package wire is the wire of executors: announce, window, run, result.
//
// It holds subjects and message shapes only; it opens no connection, keeps no
// state and knows neither events nor records. Owners (node/scheduler) and
// executors (exec) are its two users, and nothing else speaks it.
//
//	executor                                                    owner of partitions
//	   │ belfry.announce.<executor>    Announce (sign of life, held, windows) ──▶ │
//	   │ ◀── belfry.exec.<executor>.ask      Ask: epochs; answered by an Announce │
//	   │ ◀── belfry.exec.<executor>.demand   Demand: what waits at this owner     │
//	   │ ◀── belfry.run.<pool>.<executor>    Run: one attempt, named by a claim   │
//	   │ belfry.result.<executor>.<partition>  Report, again until stored      ──▶ │
//	   │ belfry.schedule.<executor>.<partition>  Schedule, again until answered ─▶ │
//	   │ ◀── belfry.exec.<executor>.scheduled  Scheduled: the item, or why not    │
//	   │ ◀── belfry.exec.<executor>.stored   Stored: these reports are in the log │
//	   │ ◀── belfry.exec.<executor>.cancel   Cancel: stop this attempt            │
//	   │ ◀── belfry.exec.<executor>.check    Check: does this code compile        │
//	   │ ◀── belfry.exec.<executor>.taken    Taken: another bears your name       │
//
// # Rules
//
// A partition's epoch is the sequence of the event by which its owner process
// decides. Every message to an executor that concerns a partition carries it;
// the executor raises its highest epoch of that partition before it answers,
// and ignores messages with a lower one. Claim, Run and Report name the
// executor's incarnation and the stream's; others are refused.
//
// A window is absolute: how many attempts an owner may have claimed on this
// executor and not yet seen the report of. It is repeated with each sign of
// life, so that a lost message costs time, never a slot.
//
// # Concurrency
//
// All types are plain values. Functions are safe for concurrent use.
package wire
