package cluster_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

// A repeated request about triggers, automations and calls answers with what it
// did, and does nothing again, also after a restart.
func TestTriggerRequestIDs(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	nc := p.Conn()
	create(t, p.Client(api.Admin), "f", "def execute(current_user, **kwargs):\n    return 1\n")
	do := func(id, subject, body string) (answer, record string) {
		t.Helper()
		m := nats.NewMsg("belfry.api.admin." + subject)
		m.Header.Set(api.HeaderRequestID, id)
		m.Data = []byte(body)
		reply, err := nc.RequestMsg(m, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ ID string }
		if err := json.Unmarshal(reply.Data, &got); err != nil || got.ID == "" {
			t.Fatalf("%s %s answered %s: %v", subject, body, reply.Data, err)
		}
		return string(reply.Data), got.ID
	}
	type request struct{ id, subject, body string }
	var requests []request
	answers, records := map[string]string{}, map[string]string{}
	first := func(id, subject, body string) string {
		t.Helper()
		requests = append(requests, request{id, subject, body})
		answers[id], records[id] = do(id, subject, body)
		return records[id]
	}
	trigger := first("t1", "trigger.create", newTrigger(`,"data":{"n":1}`))
	automation := first("a1", "automation.create", newAutomation(``))
	first("t2", "trigger.update", `{"id":"`+trigger+`","cron_schedule":"@every 3d","jitter":"1s"}`)
	first("t3", "trigger.pause", `{"id":"`+trigger+`","reason":"why not"}`)
	first("t4", "trigger.resume", `{"id":"`+trigger+`"}`)
	first("t5", "trigger.run", `{"id":"`+trigger+`","wait":"30s"}`)
	first("a2", "automation.update", `{"id":"`+automation+`","description":"new"}`)
	first("a3", "automation.delete", `{"id":"`+automation+`"}`)
	first("f1", "function.run", `{"id":"f","wait":"30s"}`)
	first("t6", "trigger.delete", `{"id":"`+trigger+`"}`)
	before := cluster.LastSeq(t, nc)
	for range 2 {
		for _, r := range requests {
			again, record := do(r.id, r.subject, r.body)
			if strings.HasSuffix(r.subject, ".run") && record == records[r.id] {
				continue // the same run, as it is now
			}
			if again != answers[r.id] {
				t.Errorf("%s repeated answered\n%s\nfirst\n%s", r.subject, again, answers[r.id])
			}
		}
		if after := cluster.LastSeq(t, nc); after != before {
			t.Errorf("repeated requests moved the stream from %d to %d", before, after)
		}
		p.Kill()
		p.Start()
		if err := nc.FlushTimeout(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		before = cluster.LastSeq(t, nc) // the opening
	}
	v := cluster.Judge(t, nc)
	if len(v.Triggers) != 1 || len(v.Runs) != 2 || v.Triggers[trigger].Pauses != 1 {
		t.Errorf("%d triggers, %d runs, %+v", len(v.Triggers), len(v.Runs), v.Triggers[trigger])
	}
}
