package bench

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

const code = "def execute(current_user, **kwargs):\n    return {\"status\": \"success\"}\n"

func text(s string) *string { return &s }

// started is a process with a function, ready to be measured.
func started(b *testing.B) *cluster.Process {
	b.Helper()
	p := cluster.New(b)
	p.Start()
	if _, err := p.Client(api.Admin).CreateFunction(b.Context(), api.FunctionInput{Name: text("f"), Code: text(code)}); err != nil {
		b.Fatal(err)
	}
	return p
}

// create asks for one item by hand, as any NATS client would.
func create(nc *nats.Conn, id int) error {
	body := fmt.Appendf(nil, `{"name":"follow-up %d","run_date_time":"2100-01-01T00:00:00Z","function":"f","data":{"target_email":"someone@example.com","lead":%d,"note":"%0100d"}}`, id, id, id)
	m, err := nc.Request("belfry.api.admin.item.create", body, 10*time.Second)
	if err != nil {
		return err
	}
	if m.Header.Get(api.HeaderError) != "" {
		return fmt.Errorf("%s", m.Data)
	}
	return nil
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*p))]
}

// report gives percentiles in milliseconds, under names.
func report(b *testing.B, name string, all []time.Duration) (p50 time.Duration) {
	b.Helper()
	slices.Sort(all)
	p50 = percentile(all, 0.5)
	b.ReportMetric(float64(p50.Microseconds())/1000, name+"-p50-ms")
	b.ReportMetric(float64(percentile(all, 0.99).Microseconds())/1000, name+"-p99-ms")
	return p50
}

// floor is JetStream alone with fsync on, in a process of its own disk folder:
// one client, one message of an event's size at a time.
func floor(b *testing.B, n int) []time.Duration {
	b.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: b.TempDir(), SyncAlways: true, NoSigs: true, NoLog: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		b.Fatal("the floor's server does not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "FLOOR", Subjects: []string{"floor"}, Storage: jetstream.FileStorage}); err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 600)
	took := make([]time.Duration, n)
	for i := range took {
		begun := time.Now()
		if _, err := js.Publish(b.Context(), "floor", body); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(begun)
	}
	return took
}

// BenchmarkCreateOneClient: from request to acknowledged answer, one at a time.
func BenchmarkCreateOneClient(b *testing.B) {
	const n = 3000
	p := started(b)
	nc := p.Conn()
	for b.Loop() {
		took := make([]time.Duration, n)
		for i := range took {
			begun := time.Now()
			if err := create(nc, i); err != nil {
				b.Fatal(err)
			}
			took[i] = time.Since(begun)
		}
		p50 := report(b, "create", took)
		bare := report(b, "floor", floor(b, n))
		b.ReportMetric(float64(p50)/float64(bare), "x-floor")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkCreate64Clients: 64 connections, each one request at a time.
func BenchmarkCreate64Clients(b *testing.B) {
	const clients, each = 64, 1500
	p := started(b)
	for b.Loop() {
		var working sync.WaitGroup
		took := make([][]time.Duration, clients)
		begun := time.Now()
		for c := range clients {
			nc := p.Conn()
			working.Go(func() {
				for i := range each {
					at := time.Now()
					if err := create(nc, c*each+i); err != nil {
						b.Error(err)
						return
					}
					took[c] = append(took[c], time.Since(at))
				}
			})
		}
		working.Wait()
		b.ReportMetric(float64(clients*each)/time.Since(begun).Seconds(), "creates/s")
		report(b, "create", slices.Concat(took...))
		report(b, "floor", floor(b, 1000))
	}
	b.ReportMetric(0, "ns/op")
}
