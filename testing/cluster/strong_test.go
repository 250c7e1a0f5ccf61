package cluster_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/cluster"
)

// Strong reads on each node of a real cluster see what was acknowledged on another,
// and many of one moment share their markers. What they cost is printed.
func TestStrongReadsOfACluster(t *testing.T) {
	t.Parallel()
	m := cluster.NewMembers(t, 3)
	m.Start()
	settled(t, m, 3)
	create(t, m.Nodes[0].Client(api.Admin), "hello", "def execute(current_user, **kwargs):\n    return {}\n")
	var clients []*client.Client
	for _, node := range m.Nodes {
		clients = append(clients, node.Client(api.Admin))
	}
	took := map[bool][]time.Duration{}
	const items = 60
	for n := range items {
		if _, err := clients[n%3].CreateItem(t.Context(), api.ItemInput{
			ID: itemID(n), Name: text(fmt.Sprint("item ", n)), RunDateTime: text("2100-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: "hello"},
		}); err != nil {
			t.Fatal(err)
		}
		for _, strong := range []bool{false, true} {
			begun := time.Now()
			if item, err := clients[(n+1)%3].Ask(t.Context(), "item", "get", api.Get{ID: itemID(n), Strong: strong}); err != nil {
				t.Errorf("strong: %t, at the next node: %s, %v", strong, item, err)
			}
			took[strong] = append(took[strong], time.Since(begun))
		}
	}
	for strong, all := range took {
		slices.Sort(all)
		t.Logf("a read, strong: %t, takes %v in the middle, %v at the 95th of 100", strong, all[len(all)/2], all[len(all)*95/100])
	}

	v := cluster.Judge(t, m.Conn())
	cluster.Report(t, v)
	if v.Markers < items || v.Markers > items+3 {
		t.Errorf("%d strong reads, one after the other, left %d markers", items, v.Markers)
	}
	const readers, each = 32, 20
	var all sync.WaitGroup
	together := time.Now()
	for range readers {
		all.Go(func() {
			for range each {
				if _, err := clients[0].Ask(t.Context(), "item", "get", api.Get{ID: itemID(1), Strong: true}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	after := cluster.Judge(t, m.Conn())
	cluster.Report(t, after)
	t.Logf("%d strong reads by %d at once took %v and left %d markers", readers*each, readers, time.Since(together), after.Markers-v.Markers)
	if n := after.Markers - v.Markers; n > readers*each/2 {
		t.Errorf("%d strong reads by %d at once left %d markers", readers*each, readers, n)
	}
}
