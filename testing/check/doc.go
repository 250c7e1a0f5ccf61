// Package check is the judge: it reads a log as anybody could, with the
// standard library's JSON, and says what in it must not be.
//
// It imports nothing of the product, so that a misunderstanding there is not
// shared here; its occurrences are those of its own evaluator, in crontab. It
// judges what design calls L3, L6, C1, C3 and R1 to R4 for items and for the
// runs of triggers and calls, L7 as far as an event's partition goes, and for
// triggers C2 to C5 and C7 to C9:
//
//	created, resumed, updated ──▶ occurrences after it, by the plan
//	fired, skipped            ──▶ their outcomes, gathered
//	updated, paused, deleted  ──▶ settled: each up to here has exactly one
//
// It compares what functions wrote outside with the claims (R6).
//
// # Concurrency
//
// Functions are pure; a Verdict is for one goroutine.
package check
