//go:build !race

package sim_test

// wholeYearDays is a leap year and a day.
const wholeYearDays = 367
