// Package service is the API as a NATS micro service: requests become commands
// and queries, answers become replies.
//
// It refuses to decide: what follows from a request is node/command's, in the
// scheduler's loop; here it is read, checked for what no state could allow,
// passed on, and answered when what the answer rests on is stored.
//
//	belfry.api.<user>.<entity>.<verb> ──▶ endpoint ──▶ worker ──▶ route ──▶ verb's function
//	                                                 Do / Read ◀────┴──────────┘
//	                                                 record or {"error"} ──▶ reply
//	                                                        │ "another node decides this"
//	belfry.node.<owner>.<entity>.<verb> ◀───────────────────┘ hop, again while ownership changes
//
// Any node answers any request. Which node decides is told by the scheduler, when
// the command is there, and by nothing else: a verb knows nothing of hops, but for
// create_many, whose items may have several owners, and for what waits for a run,
// which waits where it was asked. A hop is not passed on again.
//
// A node that is one of several listens for its own callers besides, under its
// name: its NATS server sends them there, so that no other node makes them wait.
//
// Ended records are not in memory: they are read back from the log, by the
// commits that the state knows them to be in.
//
// # Concurrency
//
// Each request has a worker of its own, at most requestsMax at a time; when
// all are busy, requests wait in NATS. What other nodes ask has as many workers of
// its own, so that nodes whose callers all wait for each other still answer. Start and Stop are for one caller.
package service
