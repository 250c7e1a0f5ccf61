package cron

import (
	"math/bits"
	"time"

	cronlib "github.com/netresearch/go-cron"
)

// Schedule is an expression that was read.
type Schedule struct {
	text    string
	every   time.Duration         // of @every, or
	spec    *cronlib.SpecSchedule // of fields
	perHour int                   // occurrences in an hour that has any
}

// String is the expression as it was written.
func (s *Schedule) String() string { return s.text }

// Next is the first occurrence strictly after a moment, in UTC; the zero time
// if there is none. Anchor counts for @every only: its occurrences are anchor +
// n × duration, n from 1.
func (s *Schedule) Next(anchor, after time.Time) time.Time {
	if s.spec != nil {
		return s.spec.Next(after.UTC())
	}
	if after.Before(anchor) {
		return anchor.Add(s.every).UTC()
	}
	return anchor.Add(s.every * (after.Sub(anchor)/s.every + 1)).UTC()
}

// Missed counts the occurrences after one moment and up to another, that one
// included, and names the first and the last of them. It walks hours, not
// occurrences: in UTC every hour that has any has as many as every other.
func (s *Schedule) Missed(anchor, after, until time.Time) (first, last time.Time, count int) {
	first = s.Next(anchor, after)
	if first.IsZero() || first.After(until) {
		return time.Time{}, time.Time{}, 0
	}
	if s.spec == nil {
		n := until.Sub(first) / s.every
		return first, first.Add(n * s.every), int(n) + 1
	}
	for at := first; !at.IsZero() && !at.After(until); {
		begin := at.Truncate(time.Hour)
		end := begin.Add(time.Hour - time.Second)
		if at.Equal(first) || end.After(until) {
			count += s.within(int(at.Sub(begin)/time.Second), int(min(until.Sub(begin), end.Sub(begin))/time.Second))
		} else {
			count += s.perHour
		}
		if end.After(until) {
			end = until
		}
		last = end
		at = s.spec.Next(end)
	}
	return first, s.spec.Prev(last.Truncate(time.Second).Add(time.Second)).UTC(), count
}

// within counts the occurrences in the seconds from and to of an hour that has
// any, both included.
func (s *Schedule) within(from, to int) (count int) {
	for m := from / 60; m <= to/60; m++ {
		if s.spec.Minute>>m&1 == 0 {
			continue
		}
		seconds := s.spec.Second
		if m == from/60 {
			seconds &^= 1<<(from%60) - 1
		}
		if m == to/60 {
			seconds &= 1<<(to%60+1) - 1
		}
		count += bits.OnesCount64(seconds)
	}
	return count
}
