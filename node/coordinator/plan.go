package coordinator

import (
	"cmp"
	"slices"

	"github.com/belfryhq/belfry/node/cluster"
)

// Assign gives each partition to one of the members, evenly within one, and moves
// as few from their present owners as that allows. It depends on its arguments
// alone, not on the order of members. Without members everything stays.
func Assign(owners cluster.Plan, members []string) cluster.Plan {
	if len(members) == 0 {
		return owners
	}
	room := quotas(owners, members)
	var plan cluster.Plan
	for p, owner := range owners { // the lowest stay: definitions are in partition 0
		if room[owner] > 0 {
			plan[p] = owner
			room[owner]--
		}
	}
	names := slices.Sorted(slices.Values(members))
	for p := range plan {
		if plan[p] != "" {
			continue
		}
		most := slices.MaxFunc(names, func(a, b string) int { return cmp.Compare(room[a], room[b]) })
		plan[p] = most
		room[most]--
	}
	return plan
}

// quotas are how many partitions each member should own. Who owns the most gets
// the odd ones: that moves the fewest.
func quotas(owners cluster.Plan, members []string) map[string]int {
	owned := count(owners)
	names := slices.Compact(slices.Sorted(slices.Values(members)))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(owned[b], owned[a]) })
	quota := make(map[string]int, len(names))
	for n, name := range names {
		quota[name] = cluster.Partitions / len(names)
		if n < cluster.Partitions%len(names) {
			quota[name]++
		}
	}
	return quota
}

// count is how many partitions each node has.
func count(plan cluster.Plan) map[string]int {
	counts := map[string]int{}
	for _, name := range plan {
		counts[name]++
	}
	return counts
}

// fits says whether a plan gives everything to the members, evenly.
func fits(plan cluster.Plan, members []string) bool {
	counts, total := count(plan), 0
	least := cluster.Partitions / len(members)
	for _, name := range members {
		total += counts[name]
		if counts[name] < least || counts[name] > least+1 {
			return false
		}
	}
	return total == cluster.Partitions
}

// next is the plan that follows. What is as it should be stays as it is, a plan
// that fits goes on, so that it does not change while it comes true; only else is
// there a new one.
func next(plan, owners cluster.Plan, members []string) cluster.Plan {
	switch {
	case len(members) == 0:
		return plan
	case fits(owners, members):
		return owners
	case fits(plan, members):
		return plan
	}
	return Assign(owners, members)
}
