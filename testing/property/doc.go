// Package property draws sequences of commands by chance and lets the pure core
// answer for them: what Decide allows, what Evolve makes of it, on several nodes
// that know of each other late.
//
// rapid draws them and shrinks what fails to the shortest sequence. It prints a
// line that reproduces a failure; a longer run is
//
//	go test ./testing/property -rapid.checks=10000
//
// # Concurrency
//
// There is none: everything is decided one by one.
package property
