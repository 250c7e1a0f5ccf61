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
//	Get, Next, Info ◀── asked of the leader ────┤
//	Follow ◀── a consumer in memory, pulled ────┘   jump or silence: look, then go on or ErrDamaged
//	       ◀── Get by Get where there is none
//
// On a cluster everything but Create and Scale needs nothing but a leader of the
// stream. A consumer lives on one server and needs the cluster's leader to be
// made anew; Follow goes on without one until it gets it.
//
// # Concurrency
//
// A Log is safe for concurrent use. It starts no goroutine: each method works
// in its caller's, and so does deliver in Follow's. It holds a connection and
// does not close it.
package jetstream
