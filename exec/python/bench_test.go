package python_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"
	osexec "os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/python"
	"github.com/belfryhq/belfry/exec/wire"
)

// BenchmarkWarmRun is a no-op on a warm worker: what a run costs besides its code.
func BenchmarkWarmRun(b *testing.B) {
	r, err := python.New(python.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.Close() })
	job := exec.Job{
		Run: "run_1", Attempt: 1, Function: "fun_1", FunctionName: "noop", Version: 1,
		Code: "def execute(current_user, **kwargs):\n    return {'status': 'success'}\n",
		User: jsontext.Value(`{"id":"ada","first_name":"Ada","last_name":"Lovelace"}`), UserID: "ada",
		Data:    jsontext.Value(`{"target_email":"someone@example.com","n":1}`),
		Timeout: time.Minute, MemoryLimit: 512 << 20, ScheduledFor: time.Now(),
	}
	run := func(b *testing.B) {
		mine := job
		if ended := r.Run(b.Context(), &mine, func(wire.LogLine) {}); ended.Kind != wire.Completed {
			b.Errorf("ended %s: %+v", ended.Kind, ended.Error)
		}
	}
	b.Run("one", func(b *testing.B) {
		run(b)
		b.ReportAllocs()
		for b.Loop() {
			run(b)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.SetParallelism(4)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				run(b)
			}
		})
	})
}

// bare is the least that a warm worker can be: JSON both ways over a pipe.
const bare = `
import json, os
def execute(current_user, **kwargs): return {"status": "success"}
while True:
    frame = json.loads(os.read(3, 65536)[4:])
    body = json.dumps({"result": execute(frame["user"], **frame["data"])}).encode()
    os.write(4, len(body).to_bytes(4, "big") + body)
`

// BenchmarkBareWorker is the floor for BenchmarkWarmRun: the same no-op behind
// a loop of a few lines that limits, captures and survives nothing.
func BenchmarkBareWorker(b *testing.B) {
	request := []byte(`{"run":1,"user":{"id":"ada"},"data":{"target_email":"someone@example.com","n":1}}`)
	request = append(binary.BigEndian.AppendUint32(nil, uint32(len(request))), request...)
	open := func() (io.Reader, io.Writer) {
		theirRequests, requests, err := os.Pipe()
		if err != nil {
			b.Fatal(err)
		}
		responses, theirResponses, err := os.Pipe()
		if err != nil {
			b.Fatal(err)
		}
		cmd := osexec.Command("python3", "-I", "-S", "-c", bare)
		cmd.ExtraFiles = []*os.File{theirRequests, theirResponses}
		cmd.Stderr = nil
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		_ = theirRequests.Close()
		_ = theirResponses.Close()
		b.Cleanup(func() { _ = requests.Close(); _ = responses.Close(); _ = cmd.Wait() })
		return bufio.NewReader(responses), requests
	}
	run := func(b *testing.B, r io.Reader, w io.Writer, buf []byte) {
		_, err := w.Write(request)
		if err == nil {
			_, err = io.ReadFull(r, buf[:4])
		}
		if err == nil {
			_, err = io.ReadFull(r, buf[:binary.BigEndian.Uint32(buf)])
		}
		if err != nil {
			b.Error(err)
		}
	}
	b.Run("one", func(b *testing.B) {
		r, w := open()
		buf := make([]byte, 4096)
		run(b, r, w, buf)
		for b.Loop() {
			run(b, r, w, buf)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.SetParallelism(4)
		b.RunParallel(func(pb *testing.PB) {
			r, w := open()
			buf := make([]byte, 4096)
			for pb.Next() {
				run(b, r, w, buf)
			}
		})
	})
}

// BenchmarkColdRun is the first run of a function that nobody has called yet, at
// the levels that this machine offers: a fork, the sandbox, the module, the run.
func BenchmarkColdRun(b *testing.B) {
	r, err := python.New(python.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.Close() })
	low, err := python.New(python.Config{Sandbox: python.LevelProcess})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = low.Close() })
	var functions atomic.Int64
	first := func(b *testing.B, r *python.Runtime, level string) {
		job := exec.Job{
			Run: "run_1", Attempt: 1, Function: "fun_" + strconv.FormatInt(functions.Add(1), 10), FunctionName: "noop", Version: 1,
			Code: "def execute(current_user, **kwargs):\n    return 1\n", Timeout: time.Minute, MemoryLimit: 512 << 20, Sandbox: level,
		}
		if ended := r.Run(b.Context(), &job, func(wire.LogLine) {}); ended.Kind != wire.Completed {
			b.Errorf("ended %s: %+v", ended.Kind, ended.Error)
		}
	}
	b.Run("process", func(b *testing.B) {
		for b.Loop() {
			first(b, low, "")
		}
	})
	for _, o := range r.Offers() {
		if o.Why == "" && (o.Level == python.LevelRestricted || o.Level == python.LevelIsolated) {
			b.Run(string(o.Level), func(b *testing.B) {
				for b.Loop() {
					first(b, r, string(o.Level))
				}
			})
		}
	}
	b.Run("200 at once", func(b *testing.B) {
		for b.Loop() {
			var all sync.WaitGroup
			for range 200 {
				all.Go(func() { first(b, r, "") })
			}
			all.Wait()
		}
	})
}

// BenchmarkLevels is what a first call (cold) and a no-op on a warm worker take at
// each level that this machine offers. The levels take turns within each round, so
// that what else the machine does meets all alike; told are the medians.
func BenchmarkLevels(b *testing.B) {
	runtimes := map[string]*python.Runtime{} // each retires its own workers
	for _, level := range python.Levels()[1:] {
		r, err := python.New(python.Config{Sandbox: level})
		if err != nil {
			b.Logf("not %s: %v", level, err)
			continue
		}
		b.Cleanup(func() { _ = r.Close() })
		runtimes[string(level)] = r
	}
	functions := 0
	for _, kind := range []string{"cold", "warm"} {
		b.Run(kind, func(b *testing.B) {
			took := map[string][]time.Duration{}
			for b.Loop() {
				functions++
				for level, r := range runtimes { // in any order
					job := exec.Job{
						Run: "run_1", Attempt: 1, Function: "fun_" + strconv.Itoa(functions), FunctionName: "noop", Version: 1,
						Code: "def execute(current_user, **kwargs):\n    return 1\n", Timeout: time.Minute, MemoryLimit: 512 << 20,
					}
					if kind == "warm" {
						job.Function = "fun_warm"
					}
					begun := time.Now()
					if ended := r.Run(b.Context(), &job, func(wire.LogLine) {}); ended.Kind != wire.Completed {
						b.Fatalf("ended %s: %+v", ended.Kind, ended.Error)
					}
					took[level] = append(took[level], time.Since(begun))
				}
			}
			b.ReportMetric(0, "ns/op")
			for level, all := range took {
				slices.Sort(all)
				b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, level+"-p50-ms")
			}
		})
	}
}
