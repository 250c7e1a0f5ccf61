// Package bench measures Belfry as its users meet it: a real process, real
// disks with fsync on, real Python; never as a timed unit test.
//
// Each benchmark measures a floor in the same run, since absolute figures drift
// with the machine: what JetStream alone does on the same disk. README.md keeps
// what was measured, with the commands.
//
// # Concurrency
//
// Benchmarks run one after another.
package bench
