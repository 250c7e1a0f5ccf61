package bench

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

// BenchmarkRestart: 100,000 queued items; kill -9 and a start until it serves,
// then a clean stop and a start; and how long snapshots kept the decider.
func BenchmarkRestart(b *testing.B) {
	const items = 100_000
	for b.Loop() {
		p := started(b)
		nc := p.Conn()
		for n := 0; n < items; n += api.ManyMax {
			var body strings.Builder
			body.WriteString(`{"items":[`)
			for i := range api.ManyMax {
				if i > 0 {
					body.WriteByte(',')
				}
				fmt.Fprintf(&body, `{"name":"follow-up %d","run_date_time":"2100-01-01T00:00:00Z","function":"f","data":{"target_email":"someone@example.com","lead":%d,"note":"%0100d"}}`, n+i, n+i, n)
			}
			body.WriteString(`]}`)
			if _, err := nc.Request("belfry.api.admin.item.create_many", []byte(body.String()), 20*time.Second); err != nil {
				b.Fatal(err)
			}
		}
		// Work goes on while snapshots are made.
		for i := range 5000 {
			if err := create(nc, i); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(metric(b, p, "belfry_snapshot_stall_seconds_max")*1000, "stall-max-ms")
		b.ReportMetric(metric(b, p, "belfry_snapshot_stalls"), "stalls")
		b.ReportMetric(float64(resident(b, p.Pid()))/(1<<20), "resident-MiB")
		p.Kill()
		p.Start()
		b.ReportMetric(float64(p.Startup.Milliseconds()), "ready-after-kill-ms")
		if err := os.Remove(p.Dir + "/snapshot"); err != nil {
			b.Fatal(err)
		}
		p.Kill()
		p.Start()
		b.ReportMetric(float64(p.Startup.Milliseconds()), "ready-from-nothing-ms")
		if err := p.Stop(); err != nil {
			b.Fatal(err)
		}
		p.Start()
		b.ReportMetric(float64(p.Startup.Milliseconds()), "ready-after-stop-ms")
	}
	b.ReportMetric(0, "ns/op")
}

// metric reads one of the process's metrics.
func metric(b *testing.B, p *cluster.Process, name string) float64 {
	b.Helper()
	answer, err := http.Get("http://" + p.HTTP + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), name+" "); found {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			return v
		}
	}
	b.Fatalf("there is no metric %s", name)
	return 0
}

// resident is a process's resident memory in bytes.
func resident(b *testing.B, pid int) int64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
