package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/jetstream"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/broker"
	"github.com/belfryhq/belfry/testing/cluster"
)

// lived is a process with items that ended and wait, a trigger that fires and
// is paused, and a kill -9.
func lived(t *testing.T) *cluster.Process {
	t.Helper()
	p := cluster.New(t)
	p.Start()
	c := p.Client(api.Admin)
	create(t, c, "journal", runJournalCode)
	journal := filepath.Join(t.TempDir(), "journal")
	x, err := c.CreateTrigger(t.Context(), everySecond("each second", journal, 0))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 60 {
		at := "2020-01-01T00:00:00Z"
		if n%3 == 0 {
			at = "2100-01-01T00:00:00Z"
		}
		if _, err := c.CreateItem(t.Context(), api.ItemInput{
			Name: text("i"), RunDateTime: &at, Function: &api.RefInput{IDOrName: "journal"}, Data: fmt.Appendf(nil, `{"journal":%q}`, journal),
		}); err != nil {
			t.Fatal(err)
		}
	}
	p.Kill()
	p.Start()
	time.Sleep(1200 * time.Millisecond) // real processes, real time
	if _, err := c.PauseTrigger(t.Context(), api.Pause{ID: x.ID}); err != nil {
		t.Fatal(err)
	}
	cluster.WaitRuns(t, p, 0, time.Minute)
	return p
}

// A sound log is clean, while more is written to it: exit status 0, and the
// judge outside agrees on what it counts.
func TestVerifyOfASoundLog(t *testing.T) {
	t.Parallel()
	p := lived(t)
	creating, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c := p.Client(api.Admin)
		for creating.Err() == nil {
			if _, err := c.CreateItem(t.Context(), api.ItemInput{
				Name: text("later"), RunDateTime: text("2100-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: "journal"},
			}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	out, errs, status := p.Belfry("audit", "verify", "-o", "json")
	stop()
	<-ended
	var v api.AuditVerdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || status != 0 || errs != "" {
		t.Fatalf("exit status %d, %s%s: %v", status, out, errs, err)
	}
	if v.Status != api.VerifyClean || v.ViolationCount != 0 || v.Checked != v.LastSeq || v.Compared != v.Sections {
		t.Errorf("verdict %+v", v)
	}
	if v.Items["Completed"] != 40 || v.Items["Queued"] < 20 || v.Triggers["paused"] != 1 || v.Runs["Completed"] == 0 {
		t.Errorf("items %v, runs %v, triggers %v", v.Items, v.Runs, v.Triggers)
	}
	out, _, status = p.Belfry("audit", "verify")
	if status != 0 || !strings.Contains(out, "violations     0\n") {
		t.Errorf("exit status %d, %s", status, out)
	}
	j := cluster.Judge(t, p.Conn())
	if !strings.Contains(out, fmt.Sprintf("events         %d\n", j.Events)) {
		t.Errorf("the judge counts %d events, the command says\n%s", j.Events, out)
	}
	t.Logf("\n%s", out)
}

// A commit that nobody asked for, put into the files of a stopped node, is
// named, with its sequence: exit status 1.
func TestVerifyOfABrokenLog(t *testing.T) {
	t.Parallel()
	p := lived(t)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	seq := forge(t, p)
	p.Start()
	out, errs, status := p.Belfry("audit", "verify")
	if status != 1 || !strings.Contains(out, fmt.Sprintf("%8d  L6  ", seq)) || !strings.Contains(out, "state          65 of 65") {
		t.Errorf("exit status %d, planted at %d\n%s", status, seq, out)
	}
	lines := strings.Split(strings.TrimSpace(errs), "\n")
	if said := lines[len(lines)-1]; !strings.Contains(said, fmt.Sprint("first at sequence ", seq)) {
		t.Errorf("it said %q", said)
	}
	if !strings.Contains(out, "around the first:\n") || !strings.Contains(out, fmt.Sprintf("> %6d  ", seq)) {
		t.Errorf("it does not show what stands around %d\n%s", seq, out)
	}
	t.Logf("\n%s%s", out, errs)
	var v api.AuditVerdict
	out, _, status = p.Belfry("audit", "verify", "-o", "json")
	if err := json.Unmarshal([]byte(out), &v); err != nil || status != 1 || v.Status != api.VerifyBroken || v.Violations[0].Seq != seq || v.Around == nil {
		t.Errorf("for programs: exit status %d, %v, %s", status, err, out)
	}
}

// A verification ends with its node; who asks for it is told to begin anew, and
// the log that was being judged is as sound as before.
func TestVerifyThroughAKill(t *testing.T) {
	t.Parallel()
	p := lived(t)
	raw, err := p.Client(api.Admin).Ask(t.Context(), "audit", "verify", api.AuditVerify{})
	if err != nil {
		t.Fatal(err)
	}
	var begun api.AuditVerdict
	if err := json.Unmarshal(raw, &begun); err != nil || begun.Status != api.VerifyRunning {
		t.Fatalf("%s: %v", raw, err)
	}
	p.Kill()
	if _, errs, status := p.Belfry("audit", "verify"); status != 1 || !strings.HasPrefix(errs, "belfry: unavailable: ") {
		t.Errorf("of a node that is gone: exit status %d, %s", status, errs)
	}
	p.Start()
	if _, errs, status := p.Belfry("audit", "verify", "--id", begun.ID); status != 1 || !strings.Contains(errs, "leave the id out") {
		t.Errorf("of the one before: exit status %d, %s", status, errs)
	}
	if out, errs, status := p.Belfry("audit", "verify"); status != 0 {
		t.Errorf("anew: exit status %d, %s%s", status, out, errs)
	}
}

// forge appends to the stream of a stopped process an update of admin whose
// revision does not follow.
func forge(t *testing.T, p *cluster.Process) uint64 {
	t.Helper()
	b, err := broker.Start(t.Context(), broker.Config{Addr: "127.0.0.1:0", StoreDir: filepath.Join(p.Dir, "nats")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	nc, err := b.NodeConn("forger")
	if err != nil {
		t.Fatal(err)
	}
	log, err := jetstream.Open(t.Context(), nc, jetstream.Config{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := log.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last, err := log.Get(t.Context(), info.LastSeq)
	if err != nil {
		t.Fatal(err)
	}
	name := "forged"
	encoded, err := eventlog.Encode(&eventlog.Event{
		ID: "forged.0", Source: "/belfry/" + last.Lane, Subject: api.Admin, Time: eventlog.TimeOf(time.Now()), Entity: eventlog.EntityUser,
		Revision: 7, Actor: api.Admin, Cause: "~forged", CauseIndex: -1, Data: &eventlog.UserUpdated{Name: &name},
	})
	if err != nil {
		t.Fatal(err)
	}
	body := eventlog.AppendCommit(nil, []eventlog.Encoded{encoded}, []uint64{1})
	seq, err := log.Append(t.Context(), last.Lane, eventlog.Expect{LaneSeq: info.LastSeq}, "forged", body)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}
