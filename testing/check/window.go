package check

import (
	"maps"
	"slices"
	"time"
)

// window is when an occurrence must start.
type window struct {
	from, to time.Time
	required bool // its run completed, so it started
	run      *Run
}

// windows judges C3 of each trigger: every occurrence that became a run starts
// in its window, from its due time to Lateness later, and as much longer as
// faults lasted that overlap with it; and every start is of an occurrence.
// Starts are assigned to windows by earliest deadline first, whatever run they
// say they are of.
func (v *Verdict) windows(lines []Line) {
	wins := map[string][]window{}
	for _, l := range v.lives {
		r := v.Runs[l.ID]
		if r == nil || r.Trigger == "" || r.Manual {
			continue
		}
		to := r.Due.Add(v.Lateness)
		to = to.Add(v.slack(r.Due, to))
		wins[r.Trigger] = append(wins[r.Trigger], window{r.Due.Add(-v.Skew), to, r.Status == completed, r})
	}
	starts, seen := map[string][]time.Time{}, map[string]bool{}
	for n := range lines { // by their start: the first one of each run
		r := v.Runs[lines[n].ID]
		if r != nil && r.Trigger != "" && !r.Manual && !seen[r.ID] {
			seen[r.ID] = true
			starts[r.Trigger] = append(starts[r.Trigger], lines[n].Start)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(wins)) {
		v.assign(v.Triggers[id], wins[id], starts[id])
	}
}

// assign judges one trigger. Windows whose run did not complete may have a start
// and need none. A matching that has all starts and all required windows exists
// if one has all starts and another has all required windows (Mendelsohn and
// Dulmage), so the two are asked for one after the other.
func (v *Verdict) assign(t *Trigger, wins []window, starts []time.Time) {
	slices.SortFunc(wins, func(a, b window) int { return a.from.Compare(b.from) })
	_, over := match(wins, starts)
	for _, at := range over {
		v.object("C3", t.place(v.end()), "a run of trigger %s started at %s, in the window of no occurrence", t.ID, stamp(at))
	}
	wins = slices.DeleteFunc(wins, func(w window) bool { return !w.required })
	left, _ := match(wins, starts)
	for _, w := range left {
		v.object("C3", t.place(w.run.lastSeq()), "no run of trigger %s started from %s to %s, as its occurrence of then should have", t.ID, stamp(w.from), stamp(w.to))
	}
}

// match gives each start the window that ends first among those that are open,
// and returns the windows and the starts that are left. Both come in order.
func match(wins []window, starts []time.Time) (left []window, over []time.Time) {
	var open []window // by their end
	next := 0
	for _, at := range starts {
		for ; next < len(wins) && !wins[next].from.After(at); next++ {
			place, _ := slices.BinarySearchFunc(open, wins[next].to, func(w window, to time.Time) int { return w.to.Compare(to) })
			open = slices.Insert(open, place, wins[next])
		}
		for len(open) > 0 && open[0].to.Before(at) {
			left, open = append(left, open[0]), open[1:]
		}
		if len(open) == 0 {
			over = append(over, at)
			continue
		}
		open = open[1:]
	}
	return append(append(left, open...), wins[next:]...), over
}
