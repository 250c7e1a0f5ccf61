// Package projection is what the log looks like now: records folded from
// events, the due index, queries, snapshots. It is pure: no clock, no I/O, no
// randomness, no logging.
//
// It refuses to judge: an event that is in the log happened, and Evolve never
// declines one. What may happen next is node/command's; when, node/scheduler's.
//
//	events ──Evolve──▶ partition 0: functions, users        ─┐
//	                   partition p: items with their runs    ├─▶ due index, newest-first order,
//	                   cluster: owners, epochs, lanes       ─┘   references, request memory
//
// A queued item is held whole; an ended one only as the fixed fields of Item,
// from which its commits are found: the log holds the rest (see ItemFromLog).
//
// # Sequences of what is not yet stored
//
// An owner evolves as it decides, ahead of its lane by one commit. The sequence
// of such an event is not known, so its place is taken by Pending(n), where n
// numbers the commits of this process; Settle puts in the sequence once the
// commit is acknowledged.
//
// # Concurrency
//
// A State has no lock: one writer, or many readers, at a time. The owner
// (node/scheduler) guards it.
package projection
