package bench

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

// BenchmarkVerify: what a verification of a log of 120,000 events costs others:
// creates of one client, creates of 64, and lateness at 200/s, without one and
// while one runs.
func BenchmarkVerify(b *testing.B) {
	for b.Loop() {
		p := cluster.New(b)
		p.Start()
		if _, err := p.Client(api.Admin).CreateFunction(b.Context(), api.FunctionInput{Name: text("f"), Code: text(code)}); err != nil {
			b.Fatal(err)
		}
		if _, err := p.Client(api.Admin).CreateFunction(b.Context(), api.FunctionInput{Name: text("clock"), Code: text(clockCode)}); err != nil {
			b.Fatal(err)
		}
		fill(b, p, 120_000)
		verifyLoad(b, p, "warm")
		alone := verifyLoad(b, p, "alone")
		before := resident(b, p.Pid())
		begun := time.Now()
		v, err := p.Client(api.Admin).VerifyAudit(b.Context(), "", nil)
		if err != nil || v.Status != api.VerifyClean || v.Compared != v.Sections {
			b.Fatalf("verdict %+v, %v", v, err)
		}
		b.ReportMetric(float64(v.Events)/time.Since(begun).Seconds(), "idle-events/s")
		b.ReportMetric(float64(resident(b, p.Pid())-before)/(1<<20), "more-MiB")

		ctx, stop := context.WithCancel(b.Context())
		verified, rounds := make(chan struct{}), 0
		go func() {
			defer close(verified)
			for ctx.Err() == nil {
				v, err := p.Client(api.Admin).VerifyAudit(b.Context(), "", nil) // to its end, so that nothing is beside what follows
				if err == nil && v.Status != api.VerifyClean {
					b.Errorf("verdict %+v", v)
				}
				rounds++
			}
		}()
		beside := verifyLoad(b, p, "beside")
		stop()
		<-verified
		b.ReportMetric(float64(rounds), "verifications")
		again := verifyLoad(b, p, "again")
		for n, name := range []string{"create-p50", "creates/s", "late-p50", "late-p99"} {
			b.ReportMetric(2*beside[n]/(alone[n]+again[n]), name+"-ratio")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// fill creates items of the far future.
func fill(b *testing.B, p *cluster.Process, n int) {
	b.Helper()
	nc := p.Conn()
	one := `{"name":"i","run_date_time":"2100-01-01T00:00:00Z","function":"f","data":{"note":"` + strings.Repeat("x", 100) + `"}}`
	body := `{"items":[` + strings.Repeat(one+",", api.ManyMax-1) + one + `]}`
	for range n / api.ManyMax {
		m, err := nc.Request("belfry.api.admin.item.create_many", []byte(body), 20*time.Second)
		if err != nil || m.Header.Get(api.HeaderError) != "" {
			b.Fatal(err, m)
		}
	}
}

// verifyLoad measures the median of creates of one client, the creates a second
// of 64, and the median and the 99th percentile of lateness.
func verifyLoad(b *testing.B, p *cluster.Process, name string) [4]float64 {
	b.Helper()
	const lone, clients, each, second, seconds = 3000, 64, 400, 200, 8
	nc := p.Conn()
	took := make([]time.Duration, lone)
	for i := range took {
		begun := time.Now()
		if err := create(nc, i); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(begun)
	}
	p50 := report(b, name+"-create", took)

	var working sync.WaitGroup
	begun := time.Now()
	for range clients {
		nc := p.Conn()
		working.Go(func() {
			for i := range each {
				if err := create(nc, i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	working.Wait()
	rate := float64(clients*each) / time.Since(begun).Seconds()
	b.ReportMetric(rate, name+"-creates/s")

	journal := filepath.Join(b.TempDir(), "journal")
	begin := time.Now().Add(3 * time.Second)
	for n := range second * seconds {
		due(b, nc, begin.Add(time.Duration(n)*time.Second/second), journal)
	}
	time.Sleep(time.Until(begin.Add((seconds + 2) * time.Second)))
	late := lateness(b, journal)
	if len(late) != second*seconds {
		b.Fatalf("%d of %d items ran", len(late), second*seconds)
	}
	lateP50 := report(b, name+"-late", late)
	return [4]float64{float64(p50), rate, float64(lateP50), float64(percentile(late, 0.99))}
}
