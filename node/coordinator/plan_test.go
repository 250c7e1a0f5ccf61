package coordinator

import (
	"fmt"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/belfryhq/belfry/node/cluster"
)

// drawOwners is any state of owners: of members, of others, of nobody.
func drawOwners(t *rapid.T) (owners cluster.Plan) {
	for p := range owners {
		if n := rapid.IntRange(0, 8).Draw(t, "owner"); n > 0 {
			owners[p] = fmt.Sprintf("n%d", n)
		}
	}
	return owners
}

func drawMembers(t *rapid.T) (members []string) {
	some := rapid.IntRange(1, 1<<8-1).Draw(t, "members")
	for n := range 8 {
		if some&(1<<n) != 0 {
			members = append(members, fmt.Sprintf("n%d", n+1))
		}
	}
	return members
}

// fewest is how many partitions must move at least: the best of all ways to say
// who gets one more than the others.
func fewest(owners cluster.Plan, members []string) int {
	owned, least := count(owners), cluster.Partitions
	for odd := range 1 << len(members) {
		if bits.OnesCount(uint(odd)) != cluster.Partitions%len(members) {
			continue
		}
		moves := cluster.Partitions
		for n, name := range members {
			moves -= min(owned[name], cluster.Partitions/len(members)+odd>>n&1)
		}
		least = min(least, moves)
	}
	return least
}

func TestAPlanIsEvenAndMovesFew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		owners, members := drawOwners(t), drawMembers(t)
		plan := Assign(owners, members)
		counts, least, most := count(plan), cluster.Partitions, 0
		for _, name := range members {
			least, most = min(least, counts[name]), max(most, counts[name])
			delete(counts, name)
		}
		if len(counts) > 0 || most > least+1 {
			t.Fatalf("not even among %v: %v", members, count(plan))
		}
		if moves := differences(owners, plan); moves != fewest(owners, members) {
			t.Fatalf("%d moves, %d are enough", moves, fewest(owners, members))
		}
		shuffled := rapid.Permutation(members).Draw(t, "order")
		if Assign(owners, shuffled) != plan {
			t.Fatal("another order of members, another plan")
		}
		if again := Assign(plan, members); again != plan {
			t.Fatal("a plan that came true is planned anew")
		}
	})
}

func TestWithoutMembersAllStays(t *testing.T) {
	var owners cluster.Plan
	owners[3] = "n1"
	if Assign(owners, nil) != owners || next(owners, cluster.Plan{}, nil) != owners {
		t.Error("a plan for nobody")
	}
}

// While members come and go, and while partitions move in any order, the plan
// changes only when the members do, and comes true.
func TestAPlanDoesNotWaver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		owners := drawOwners(t)
		var plan cluster.Plan
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			members := drawMembers(t)
			plan = next(plan, owners, members)
			for step := range rapid.IntRange(0, cluster.Partitions).Draw(t, "steps") {
				wrong := misplaced(owners, plan)
				if len(wrong) == 0 {
					break
				}
				p := rapid.SampledFrom(wrong).Draw(t, "moves")
				owners[p] = plan[p]
				if again := next(plan, owners, members); again != plan {
					t.Fatalf("after step %d the plan is another, among the same %v", step, members)
				}
			}
		}
		members := drawMembers(t)
		plan = next(plan, owners, members)
		for _, p := range misplaced(owners, plan) {
			owners[p] = plan[p]
		}
		if next(plan, owners, members) != owners || !fits(owners, members) {
			t.Fatalf("it came true among %v and is %v", members, count(owners))
		}
	})
}

func misplaced(owners, plan cluster.Plan) (wrong []int) {
	for p := range plan {
		if owners[p] != plan[p] {
			wrong = append(wrong, p)
		}
	}
	return wrong
}

// Partition 0 holds what has unique names, so it moves last.
func TestTheLowestStay(t *testing.T) {
	var owners cluster.Plan
	for p := range owners {
		owners[p] = "n1"
	}
	plan := Assign(owners, []string{"n1", "n2"})
	if plan[0] != "n1" || slices.Index(plan[:], "n2") != cluster.Partitions/2 {
		t.Errorf("planned: %v", plan)
	}
}

// What is owned evenly stays, even if it was planned otherwise.
func TestEvenOwnersStay(t *testing.T) {
	members := []string{"n1", "n2", "n3"}
	plan := Assign(cluster.Plan{}, members)
	owners := plan
	first, second := slices.Index(plan[:], "n1"), slices.Index(plan[:], "n2")
	owners[first], owners[second] = "n2", "n1"
	if owners == plan || next(plan, owners, members) != owners {
		t.Error("partitions move although they are owned evenly")
	}
}
