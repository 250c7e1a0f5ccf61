// Package coordinator is who should own what, and has it so: the duty of the
// Raft leader, and the part of every node in moving partitions.
//
// It refuses to make anything safe. Who owns a partition is in the event log, and
// a move that should not be is refused there; so two coordinators at once, one
// that slept, or one that hears nobody do no harm. It knows neither Raft nor NATS
// nor the log but by the three interfaces of its Config.
//
//	every node    beat ──▶ bus ──▶ every node, the sender too: who is alive, whose clock is off
//	the leader    Duty:   alive, ready ─▶ Assign ─▶ PutPlan ─▶ TakeFrom the gone, as planned
//	every node    follow: what is ours and planned for another that lives ─▶ GiveAway, some at a time
//	who stops     Leave:  GiveAway everything, without waiting for a plan
//
// # Who is alive
//
// Liveness is a renewed sign of life, and silence counts only while we listened.
// Each node hears its own beats as well. If one comes back late, or none did for a
// while, the listener itself stood still or was cut off: it counts anew, and for
// the time of a whole silence it takes nobody for gone.
//
//	own beat back in time ──▶ listening ── for Silence without a break ──▶ may say who is gone
//	                              ▲                                             │
//	                              └──────────── no own beat for GapMax ─────────┘
//
// # Plans
//
// A plan is made anew only if the last one no longer fits those who are alive and
// ready. So it does not change while partitions move, and everyone who makes one
// of the same facts makes the same.
//
// # Concurrency
//
// A Coordinator is safe for concurrent use. Start runs two goroutines: one beats
// and listens to the clock, one gives away; Duty runs on its caller's, Leave too.
// One giving is under way at a time. Stop ends all but Duty, which its own context
// ends.
package coordinator
