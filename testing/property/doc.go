// Package property draws sequences of commands by chance and lets the pure core
// answer for them: what Decide allows, what Evolve makes of it, on two nodes that
// know of each other late and hand partitions over. It starts no node, and it
// never says which answer a command should get: only what must hold of any.
//
//	rapid ──command──▶ Decide ──events──▶ auditor, Evolve ──commits──▶ the log
//	                     twice: the same      before it is stored          │
//	     judge ◀── full fold ═ snapshot + tail ═ each node's state ◀───────┘
//
// Of each decision: it is the same a second time, changes neither state nor
// command, stores nothing if it refuses or is repeated; a stale report changes
// nothing, and what the due index gives is due and the node's own. At the end:
// the judge accepts the log, and all states are the same, byte by byte and in
// what they answer. A panic is a failure.
//
// control_test.go plants faults into the rules: each must be found.
//
// A failure is shrunk to a short sequence; the message names its -rapid.seed.
//
//	go test ./testing/property -rapid.checks=10000                 longer, or RAPID_CHECKS=10000
//	go test ./testing/property -rapid.steps=100                    longer sequences
//	go test ./testing/property -run TestWhatMayFollow -rapid.seed=N  again
//
// # Concurrency
//
// There is none: everything is decided one by one.
package property
