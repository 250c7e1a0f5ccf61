package cluster_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

// dripCode is a step of a campaign: it schedules the next, notes what it was told,
// and works on for a while.
const dripCode = `import os, time
import valstorm

def note(file, line):
    fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, line.encode())
    os.close(fd)

def execute(current_user, journal, campaign, step, **kwargs):
    note(journal, "%s %d\n" % (valstorm.run.item, valstorm.run.attempt))
    if step < 4:
        next = valstorm.schedule("drip", after=0.1, name="step %d" % (step + 1),
                                 data={"journal": journal, "campaign": campaign, "step": step + 1})
        note(journal + ".told", "%s %s\n" % (valstorm.run.id, next.id))
    time.sleep(0.3)
    return {"campaign": campaign, "step": step}
`

// Functions schedule the next step of their campaign while node and executor are
// killed: no step is lost, none is there twice, whatever attempts there were.
func TestADripCampaign(t *testing.T) {
	t.Parallel()
	const campaigns, steps = 12, 4
	p := node(t)
	c := p.Client(api.Admin)
	e := start(p.Executor("one", "--slots", "4"))
	create(t, c, "drip", dripCode)
	ada, err := c.CreateUser(t.Context(), api.UserInput{ID: "ada", Name: text("Ada")})
	if err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(t.TempDir(), "journal")
	for n := range campaigns {
		if _, err := p.Client(ada.ID).CreateItem(t.Context(), api.ItemInput{
			ID: itemID(n), Name: text("step 1"), RunDateTime: text("2020-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: "drip"},
			Data: []byte(fmt.Sprintf(`{"journal": %q, "campaign": %d, "step": 1}`, journal, n)),
		}); err != nil {
			t.Fatal(err)
		}
	}
	told := func() (lines []string) {
		raw, err := os.ReadFile(journal + ".told")
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Fields(string(raw))
	}
	for n, strike := range []func(){func() { e.Kill(); e.Start() }, func() { p.Kill(); p.Start() }, func() { e.Kill(); e.Start() }} {
		until(t, "steps were scheduled", func() bool { return len(told())/2 >= 4*(n+1) })
		strike()
	}
	waitEnded(t, c, time.Minute)
	until(t, "all campaigns came to their end", func() bool {
		page, err := c.ListItems(t.Context(), api.ItemList{Status: api.Completed})
		return err == nil && len(page.Records) >= campaigns*steps
	})

	v := cluster.Judge(t, p.Conn())
	v.AllEnded()
	v.Journal(cluster.Journal(t, journal))
	cluster.Report(t, v)
	attempts := 0
	for id, i := range v.Items {
		if attempts += len(i.Claims); i.Status != string(api.Completed) {
			t.Errorf("item %s is %s", id, i.Status)
		}
		item, err := c.GetItem(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if item.RunningUser.ID != "ada" || item.CreatedBy != "ada" || (item.ScheduledBy == "") != (item.Name == "step 1") {
			t.Errorf("item %s runs as %s, was created by %s, scheduled by %q", id, item.RunningUser.ID, item.CreatedBy, item.ScheduledBy)
		}
	}
	next := map[string]string{}
	pairs := told()
	for n := 0; n < len(pairs); n += 2 {
		run, item := pairs[n], pairs[n+1]
		if v.Items[item] == nil {
			t.Errorf("run %s was told of item %s, and the log does not have it", run, item)
		}
		if before, again := next[run]; again && before != item {
			t.Errorf("run %s was told of %s and of %s", run, before, item)
		}
		next[run] = item
	}
	if len(v.Items) != campaigns*steps || len(next) != campaigns*(steps-1) {
		t.Errorf("%d items, %d of them scheduled by runs; %d and %d are wanted", len(v.Items), len(next), campaigns*steps, campaigns*(steps-1))
	}
	if attempts == len(v.Items) {
		t.Error("no attempt was lost: this proves too little")
	}
	t.Logf("%d items, %d attempts, %d answers", len(v.Items), attempts, len(pairs)/2)
}
