package eventlog_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"github.com/belfryhq/belfry/eventlog"
)

// drawID draws an id as callers may choose and nodes generate them.
func drawID(t *rapid.T, prefix string) string {
	return prefix + rapid.StringMatching(`[A-Za-z0-9]{16,36}`).Draw(t, "id")
}

func TestARunLivesWithItsItem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		item := drawID(t, eventlog.PrefixItem)
		run := eventlog.RunOfItem(item)
		if eventlog.ItemOfRun(run) != item || !strings.HasPrefix(run, eventlog.PrefixRun) {
			t.Fatalf("the item of %s is %s, not %s", run, eventlog.ItemOfRun(run), item)
		}
		home := eventlog.PartitionOf(eventlog.EntityItem, item)
		if eventlog.PartitionOf(eventlog.EntityItem, run) != home || eventlog.HashPartition(eventlog.Suffix(run)) != home {
			t.Fatalf("%s lives elsewhere than %s", run, item)
		}
		if home < 0 || home >= eventlog.Partitions {
			t.Fatalf("%s lives in partition %d", item, home)
		}
	})
}

func TestDefinitionsLiveTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for entity, id := range map[eventlog.Entity]string{
			eventlog.EntityFunction: drawID(t, eventlog.PrefixFunction),
			eventlog.EntityUser:     rapid.StringMatching(`[a-z0-9][a-z0-9_-]{0,62}`).Draw(t, "user"),
		} {
			if got := eventlog.PartitionOf(entity, id); got != eventlog.DefinitionPartition {
				t.Fatalf("%s %s lives in partition %d", entity, id, got)
			}
		}
		for _, entity := range []eventlog.Entity{eventlog.EntityNode, eventlog.EntityPartitions} {
			if got := eventlog.PartitionOf(entity, rapid.String().Draw(t, "id")); got != eventlog.NoPartition {
				t.Fatalf("%s lives in partition %d", entity, got)
			}
		}
	})
}

// TestPartitionsNeverChange: ids that stand in logs stay where they are.
func TestPartitionsNeverChange(t *testing.T) {
	for id, want := range map[string]int{
		"sci_01JXS7E8000000000000000000": 15, "sci_01jxs7e8000000000000000002": 37, "sci_aaaaaaaaaaaaaaaa": 21, "run_aaaaaaaaaaaaaaaa": 21, "": 1,
	} {
		if got := eventlog.PartitionOf(eventlog.EntityItem, id); got != want {
			t.Errorf("%q lives in partition %d, was in %d", id, got, want)
		}
	}
}

// TestGeneratedIDsSpreadEvenly: drawn at one moment, or one each millisecond.
func TestGeneratedIDsSpreadEvenly(t *testing.T) {
	noise := rand.NewChaCha8([32]byte{7})
	for name, step := range map[string]uint64{"in one millisecond": 0, "over time": 1} {
		const each = 2000
		var count [eventlog.Partitions]int
		for i := range uint64(each * eventlog.Partitions) {
			id, err := ulid.New(1_750_000_000_000+i*step, noise)
			if err != nil {
				t.Fatal(err)
			}
			count[eventlog.PartitionOf(eventlog.EntityItem, eventlog.PrefixItem+strings.ToLower(id.String()))]++
		}
		squares := 0.0
		for p, n := range count {
			squares += float64((n-each)*(n-each)) / each
			if n < each*85/100 || n > each*115/100 {
				t.Errorf("%s: partition %d got %d ids, want about %d", name, p, n, each)
			}
		}
		if squares > 110 { // chi-square of 63 degrees of freedom: 1 in 5000
			t.Errorf("%s: chi-square %.1f", name, squares)
		}
	}
}

func TestSuffix(t *testing.T) {
	for id, want := range map[string]string{"sci_1": "1", "1": "1", "": "", "a_b_c": "b_c", "_x": "x", "x_": ""} {
		if got := eventlog.Suffix(id); got != want {
			t.Errorf("%q has suffix %q, want %q", id, got, want)
		}
	}
}

func TestTypesNameTheirEntity(t *testing.T) {
	for _, e := range samples() {
		if e.Entity == "" || !strings.HasPrefix(string(e.Type()), "belfry."+string(e.Entity)+".") {
			t.Errorf("%s is about %q", e.Type(), e.Entity)
		}
	}
}

func TestSubjectsOfLanes(t *testing.T) {
	if got := eventlog.DefaultPrefix.Subject("n1"); got != "belfry.events.n1" {
		t.Errorf("got %s", got)
	}
}
