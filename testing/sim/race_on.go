//go:build race

package sim

// Race says that the race detector is on, with which everything takes four
// times as long.
const Race = true
