// Package cluster starts real processes: the belfry binary as users start it,
// on real disks and sockets, killed with real signals. Its tests are what users
// do, and what befalls them.
//
// Everything is judged from outside: the stream read over NATS, the journal
// that functions write, exit statuses, the words on standard error.
//
// # Concurrency
//
// A Process is for one goroutine, but for its Client and Conn. A Network has
// goroutines of its own, and is for any.
package cluster
