// Package service is the API as a NATS micro service: requests become commands
// and queries, answers become replies.
//
// It refuses to decide: what follows from a request is node/command's, in the
// scheduler's loop; here it is read, checked for what no state could allow,
// passed on, and answered when what the answer rests on is stored.
//
//	belfry.api.<user>.<entity>.<verb> ──▶ endpoint ──▶ bounded goroutine ──▶ verb's function
//	                                                        Do / Read ◀──────────┘
//	                                                        record or {"error"} ──▶ reply
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
// all are busy, requests wait in NATS. Start and Stop are for one caller.
package service
