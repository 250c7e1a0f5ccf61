// Package cron reads the schedule expressions of triggers and tells their
// occurrences, always in UTC.
//
// The dialect is the contract's: five fields as crontab.guru explains them, six
// with leading seconds, the macros @yearly to @hourly, and @every <duration>.
// Day-of-month OR day-of-week when both are restricted; a field that begins
// with * is not, so that */2 narrows the other instead (as in Vixie cron).
// Ranges do not wrap around, and extensions such as L, W, # and ? are refused.
//
// Reading is ours, so that every error names its field and position; finding
// the next occurrence is github.com/netresearch/go-cron's.
//
// # Concurrency
//
// A Schedule never changes; all functions are pure and safe for concurrent use.
package cron
