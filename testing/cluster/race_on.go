//go:build race

package cluster

// raceEnabled: the tests run with the race detector, so the binary does too.
const raceEnabled = true
