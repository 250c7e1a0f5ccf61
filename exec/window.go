package exec

import (
	"cmp"
	"slices"
	"time"
)

// load is what the division of windows knows of one owner.
type load struct {
	owner    string
	active   int // attempts queued or running here
	waiting  int // attempts that it could claim
	priority int
	oldest   time.Time
}

// need is how many attempts the owner could have open.
func (l load) need() int { return l.active + l.waiting }

// divide gives each owner its window, so that the sum of what is granted and
// of what is held beyond a grant is capacity: slots and backlog.
//
// First everyone that waits gets one, the oldest first; then what is left goes
// by priority, evenly among equals, to those that wait; and what nobody waits
// for goes to those that have least, so that everyone can claim without asking
// and a lone owner has it all. So nobody starves while there are as many
// places as owners; with fewer, the oldest comes first.
//
// An owner that holds more than its share claims nothing until it is below it.
// The places it still occupies, and those of orphans, whose owner is not
// known, are taken from the windows of others, but for the soon that will be
// free before a claim could arrive; short says that some window was cut for
// that, and so should be looked at again when a run ends.
func divide(capacity, orphans, soon int, loads []load) (windows map[string]int, short bool) {
	loads = slices.Clone(loads)
	slices.SortFunc(loads, byUrgency)
	share := make([]int, len(loads))
	left := capacity
	for _, i := range byAge(loads) {
		if left > 0 {
			share[i]++
			left--
		}
	}
	for i := 0; i < len(loads) && loads[i].waiting > 0; {
		end := i + 1
		for end < len(loads) && loads[end].waiting > 0 && loads[end].priority == loads[i].priority {
			end++
		}
		left = level(share[i:end], loads[i:end], left)
		i = end
	}
	level(share, nil, left)

	excess := orphans - soon
	for i, l := range loads {
		excess += max(0, l.active-share[i])
	}
	windows = make(map[string]int, len(loads))
	for i := len(loads) - 1; i >= 0; i-- {
		cut := min(max(0, excess), max(0, share[i]-loads[i].active))
		excess -= cut
		short = short || cut > 0
		windows[loads[i].owner] = share[i] - cut
	}
	return windows, short
}

// byAge is the indexes of those that wait, the oldest first.
func byAge(loads []load) []int {
	var waiting []int
	for i, l := range loads {
		if l.waiting > 0 {
			waiting = append(waiting, i)
		}
	}
	slices.SortStableFunc(waiting, func(a, b int) int { return loads[a].oldest.Compare(loads[b].oldest) })
	return waiting
}

// byUrgency puts those that wait first: by priority, then the oldest. The
// name decides last, so that equal demands give equal windows.
func byUrgency(a, b load) int {
	switch {
	case a.waiting > 0 && b.waiting == 0:
		return -1
	case a.waiting == 0 && b.waiting > 0:
		return 1
	case a.waiting == 0:
		return cmp.Compare(a.owner, b.owner)
	}
	return cmp.Or(cmp.Compare(b.priority, a.priority), a.oldest.Compare(b.oldest), cmp.Compare(a.owner, b.owner))
}

// level hands out left, each to the one that has least, up to its need if
// needs are given. It returns what nobody needed.
func level(share []int, needs []load, left int) int {
	for ; left > 0; left-- {
		least := -1
		for i := range share {
			if needs != nil && share[i] >= needs[i].need() {
				continue
			}
			if least < 0 || share[i] < share[least] {
				least = i
			}
		}
		if least < 0 {
			return left
		}
		share[least]++
	}
	return 0
}

// differs says whether windows have changed so much that owners should hear
// of it at once: one more or less where they are small, a quarter where they
// are not, from or to nothing always.
func differs(old, new map[string]int) bool {
	for owner, n := range new {
		o, known := old[owner]
		d := max(n-o, o-n)
		if !known || d > 0 && (n == 0 || o == 0 || d >= max(1, o/4)) {
			return true
		}
	}
	return false
}
