// Package node builds a node from a Config and runs it: the one composition
// root.
//
// It refuses to do anything itself: Start reads top-down as the story of a
// start, Stop as its reverse, and all work is in the packages that they join.
//
//	data directory ─▶ Python ─▶ Raft ─▶ NATS ─▶ log ─▶ scheduler ─▶ executor ─▶ API ─▶ HTTP
//
// # Concurrency
//
// Start and Stop are for one caller, in this order; Done, Err and Ready may be
// called from anywhere after Start.
package node
