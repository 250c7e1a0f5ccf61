//go:build race

package sim_test

// wholeYearDays: with the race detector a day costs four times as much.
const wholeYearDays = 100
