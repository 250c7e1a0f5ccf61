// Package cluster is Raft: state machine, members, the plan, join and leave.
//
// It coordinates and does nothing else: it holds who is a member and where, which
// node should own which partition, and which event stream is ours. It refuses to
// take part in what happens: no event, no run and no time is decided here, its
// state machine has no clock and no effects, and it knows neither NATS nor the
// log. Two coordinators at once do no harm, because safety is the event log's
// alone.
//
// # Meeting
//
// One port serves Raft and meetings: the first byte of a connection says which.
// A node without a past says hello to those that it was told to join. If one of
// them belongs to a cluster, it asks the leader to let it in: without a vote
// first, and with one when it has caught up. Else, when exactly as many nodes as
// are expected have met, and all have met the same, the one with the first name
// forms a cluster of them. A data directory has an instance of its own: a name
// that is known with another one, or was removed, is not let in.
//
//	PutMember ─┐                      ┌─▶ State: members, plan, stream ─▶ Snapshot
//	PutPlan   ─┼─▶ Raft's log (bolt, ─┤          │
//	…         ─┘    synced to disk)   └─▶ the other members' State
//
// # The stream's identity
//
// A stream that cannot be found may have been lost, so "not found" never means
// "create it". Only this state says whether there was one:
//
//	(none) ── IntendStream(id): the first wins ──▶ creating ── StreamCreated(id) ──▶ created
//	                                                                  RaiseLowWater(id, seq) ⤺
//
// A stream that ends below its low-water mark has been shortened.
//
// # Leading
//
// [Cluster.Lead] runs a duty for as long as this node leads and once for each
// time it is elected, and starts it only when all that was agreed before is in
// State. What a duty does must be harmless when it was replaced without
// noticing; Raft cannot know better than that.
//
// # Concurrency
//
// A Cluster is safe for concurrent use. State returns a copy. Raft applies
// commands on a goroutine of its own, one at a time; duties run on the goroutine
// that called Lead. Stop ends all goroutines, also the calls of Lead.
package cluster
