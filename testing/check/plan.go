package check

import (
	"maps"
	"slices"
	"time"
)

const day = 24 * time.Hour

// horizon bounds the search for a next run: there is a 29th of February within
// eight years.
const horizon = 8*366*day + day

// timeMax is the last moment that RFC 3339 can write.
func timeMax() time.Time { return time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC) }

// plan is when a trigger has occurrences: those after a moment, between its
// bounds.
type plan struct {
	expression                  string
	anchor, after, starts, ends time.Time // no bound: zero
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// bound is a bound of a plan; 1970 takes it away.
func bound(t time.Time) time.Time {
	if t.Unix() == 0 {
		return time.Time{}
	}
	return t
}

// change takes over what an event says.
func (p *plan) change(d *Facts) {
	if d.CronSchedule != nil {
		p.expression = *d.CronSchedule
	}
	if d.Anchor != nil {
		p.anchor = *d.Anchor
	}
	if d.StartsAt != nil {
		p.starts = bound(*d.StartsAt)
	}
	if d.EndsAt != nil {
		p.ends = bound(*d.EndsAt)
	}
}

// occurrences are those after one moment and up to another, by the judge's own
// evaluator, a day at a time: triggers share their days.
func (v *Verdict) occurrences(p plan, after, until time.Time) (all []time.Time) {
	if !p.starts.IsZero() {
		after = later(after, p.starts.Add(-time.Nanosecond))
	}
	if !p.ends.IsZero() && until.After(p.ends) {
		until = p.ends
	}
	if until.After(timeMax()) {
		until = timeMax()
	}
	for begin := after.UTC().Truncate(day); !begin.After(until); begin = begin.Add(day) {
		of := v.day(p, begin)
		first, _ := slices.BinarySearchFunc(of, after.Add(time.Nanosecond), time.Time.Compare)
		end, _ := slices.BinarySearchFunc(of, until.Add(time.Nanosecond), time.Time.Compare)
		all = append(all, of[first:max(first, end)]...)
	}
	return all
}

// day are all occurrences of a day.
func (v *Verdict) day(p plan, begin time.Time) []time.Time {
	key := p.expression + "\n" + stamp(begin)
	if p.expression != "" && p.expression[0] == '@' {
		key += "\n" + stamp(p.anchor)
	}
	of, known := v.days[key]
	if !known {
		var err error
		of, err = v.evaluate(p.expression, p.anchor, begin.Add(-time.Nanosecond), begin.Add(day-time.Nanosecond))
		if err != nil {
			v.object("C4", place{seq: max(1, v.end()), partition: -1}, "%q is no schedule: %v", p.expression, err)
		}
		v.days[key] = of
	}
	return of
}

// next is the first occurrence after a moment; zero if there is none.
func (v *Verdict) next(p plan, after time.Time) time.Time {
	if !p.starts.IsZero() {
		after = later(after, p.starts.Add(-time.Nanosecond))
	}
	for from, end := after, after.Add(horizon); from.Before(end); {
		until := from.UTC().Truncate(day).Add(day)
		if found := v.occurrences(p, from, until); len(found) > 0 {
			return found[0]
		}
		if from = until; !p.ends.IsZero() && from.After(p.ends) {
			break
		}
	}
	return time.Time{}
}

// settle judges C2, C4 and C8 of a trigger's occurrences up to a moment: each
// has exactly one outcome, and there are no others. Seq is the commit that lets
// it be known.
func (v *Verdict) settle(t *Trigger, until time.Time, seq uint64) {
	if t.Status != active || t.plan.expression == "" {
		return
	}
	until = later(until, t.decided)
	expected := v.occurrences(t.plan, t.plan.after, until)
	slices.SortStableFunc(t.found, func(a, b outcome) int { return a.from.Compare(b.from) })
	missing := 0
	lacks := func(at time.Time, seq uint64) {
		if missing++; missing <= missingMax {
			v.object("C2", t.place(seq), "trigger %s has no outcome of %s", t.ID, stamp(at))
		}
	}
	place := 0
	for _, o := range t.found {
		for ; place < len(expected) && expected[place].Before(o.from); place++ {
			lacks(expected[place], o.seq)
		}
		if place == 0 || place > 0 && expected[place-1].Before(o.from) {
			place = v.covers(t, o, expected, place)
			continue
		}
		v.object("C2", t.place(o.seq), "trigger %s has a second outcome of %s at %d", t.ID, stamp(o.from), o.seq)
		for place < len(expected) && !expected[place].After(o.to) {
			place++
		}
	}
	for ; place < len(expected); place++ {
		lacks(expected[place], seq)
	}
	t.found, t.plan.after = nil, later(t.plan.after, until)
}

// missingMax bounds what is said of one gap.
const missingMax = 10

// covers judges one outcome, of which none before it took a part, and returns
// the place after it.
func (v *Verdict) covers(t *Trigger, o outcome, expected []time.Time, place int) int {
	begin, at := place, t.place(o.seq)
	for place < len(expected) && !expected[place].After(o.to) {
		place++
	}
	if !o.from.After(t.plan.after) {
		v.object("C2", at, "trigger %s decides %s at %d, which is behind it: it follows %s", t.ID, stamp(o.from), o.seq, stamp(t.plan.after))
		return place
	}
	if begin == place || !expected[begin].Equal(o.from) {
		v.object("C4", at, "trigger %s decides %s at %d, which is no occurrence of %q", t.ID, stamp(o.from), o.seq, t.plan.expression)
	} else if !expected[place-1].Equal(o.to) {
		v.object("C4", at, "trigger %s decides %s at %d, which is no occurrence of %q", t.ID, stamp(o.to), o.seq, t.plan.expression)
	} else if place-begin != o.count {
		v.object("C8", at, "trigger %s at %d decides %d occurrences from %s to %s, there are %d", t.ID, o.seq, o.count, stamp(o.from), stamp(o.to), place-begin)
	}
	return place
}

// AllDecided judges C2 to the end: each occurrence of a trigger that is active
// has its outcome, up to a moment; a zero one is the time of the last event.
func (v *Verdict) AllDecided(until time.Time) {
	if until.IsZero() {
		until = v.Last
	}
	for _, id := range slices.Sorted(maps.Keys(v.Triggers)) {
		v.settle(v.Triggers[id], until, v.end())
	}
}
