// Package external is a NATS that others run: whether it is fit to keep the log,
// and a node's connections to it.
//
// It refuses to run a server (node/broker does) and to make or judge streams
// (eventlog/jetstream does). It builds no walls: in one account everybody may say
// everything, and who writes into the event stream is for that NATS's accounts and
// permissions to say. Nor can it see whether the servers sync to disk what they
// have acknowledged; it warns of that.
//
//	Connect ── credentials ── JetStream ── max_payload ── how many servers ──▶ fit
//	                              ▲    │
//	                              └────┘ while the servers elect who leads them
//
// # Concurrency
//
// A NATS is safe for concurrent use. Its goroutines are those of the connections
// that it handed out; Stop closes them.
package external
