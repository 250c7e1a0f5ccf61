// Package broker is the embedded NATS server, its identities and connections.
//
// It refuses to know what is said over it: no events, no records, no Python. It
// opens no stream and judges none (eventlog/jetstream does), and it serves
// loopback addresses only, because Belfry has no security yet. Every write to
// a stream is synced to disk before its acknowledgement; there is no switch.
//
// # Identities and walls
//
// Permissions say who may name a subject. They do not help where somebody else
// names it for you: a requester chooses the subject of the reply, and the reply
// is published with the rights of who answers. With all in one account, a
// nameless client could write into the event stream by asking for its info and
// giving "belfry.events.x" as the reply subject. Therefore each circle of trust
// is an account of its own, and only the subjects drawn here pass its wall:
//
//	      CALLERS              │      BELFRY (JetStream)       │       EXECUTORS
//	                           │                               │
//	caller ── belfry.api.> ──▶ a node's                        │
//	       ── $SRV.>       ──▶ service                         │
//	       ── $JS.API.STREAM.INFO.BELFRY_EVENTS ──▶            │
//	       ── $JS.API.STREAM.MSG.GET.BELFRY_EVENTS ──▶         │
//	                           │  a node ── belfry.run.*.* ──────▶ executor
//	                           │         ── belfry.exec.*.* ─────▶
//	                           │         ◀── belfry.announce.* ────
//	                           │         ◀── belfry.result.*.* ────
//	                           │         ◀── belfry.logs.> ────────
//	                           │         ◀── replies to requests ──
//
// The identities. Those of the node itself connect inside this process only,
// with keys drawn at start:
//
//   - A node's own connection ([Broker.NodeConn]) may do everything in BELFRY.
//     It must not answer announcements and reports: their reply subjects are
//     the executor's choice.
//   - A node answers callers on another connection ([Broker.ServiceConn]),
//     which can publish nothing but replies to inboxes.
//   - An executor ([Broker.ExecutorConn]) may use the subjects that bear its
//     name, answer a request once within 30 s, and read its own inbox. One that
//     is a process of its own comes over TCP with a name that nobody has to know
//     before, and with the key that the node's secret gives that name
//     ([Config.ExecutorSecret], exec/credential).
//   - A caller is whoever connects without credentials, over TCP or in this
//     process ([Broker.CallerConn]). Wrong credentials are refused.
//
// # Several servers
//
// Servers that share a password ([Cluster]) are one: an account, its wall and its
// streams are the same at each. What callers ask is answered by the service of the
// node whose server they ask, while that serves ([Broker.ServeLocally]); before and
// after it by any.
//
// # Concurrency
//
// A Broker is safe for concurrent use. The goroutines are those of the server
// and of the connections that a Broker handed out; Stop ends them all.
package broker
