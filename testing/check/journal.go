package check

import (
	"cmp"
	"slices"
	"time"
)

// Line is one begin of a function's code, as it wrote it outside Belfry.
type Line struct {
	ID         string // of the item, or of the run of a trigger or a call
	Run        string
	Attempt    int
	Executor   string
	Start, End time.Time
	// Ended: the code came to its own end.
	Ended bool
}

// Fault is something that went wrong, from and to when.
type Fault struct {
	Kind, Node string
	From, To   time.Time
}

// Faults tells what went wrong meanwhile: it excuses lateness. Call it before
// Lines.
func (v *Verdict) Faults(faults []Fault) { v.faults = append(v.faults, faults...) }

type attemptKey struct {
	id, executor string
	attempt      int
}

// Lines compares what functions wrote outside with the log (R6, R2, C3): each
// begin is that of a claim and not before it, no attempt ran twice, what
// completed ran to its end on the executor of its claim, and the occurrences of
// a trigger began within their windows.
func (v *Verdict) Lines(lines []Line) {
	claims := map[attemptKey]*Claim{}
	lives := map[string]*Life{}
	for id, l := range v.lives {
		lives[id] = l
		for n := range l.Claims {
			c := &l.Claims[n]
			claims[attemptKey{id, c.Executor, c.Attempt}] = c
		}
	}
	ran := map[attemptKey]*Line{}
	starts := map[string]time.Time{} // run of a trigger → its first begin
	for n := range lines {
		l := &lines[n]
		key := attemptKey{l.ID, l.Executor, l.Attempt}
		c := claims[key]
		switch {
		case c == nil:
			v.violation("R6: attempt %d of %s ran on %s, and there is no such claim", l.Attempt, l.ID, l.Executor)
			continue
		case ran[key] != nil:
			v.violation("R6: attempt %d of %s ran twice on %s, at %s and %s", l.Attempt, l.ID, l.Executor, stamp(ran[key].Start), stamp(l.Start))
			continue
		case l.Start.Add(v.Skew).Before(c.At.Truncate(time.Millisecond)):
			v.violation("R6: attempt %d of %s ran at %s, before its claim of %s", l.Attempt, l.ID, stamp(l.Start), stamp(c.At))
		case l.Start.Add(v.Skew).Before(lives[l.ID].Due.Truncate(time.Millisecond)):
			v.violation("C3: %s, due at %s, ran at %s", l.ID, stamp(lives[l.ID].Due), stamp(l.Start))
		}
		ran[key] = l
		if r := v.Runs[l.ID]; r != nil && r.Trigger != "" && !r.Manual {
			if first, any := starts[l.ID]; !any || l.Start.Before(first) {
				starts[l.ID] = l.Start
			}
		}
	}
	for key, c := range claims {
		switch l := ran[key]; {
		case c.Ended != "completed":
		case l == nil || !l.Ended:
			v.violation("R2: attempt %d of %s is completed on %s, where it did not come to its end", key.attempt, key.id, key.executor)
		case l.End.After(c.EndedAt.Add(v.Skew + time.Millisecond)):
			v.violation("R2: attempt %d of %s is completed at %s on %s, where it came to its end at %s", key.attempt, key.id, stamp(c.EndedAt), key.executor, stamp(l.End))
		}
	}
	v.windows(starts)
}

// window is when the run of an occurrence begins. One that was lost before its
// end, or canceled, need not have begun.
type window struct {
	from, to time.Time
	must     bool
}

// windows judges lateness as Chronos does: each begin goes to the window that
// ends first among those it lies in; a begin without a window, or a window
// without the begin that it must have, is a violation.
func (v *Verdict) windows(starts map[string]time.Time) {
	if v.Late == 0 {
		return
	}
	windows, begins := map[string][]window{}, map[string][]time.Time{}
	for id, r := range v.Runs {
		if r.Trigger == "" || r.Manual || len(r.Claims) == 0 {
			continue
		}
		to := r.Due.Add(v.Late)
		windows[r.Trigger] = append(windows[r.Trigger], window{r.Due.Add(-v.Skew), to.Add(v.excuse(r.Due, to)), r.Status == completed})
		if at, any := starts[id]; any {
			begins[r.Trigger] = append(begins[r.Trigger], at)
		}
	}
	for trigger, list := range windows {
		left, over := assign(list, begins[trigger])
		for _, w := range left {
			if w.must {
				v.violation("C3: no run of trigger %s began between %s and %s", trigger, stamp(w.from), stamp(w.to))
			}
		}
		for _, at := range over {
			v.violation("C3: trigger %s ran at %s, in no occurrence's window", trigger, stamp(at))
		}
	}
}

// excuse is how much longer a window is for the faults within it, and for those
// within what they added.
func (v *Verdict) excuse(from, to time.Time) (more time.Duration) {
	faults := slices.Clone(v.faults)
	slices.SortFunc(faults, func(a, b Fault) int { return a.From.Compare(b.From) })
	for _, f := range faults {
		if f.From.Before(to.Add(more)) && f.To.After(from) {
			more += f.To.Sub(f.From)
		}
	}
	return more
}

// assign gives each begin the window that ends first, one that must have a begin
// before one that need not, and returns what is left of both.
func assign(windows []window, starts []time.Time) (left []window, over []time.Time) {
	left = slices.Clone(windows)
	slices.SortFunc(left, func(a, b window) int {
		if a.must != b.must {
			return cmp.Compare(rank(b.must), rank(a.must))
		}
		return a.to.Compare(b.to)
	})
	starts = slices.Clone(starts)
	slices.SortFunc(starts, time.Time.Compare)
	for _, at := range starts {
		n := slices.IndexFunc(left, func(w window) bool { return !at.Before(w.from) && !at.After(w.to) })
		if n < 0 {
			over = append(over, at)
			continue
		}
		left = slices.Delete(left, n, n+1)
	}
	return left, over
}

func rank(first bool) int {
	if first {
		return 1
	}
	return 0
}
