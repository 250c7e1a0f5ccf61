package cluster_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

// guideCode is the user's guide's own example.
const guideCode = `# Example Function Code
from valstorm.models import User

def execute(current_user: User, **kwargs):
    # 'kwargs' contains any data you pass when scheduling
    target_email = kwargs.get('target_email')
    print(f"Hello {current_user.name}, sending email to {target_email}")
    return {"status": "success"}
`

func write(t testing.TB, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// must runs a client command that succeeds, and returns what it printed.
func must(t testing.TB, p *cluster.Process, args ...string) string {
	t.Helper()
	out, errs, status := p.Belfry(args...)
	if status != 0 {
		t.Fatalf("belfry %s: status %d: %s", strings.Join(args, " "), status, errs)
	}
	return out
}

// The guide's example works as printed: a function, an item for tomorrow, one
// two seconds from now whose output is seen; it survives kill -9.
func TestTheGuidesExample(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	file := write(t, "send_email.py", guideCode)
	must(t, p, "function", "create", "--name", "Send Email", "--file", file)
	tomorrow := time.Now().UTC().Add(24 * time.Hour).Format("2006-01-02T15:04:05Z")
	must(t, p, "item", "create", "--name", "Follow-up", "--at", tomorrow, "--function", "Send Email", "--data", `{"target_email": "ann@example.com"}`)
	out := must(t, p, "item", "create", "--name", "Soon", "--in", "2s", "--function", "Send Email", "--data", `{"target_email": "bob@example.com"}`, "--wait")
	if !strings.Contains(out, "Hello admin, sending email to bob@example.com") || !strings.Contains(out, `"status"`) {
		t.Errorf("item create --wait printed %q", out)
	}

	p.Kill()
	p.Start()
	var page api.Page[map[string]any]
	if err := json.Unmarshal([]byte(must(t, p, "item", "list", "-o", "json")), &page); err != nil {
		t.Fatal(err)
	}
	statuses := map[string]any{}
	for _, r := range page.Records {
		statuses[r["name"].(string)] = r["status"]
	}
	if statuses["Follow-up"] != "Queued" || statuses["Soon"] != "Completed" {
		t.Errorf("after kill -9 the items are %v", statuses)
	}
	id := page.Records[0]["id"].(string)
	events := must(t, p, "audit", "events", "--id", id)
	for _, event := range []string{"item.created", "item.claimed", "item.completed"} {
		if !strings.Contains(events, event) {
			t.Errorf("%s is missing in the item's life: %s", event, events)
		}
	}
	v := cluster.Judge(t, p.Conn())
	if v.Openings != 2 {
		t.Errorf("%d processes opened the lane, not 2", v.Openings)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("SIGTERM ended it with %v: %s", err, p.Stderr())
	}
}
