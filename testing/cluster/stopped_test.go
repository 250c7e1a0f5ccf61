package cluster_test

import (
	"encoding/json"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

// A canceled run is told to end, and killed if it goes on. Which of both it was is
// in its record and in the event of its end, of a call as of an item.
func TestHowACanceledRunEnded(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	c := p.Client(api.Admin)
	for name, f := range map[string]struct {
		body string
		want eventlog.Stop
	}{
		"lets it pass": {"time.sleep(1000)", eventlog.StopAsked},
		"cleans up":    {"try: time.sleep(1000)\nfinally: print('cleaned up')", eventlog.StopAsked},
		"catches it":   {"try: time.sleep(1000)\nexcept valstorm.Canceled: return 'so far'", eventlog.StopAsked},
		"swallows it":  {"while True:\n    try: time.sleep(1000)\n    except valstorm.Canceled: pass", eventlog.StopKilled},
		"hears no one": {"sum(range(10 ** 12))", eventlog.StopKilled},
	} {
		t.Run(name, func(t *testing.T) {
			create(t, c, name, body("import time, valstorm\nprint('begun')\n"+f.body))
			call, err := c.RunFunction(t.Context(), api.Call{ID: name})
			if err != nil {
				t.Fatal(err)
			}
			item, err := c.CreateItem(t.Context(), api.ItemInput{Name: &name, RunDateTime: text("2020-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: name}})
			if err != nil {
				t.Fatal(err)
			}
			until(t, "the item has its run", func() bool {
				item, err = c.GetItem(t.Context(), item.ID)
				return err == nil && item.Run != ""
			})
			for id, entity := range map[string]string{call.ID: "run", item.Run: "item"} {
				until(t, "the code runs", func() bool { // it is told nothing before
					logs, err := c.RunLogs(t.Context(), id)
					return err == nil && len(logs.Lines) > 0
				})
				if r, err := c.CancelRun(t.Context(), api.Cancel{ID: id, Reason: "enough"}); err != nil || r.Status != api.Canceled {
					t.Errorf("run.cancel of the %s: %v, the run is %s", entity, err, r.Status)
				}
				r, err := c.GetRun(t.Context(), id)
				if err != nil || r.Status != api.Canceled || r.Stopped != f.want {
					t.Errorf("run.get of the %s: %v, it is %s, stopped by %q, not %q", entity, err, r.Status, r.Stopped, f.want)
				}
				page, err := c.AuditEvents(t.Context(), api.AuditEvents{ID: id})
				if err != nil || len(page.Events) == 0 {
					t.Fatal(err)
				}
				var last struct {
					Type string
					Data struct{ Stopped eventlog.Stop }
				}
				if err := json.Unmarshal(page.Events[len(page.Events)-1], &last); err != nil || last.Type != "belfry."+entity+".canceled" || last.Data.Stopped != f.want {
					t.Errorf("its last event is %s, stopped by %q, not %q: %v", last.Type, last.Data.Stopped, f.want, err)
				}
			}
		})
	}
	cluster.Judge(t, p.Conn())
}
