// Package broker is the embedded NATS server, its identities and connections.
//
// It refuses to know what is said over it: no events, no records, no Python. It
// opens no stream and judges none (eventlog/jetstream does), and it serves
// loopback addresses only unless it is told otherwise, because Belfry has no
// security yet. Every write to
// a stream is synced to disk before its acknowledgement; there is no switch.
//
// # Several servers
//
// With a ClusterAddr the server is one of several, which are routed together and
// keep streams with replicas. All identities but those of executors from outside
// stay within a process, so servers share nothing but the secret of executors
// and the password of routes. An account is the same on each of them: who sits
// behind a wall on one server sits behind it on all, and what passes a wall on
// one reaches those on the other side anywhere.
//
//	node n1 ─┐             ┌─ node n2          streams, elections, interest
//	callers ─┤ n1 ◀═══════▶ n2 ├─ callers      pass the routes, in clear
//	executors┘   ╲═▶ n3 ◀═╱    └ executors
//
// Before a planned stop [Broker.StepDown] lets others lead; who will never come
// back is taken out with [Broker.RemovePeer]; [Broker.Health] tells how it is.
// None of them deletes anything.
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
//     No name of a server's own executor ([Config.Reserved]) is among them.
//   - The servers' own account tells how they are and takes orders about the
//     cluster ([Broker.SystemConn]).
//   - A caller is whoever connects without credentials, over TCP or in this
//     process ([Broker.CallerConn]). Wrong credentials are refused.
//
// # Concurrency
//
// A Broker is safe for concurrent use. The goroutines are those of the server
// and of the connections that a Broker handed out; Stop ends them all.
package broker
