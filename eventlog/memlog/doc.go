// Package memlog is the same interface in memory, with faults, for simulation.
//
// It refuses to be a store: nothing outlives the process, and no product code
// imports it. It adds no time of its own: a delay is one that a fault asks for,
// so that in a synctest bubble a run takes the time of its faults and no more.
//
//	New ──▶ stream ◀── Log  of node a, its Faults: lost, ack lost, late, delayed; lag; a past
//	            ▲
//	            └───── Log  of node b (With), its own Faults
//	Truncate, Drop: damage, for tests of what looks for it
//
// # Concurrency
//
// A Log is safe for concurrent use. Deliver runs in the goroutine of Follow's
// caller, faults in that of the method's; both may use the log. The only
// goroutine it ever starts is a timer's, for an append that lands late. A log
// that is used in a bubble must be made in it.
package memlog
