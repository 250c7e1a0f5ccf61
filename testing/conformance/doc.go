// Package conformance holds the suites that every implementation of an
// interface must pass, one for each interface with two of them.
//
// It refuses to know an implementation: what only one of them does is tested
// beside it. Nothing but _test.go files and other testing packages imports it.
//
//	eventlog/jetstream  log_test.go ──┐
//	                                  ├──▶ conformance.Log(t, open)
//	eventlog/memlog     log_test.go ──┘
//
// # Concurrency
//
// A suite runs its cases one after the other, each with a log of its own.
package conformance
