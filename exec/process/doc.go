// Package process is an executor as a process of its own: its credential, its
// connection to a running node, its Python.
//
// It refuses to know owners and partitions (exec does) and to store anything: a
// process that is killed leaves nothing behind but its attempts, which the node
// closes and takes up elsewhere.
//
//	Start ── Python ── credential ── connect ── announce ──▶ joined: "ready"
//	                                    ▲  │
//	                                    └──┘ for ever, at most a second apart
//
// # Concurrency
//
// Start and Stop are called one after the other by whoever owns the Process; Done
// and Err at any time.
package process
