package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

// clockCode writes its due time and the time of its first line outside.
const clockCode = `import os, time

def execute(current_user, **kwargs):
    began = time.time()
    fd = os.open(kwargs["journal"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, ("%s %.6f\n" % (kwargs["due"], began)).encode())
    os.close(fd)
`

// BenchmarkLateness: 200 items due each second, warm; from run_date_time to the
// function's first line, by the functions' own clock. None may be early.
func BenchmarkLateness(b *testing.B) {
	const each, seconds = 200, 20
	for b.Loop() {
		p := cluster.New(b)
		p.Start()
		c := p.Client(api.Admin)
		if _, err := c.CreateFunction(b.Context(), api.FunctionInput{Name: text("clock"), Code: text(clockCode)}); err != nil {
			b.Fatal(err)
		}
		nc := p.Conn()
		warm, journal := filepath.Join(b.TempDir(), "warm"), filepath.Join(b.TempDir(), "journal")
		begin := time.Now().Add(2 * time.Second)
		for n := range 100 { // workers start and the code is known
			due(b, nc, begin.Add(time.Duration(n)*5*time.Millisecond), warm)
		}
		begin = begin.Add(3 * time.Second)
		for n := range each * seconds {
			due(b, nc, begin.Add(time.Duration(n)*time.Second/each), journal)
		}
		time.Sleep(time.Until(begin.Add((seconds + 2) * time.Second)))
		late := lateness(b, journal)
		if len(late) != each*seconds {
			b.Fatalf("%d of %d items ran", len(late), each*seconds)
		}
		report(b, "late", late)
		if late[0] < 0 {
			b.Errorf("an item ran %v early", -late[0])
		}
		b.ReportMetric(float64(late[0].Microseconds())/1000, "late-min-ms")
		report(b, "floor", floor(b, 2000))
	}
	b.ReportMetric(0, "ns/op")
}

// due creates an item for a moment.
func due(b *testing.B, nc *nats.Conn, at time.Time, journal string) {
	b.Helper()
	at = at.Truncate(time.Millisecond)
	body := fmt.Appendf(nil, `{"name":"i","run_date_time":%q,"function":"clock","data":{"journal":%q,"due":"%d"}}`,
		at.UTC().Format("2006-01-02T15:04:05.000Z"), journal, at.UnixMilli())
	m, err := nc.Request("belfry.api.admin.item.create", body, 10*time.Second)
	if err != nil {
		b.Fatal(err)
	}
	if m.Header.Get(api.HeaderError) != "" {
		b.Fatalf("%s", m.Data)
	}
}

// lateness reads what the functions wrote.
func lateness(b *testing.B, journal string) []time.Duration {
	b.Helper()
	raw, err := os.ReadFile(journal)
	if err != nil {
		b.Fatal(err)
	}
	var all []time.Duration
	for line := range strings.Lines(string(raw)) {
		var at int64
		var began float64
		if _, err := fmt.Sscanf(line, "%d %f", &at, &began); err != nil {
			b.Fatal(err)
		}
		all = append(all, time.Duration((began*1000-float64(at))*float64(time.Millisecond)))
	}
	return all
}
