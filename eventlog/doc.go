// Package eventlog is the language of Belfry: event types, commits, subjects,
// codec. It is pure: no clock, no I/O, no randomness, no logging.
//
// It refuses to interpret: what an event means for a record is projection's,
// what may follow is node/command's. What happened is written here once and
// never edited, so names are constants, fields are only ever added, and a
// golden file (testing/golden/events.txt) holds the list of names for ever.
//
//	stream BELFRY_EVENTS          one message = one commit of a node
//	┌──────────────────────────┐
//	│ belfry.events.<node>     │  body: JSON array of CloudEvents 1.0, in order
//	│ Nats-Msg-Id: commit's id │  at most CommitBytesMax
//	└──────────────────────────┘
//
// A commit, not an event, is the unit of storage: one fsync carries all that
// was decided while the one before it was being written (group commit). Each
// event names, with prev, the commit that holds the entity's event before it,
// so that one entity's life can be read back without an index.
//
// # Concurrency
//
// Types are plain values; functions are safe for concurrent use.
package eventlog
