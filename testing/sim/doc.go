// Package sim runs whole clusters in simulated time: the product's decision,
// projection, lane, hand-over, claiming and recovery code, of several nodes and
// real executors, over eventlog/memlog, in a synctest bubble.
//
// It refuses to imitate the product: what it brings of its own is the network,
// the disk's moods, the clocks, the people who ask, and the functions' code.
// Whether a run went well is for testing/check to say.
//
//	seed ──▶ World ── nodes ─────── scheduler.Scheduler ──▶ memlog, with Faults
//	           │  └── hosts ─────── exec.Executor          ╲
//	           │        └ runtime: writes the journal       ▶ network, with faults
//	           ├── clients: ask, and write their histories ╱
//	           ├── council: stands for Raft, in a third of the worlds: the nodes' own
//	           │            coordinators move partitions, beside the nemesis
//	           ├── nemesis: crashes, pauses, cuts, moves, clocks
//	           └── judge:   log + histories + journal + faults ──▶ check
//
// # Time
//
// A seed chooses the scale of its time: of a second, as the product runs, or of
// a minute, at which days of schedules pass. Everything that waits is scaled
// alike by configuration.
//
// # Concurrency
//
// A World and all its parts live in one bubble, and end with it. A seed fixes
// what is done and when; the order of goroutines that run at one moment is the
// runtime's, so a seed nearly always reproduces, not always.
package sim
