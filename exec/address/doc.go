// Package address shows addresses of NATS without what is secret in them.
//
// It reads no address for use, and connects to nothing: nats.go does both. What
// it cannot read it does not show.
//
//	admin:secret@a:4222,nats://b:4222 ──▶ a:4222,nats://b:4222
//
// # Concurrency
//
// Functions are safe for concurrent use.
package address
