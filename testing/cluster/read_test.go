package cluster_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

const chattyCode = `import logging

def execute(current_user, lines=0, **kwargs):
    for n in range(lines):
        print("line", n, "of", lines)
    logging.getLogger("mail").warning("sent as %s", current_user.name)
    return {"lines": lines, "unicode": "übermäßig ☃"}
`

// Lists, filters, cursors, names, runs, logs and events, of items that wait and
// of items that ended.
func TestReading(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	c := p.Client(api.Admin)
	f := create(t, c, "chatty", chattyCode)
	const ended, waiting = 30, 45
	for n := range ended + waiting {
		at := "2020-01-01T00:00:00Z"
		if n%5 >= 2 {
			at = fmt.Sprintf("2100-01-01T00:00:%02dZ", n%60)
		}
		if _, err := c.CreateItem(t.Context(), api.ItemInput{
			Name: text(fmt.Sprint("item ", n)), RunDateTime: &at, Function: &api.RefInput{IDOrName: "chatty"}, Data: []byte(`{"lines":2}`),
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"twin", "twin"} {
		if _, err := c.CreateItem(t.Context(), api.ItemInput{Name: &name, RunDateTime: text("2100-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: f.ID, IsID: true}}); err != nil {
			t.Fatal(err)
		}
	}
	long, err := c.CreateItem(t.Context(), api.ItemInput{Name: text("long"), RunDateTime: text("2020-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: "chatty"}, Data: []byte(`{"lines":3000}`)})
	if err != nil {
		t.Fatal(err)
	}
	if long, err = c.WaitItem(t.Context(), long.ID); err != nil {
		t.Fatal(err)
	}
	until(t, "all items that are due have ended", func() bool {
		page, err := c.ListItems(t.Context(), api.ItemList{Status: api.Completed})
		return err == nil && len(page.Records) == ended+1
	})

	list := func(in api.ItemList) (all []api.Item) {
		t.Helper()
		limit := 7
		in.Limit = &limit
		for {
			page, err := c.ListItems(t.Context(), in)
			if err != nil || len(page.Records) > limit {
				t.Fatalf("%d records: %v", len(page.Records), err)
			}
			all = append(all, page.Records...)
			if in.Cursor = page.Next; in.Cursor == "" {
				return all
			}
		}
	}
	everything := list(api.ItemList{})
	for n := 1; n < len(everything); n++ {
		if everything[n].CreatedDate > everything[n-1].CreatedDate {
			t.Errorf("item %d is newer than the one before it", n)
		}
	}
	for name, got := range map[string][2]int{
		"all":       {len(everything), ended + waiting + 3},
		"completed": {len(list(api.ItemList{Status: api.Completed})), ended + 1},
		"queued":    {len(list(api.ItemList{Status: api.Queued})), waiting + 2},
		"failed":    {len(list(api.ItemList{Status: api.Failed})), 0},
		"past":      {len(list(api.ItemList{DueBefore: "2050-01-01T00:00:00Z"})), ended + 1},
		"a second":  {len(list(api.ItemList{DueAfter: "2100-01-01T00:00:02Z", DueBefore: "2100-01-01T00:00:03Z"})), 2},
		"function":  {len(list(api.ItemList{Function: &api.RefInput{IDOrName: "chatty"}})), ended + waiting + 3},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %d items, not %d", name, got[0], got[1])
		}
	}
	for _, i := range everything {
		if i.Status == api.Completed && (string(i.Result) == "" || i.Run == "" || i.Started == 0 || i.Finished == 0) {
			t.Errorf("an ended item came back as %+v", i)
		}
	}

	var refused *api.Error
	if _, err := c.GetItem(t.Context(), "twin"); !errors.As(err, &refused) || refused.Code != api.Ambiguous {
		t.Errorf("a name that two bear: %v", err)
	}
	if i, err := c.GetItem(t.Context(), "item 0"); err != nil || i.Name != "item 0" || i.Status != api.Completed {
		t.Errorf("an ended item by name: %+v %v", i, err)
	}
	runs, err := c.ListRuns(t.Context(), api.RunList{Item: long.ID})
	if err != nil || len(runs.Records) != 1 || runs.Records[0].ID != long.Run || !runs.Records[0].LogsTruncated {
		t.Fatalf("runs of an item: %+v %v", runs, err)
	}
	logs, err := c.RunLogs(t.Context(), long.Run)
	if err != nil || len(logs.Lines) != 3001 || logs.Lines[2999].Text != "line 2999 of 3000" || logs.Lines[3000].Stream != "log" || logs.Truncated {
		t.Errorf("%d lines of output, %v", len(logs.Lines), err)
	}

	// Events, one by one, by entity and by id, page by page.
	after, types := "", map[string]int{}
	for pages := 0; ; pages++ {
		limit := 10
		page, err := c.AuditEvents(t.Context(), api.AuditEvents{Entity: "item", After: after, Limit: &limit})
		if err != nil || len(page.Events) > limit {
			t.Fatalf("%d events: %v", len(page.Events), err)
		}
		for _, raw := range page.Events {
			var e struct {
				Type string
				Seq  uint64
			}
			if err := json.Unmarshal(raw, &e); err != nil || e.Seq == 0 {
				t.Fatalf("event %s: %v", raw, err)
			}
			types[strings.TrimPrefix(e.Type, "belfry.")]++
		}
		if after = page.Next; after == "" {
			break
		}
	}
	again, again1 := 0, 0 // attempts that waited too long for a slot
	for id, n := range handedBack(t, p) {
		if again += n; id == long.ID {
			again1 = n
		}
	}
	if types["item.created"] != ended+waiting+3 || types["item.claimed"] != ended+1+again || types["item.interrupted"] != again ||
		types["item.completed"] != ended+1 || len(types) > 4 {
		t.Errorf("events of items, of which %d were handed back: %v", again, types)
	}
	for _, id := range []string{long.ID, long.Run} {
		page, err := c.AuditEvents(t.Context(), api.AuditEvents{ID: id})
		if err != nil || len(page.Events) != 3+2*again1 || page.Next != "" {
			t.Errorf("the life of %s has %d events: %v", id, len(page.Events), err)
		}
	}
}
