package cluster_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

// readyz asks a process whether it is ready, and why not.
func readyz(t *testing.T, p *cluster.Process) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + p.HTTP + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// A node that finds an event in its log that must not be stops claiming, says
// what and where, and goes on answering.
func TestTheAuditorOfANode(t *testing.T) {
	t.Parallel()
	p := lived(t)
	if status, body := readyz(t, p); status != http.StatusOK {
		t.Fatalf("before: %d %s", status, body)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	seq := forge(t, p)
	p.Start()
	status, body := readyz(t, p)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "L6") || !strings.Contains(body, fmt.Sprint(seq)) {
		t.Errorf("forged at %d, it says %d %s", seq, status, body)
	}
	c := p.Client(api.Admin)
	item, err := c.CreateItem(t.Context(), api.ItemInput{
		Name: text("due"), RunDateTime: text("2020-01-01T00:00:00Z"), Function: &api.RefInput{IDOrName: "journal"},
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // real processes, real time
	if now, err := c.GetItem(t.Context(), item.ID); err != nil || now.Status != api.Queued {
		t.Errorf("a second later the item is %s, %v", now.Status, err)
	}
	v := check.Log(cluster.Commits(t, p.Conn()))
	if i := v.Items[item.ID]; i == nil || len(i.Claims) > 0 {
		t.Errorf("in the log the item is %+v", i)
	}
	t.Log(strings.TrimSpace(body))
}
