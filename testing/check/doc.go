// Package check is the judge: it reads a log as anybody could, with the
// standard library's JSON, and says what in it must not be.
//
// It imports nothing of the product, so that a misunderstanding there is not
// shared here. It judges what design calls L3, L6, C1, C3, C5 in part, R1, R3
// and R4 for items, and compares what functions wrote outside with the claims
// (R6).
//
// # Concurrency
//
// Functions are pure; a Verdict is for one goroutine.
package check
