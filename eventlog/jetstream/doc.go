// Package jetstream is the log on JetStream: open, a lane to append to,
// following all lanes, integrity.
//
// It refuses to decide. A stream that is not there is not made anew: whether
// it was ever there is for Raft to say, and Create is called by who asked it.
// An append that was not acknowledged is not sent again, since only the caller
// knows what else it has sent; and no outcome is called failed that is merely
// unknown. A stream whose settings could lose or hide a message is not opened.
//
//	Append ──▶ belfry.events.<lane> ──▶ ┌───────────────┐   10071 and a message there: ErrOccupied
//	       expecting the lane's last    │ BELFRY_EVENTS │   all but a clean ack:       ErrUnknown
//	                                    └───────┬───────┘
//	Get, Next, Info ◀── asked of the leader ────┤   again each 250 ms, of several replicas
//	Follow ◀── a consumer in memory ────────────┘   jump or silence: look, then go on or ErrDamaged
//
// The consumer is pulled from a server alone; of several replicas their leader
// makes one by itself and pushes. What a leader tells that hears no majority is
// no answer, and several replicas are damaged only if they stay so.
//
// # Concurrency
//
// A Log is safe for concurrent use. It starts no goroutine: each method works
// in its caller's, and so does deliver in Follow's. It holds a connection and
// does not close it.
package jetstream
