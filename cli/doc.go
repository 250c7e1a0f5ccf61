// Package cli is the commands people type; the only place that knows urfave.
//
// It reads a command line, asks through node/client, and shows the answer: as a
// table for people, or exactly as Belfry sent it for programs. It refuses to
// know the rules: what a name, a time or a transition may be, Belfry says, and
// the refusal is shown as it came. "belfry up" and "belfry exec" are the
// exceptions: they build a node, or an executor, and wait for a signal.
//
//	words ─▶ arrange ─▶ urfave ─▶ verb.do ─▶ client.Ask ─▶ table, sheet or JSON
//	            │                    │            │
//	            └── wrong usage: 2   └────────────┴── refused or failed: 1
//
// Each entity is a file with its columns and verbs; what entities share is in
// noun.go. See DESIGN.md for the decisions.
//
// # Concurrency
//
// One goroutine runs one command line. Main may be called again, not at once:
// urfave keeps state in its package.
package cli
