package cluster_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/cluster"
)

// fromEnv is a size that `make kill9` sets for its long form.
func fromEnv(t testing.TB, name string, short int) int {
	t.Helper()
	if s := os.Getenv(name); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return short
}

// journalCode writes one line outside of Belfry for each execution: the item,
// the attempt, the time of its first line.
const journalCode = `import os, time
import valstorm

def execute(current_user, **kwargs):
    began = time.time()
    line = "%s %s %.6f\n" % (kwargs["item"], valstorm.run.attempt, began)
    fd = os.open(kwargs["journal"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, line.encode())
    os.close(fd)
    return {"status": "success"}
`

func text(s string) *string { return &s }

// create makes a function with this code.
func create(t testing.TB, c *client.Client, name, code string) api.Function {
	t.Helper()
	f, err := c.CreateFunction(t.Context(), api.FunctionInput{Name: &name, Code: &code})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func itemID(n int) string { return fmt.Sprintf("%s%020d", eventlog.PrefixItem, n) }

// Items due over some seconds, kill -9 while creates, claims and runs go on:
// every acknowledged create is there, each attempt is claimed once, each item
// ends once, and what the functions wrote agrees with the stream.
func TestKill9(t *testing.T) {
	t.Parallel()
	items := fromEnv(t, "KILL9_ITEMS", 600)
	over := time.Duration(fromEnv(t, "KILL9_SECONDS", 8)) * time.Second
	const kills, creators = 3, 4
	p := cluster.New(t)
	p.Start()
	c := p.Client(api.Admin)
	create(t, c, "journal", journalCode)
	journal := filepath.Join(t.TempDir(), "journal")

	// Creators spread items over the time; each repeats a create under the
	// same id until it is acknowledged.
	begin := time.Now().Add(time.Second)
	acknowledged := make([]bool, items)
	var creating sync.WaitGroup
	for w := range creators {
		creating.Go(func() {
			mine := p.Client(api.Admin)
			for n := w; n < items; n += creators {
				due := begin.Add(over * time.Duration(n) / time.Duration(items))
				time.Sleep(time.Until(due.Add(-2 * time.Second))) // real processes, real time
				acknowledged[n] = insist(t, mine, n, due, journal)
			}
		})
	}
	random := rand.New(rand.NewPCG(9, uint64(items)))
	for k := range kills {
		at := begin.Add(over * time.Duration(k+1) / (kills + 1)).Add(time.Duration(random.IntN(400)) * time.Millisecond)
		time.Sleep(time.Until(at))
		p.Kill()
		p.Start()
		t.Logf("kill %d: ready again after %v", k+1, p.Startup.Round(time.Millisecond))
	}
	creating.Wait()
	waitEnded(t, c, time.Minute)

	v := cluster.Judge(t, p.Conn())
	lost := 0
	for n, ok := range acknowledged {
		if ok && v.Items[itemID(n)] == nil {
			lost++
		}
	}
	v.Violations = nil // reported by Judge
	v.AllEnded()
	v.Journal(cluster.Journal(t, journal))
	cluster.Report(t, v)
	attempts, wrote := 0, 0
	for _, i := range v.Items {
		attempts += len(i.Claims)
	}
	for _, n := range cluster.Journal(t, journal) {
		wrote += n
	}
	if lost > 0 || len(v.Items) != items || v.Openings != kills+1 {
		t.Errorf("%d acknowledged creates lost, %d of %d items, %d openings", lost, len(v.Items), items, v.Openings)
	}
	t.Logf("items %d, kills %d, events %d in %d commits, claims %d, journal lines %d, ended %v",
		len(v.Items), kills, v.Events, v.Commits, attempts, wrote, v.Counts())
}

// insist creates an item until that is acknowledged.
func insist(t testing.TB, c *client.Client, n int, due time.Time, journal string) bool {
	id := itemID(n)
	data, err := json.Marshal(map[string]string{"item": id, "journal": journal})
	if err != nil {
		t.Error(err)
		return false
	}
	for range 100 {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		_, err = c.CreateItem(ctx, api.ItemInput{
			ID: id, Name: text(id), RunDateTime: text(due.UTC().Format(time.RFC3339Nano)),
			Function: &api.RefInput{IDOrName: "journal"}, Data: data,
		})
		cancel()
		if err == nil {
			return true
		}
	}
	t.Errorf("item %d was never acknowledged: %v", n, err)
	return false
}

// waitEnded returns when no item is open.
func waitEnded(t testing.TB, c *client.Client, most time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	for {
		st, err := c.ClusterStatus(ctx) // may be unavailable for a while after a fault
		if err == nil && st.Items[api.Queued]+st.Items[api.Processing] == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %v items are still open: %v, %v", most, st.Items, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
