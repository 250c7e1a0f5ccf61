package scheduler_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

func cancelOf(st *stage, id string) command.CancelItem {
	st.t.Helper()
	c, refused := command.NewCancelItem(st.by("admin"), api.Cancel{ID: eventlog.PrefixItem + id})
	if refused != nil {
		st.t.Fatal(refused)
	}
	return c
}

// A run uses the newest code whose update was acknowledged before its claim,
// whatever else is going on.
func TestTheNewestCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{BeforeAppend: func(string, string) memlog.Fault {
			return memlog.Fault{Kind: memlog.Delayed, Delay: time.Millisecond}
		}})
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 16, succeed(time.Millisecond))
		defer e.kill()
		st.function("hello", "version 1")
		for i := range 500 {
			st.do(st.item(fmt.Sprintf("%016d", i), "hello", time.Duration(i)*10*time.Millisecond))
		}
		// The version that was acknowledged, and when.
		type update struct {
			at      time.Time
			version int
		}
		updates := []update{{time.Now(), 1}}
		for n := 2; n < 150; n++ {
			code := fmt.Sprint("version ", n)
			c, refused := command.NewUpdateFunction(st.by("admin"), api.FunctionInput{ID: "fun_hello", Code: &code})
			if refused != nil {
				t.Fatal(refused)
			}
			st.do(c)
			updates = append(updates, update{time.Now(), n})
			time.Sleep(30 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		v := st.judge()
		if v.AllEnded(); len(v.Violations) > 0 {
			t.Fatal(v.Violations)
		}
		checked := 0
		for run, received := range e.runs() {
			claimed := v.Items[eventlog.ItemOfRun(run)].Claims[0].At
			for _, u := range updates {
				// Events have times to the millisecond: an update of the
				// claim's own millisecond may stand on either side.
				if u.at.Before(claimed) && received[0].Version < u.version {
					t.Errorf("run %s, claimed at %v, was sent version %d; %d was acknowledged at %v", run, claimed, received[0].Version, u.version, u.at)
				}
			}
			if received[0].Code != nil && *received[0].Code != fmt.Sprint("version ", received[0].Version) {
				t.Errorf("run %s was sent %q as version %d", run, *received[0].Code, received[0].Version)
			}
			checked++
		}
		if checked != 500 {
			t.Fatalf("%d runs of 500 were received", checked)
		}
	})
}

// An executor that lacks the code says so, and gets the same attempt again with
// the code.
func TestMissingCodeIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		forgot := false
		e := st.executor("local", "i1", 1, nil)
		e.run = func(r wire.Run) (wire.Outcome, time.Duration) {
			return wire.Outcome{Kind: wire.Completed, Result: []byte("1")}, time.Millisecond
		}
		e.drop = func(r wire.Run) bool {
			if forgot || r.Run != "run_0000000000000002" {
				return false
			}
			forgot = true
			go e.report(wire.Outcome{
				Kind: wire.CodeMissing, Stream: r.Stream, Incarnation: e.incarnation,
				Partition: r.Partition, Run: r.Run, Attempt: r.Attempt,
			})
			return true
		}
		defer e.kill()
		st.function("hello", "code")
		st.do(st.item("0000000000000001", "hello", 0))
		time.Sleep(time.Second)
		st.do(st.item("0000000000000002", "hello", 0))
		time.Sleep(time.Second)
		synctest.Wait()
		runs := e.runs()
		if first := runs["run_0000000000000001"]; len(first) != 1 || first[0].Code == nil {
			t.Errorf("the first run was sent as %+v", first)
		}
		if second := runs["run_0000000000000002"]; len(second) != 1 || second[0].Code == nil || second[0].Attempt != 1 {
			t.Errorf("the second run was sent as %+v", second)
		}
		v := st.judge()
		if v.AllEnded(); len(v.Violations) > 0 {
			t.Fatal(v.Violations)
		}
	})
}

// A report counts only from the executor, the incarnation and the attempt of
// the open claim, in this stream.
func TestForeignAndStaleReportsChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 1, succeed(10*time.Second))
		defer e.kill()
		st.function("slow", "code")
		st.do(st.item("0000000000000001", "slow", 0))
		time.Sleep(time.Second)
		right := wire.Outcome{
			Kind: wire.Completed, Stream: streamID, Incarnation: "i1", Result: []byte("1"),
			Run: "run_0000000000000001", Attempt: 1,
			Partition: eventlog.PartitionOf(eventlog.EntityItem, "sci_0000000000000001"),
		}
		send := func(name string, change func(*wire.Outcome)) {
			forged := right
			change(&forged)
			(&executor{bus: e.bus, name: name}).report(forged)
		}
		send("other", func(*wire.Outcome) {})
		send("local", func(o *wire.Outcome) { o.Incarnation = "i0" })
		send("local", func(o *wire.Outcome) { o.Attempt = 2 })
		send("local", func(o *wire.Outcome) { o.Stream = "another" })
		send("local", func(o *wire.Outcome) { o.Run = "run_0000000000000009" })
		time.Sleep(time.Second)
		synctest.Wait()
		if got := st.status("0000000000000001"); got != projection.Processing {
			t.Fatalf("a report that does not count made the item %v", got)
		}
		send("local", func(*wire.Outcome) {})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := st.status("0000000000000001"); got != projection.Completed {
			t.Fatalf("the right report left the item %v", got)
		}
	})
}

// What is due beyond an executor's window stays Queued, can be canceled, and
// runs in the order of priority, then due time.
func TestWindowsAndPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		st.function("hello", "code")
		for n, priority := range []int{0, 0, 5, -1, 5} {
			st.do(st.item(fmt.Sprintf("%016d", n), "hello", time.Duration(n)*time.Millisecond, func(in *api.ItemInput) { in.Priority = &priority }))
		}
		time.Sleep(time.Second)
		e := st.executor("local", "i1", 1, succeed(time.Second))
		defer e.kill()
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if got := st.status(fmt.Sprintf("%016d", 1)); got != projection.Queued {
			t.Errorf("an item beyond the window is %v", got)
		}
		st.do(cancelOf(st, fmt.Sprintf("%016d", 1)))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		var order []string
		for _, r := range e.received {
			order = append(order, r.Run[len(r.Run)-1:])
		}
		if got := fmt.Sprint(order); got != "[2 4 0 3]" {
			t.Errorf("they ran in the order %s", got)
		}
		v := st.judge()
		if v.AllEnded(); len(v.Violations) > 0 {
			t.Fatal(v.Violations)
		}
	})
}

// run.cancel stops an attempt, and its answer means that it is over.
func TestCancelOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.boot()
		defer st.Stop()
		e := st.executor("local", "i1", 1, succeed(time.Hour))
		defer e.kill()
		st.function("slow", "code")
		st.do(st.item("0000000000000001", "slow", time.Second))
		if refused := st.CancelRun(t.Context(), st.by("admin"), "run_0000000000000001", "too early"); refused == nil || refused.Code != api.NotFound {
			t.Errorf("before its first claim the run was canceled with %v", refused)
		}
		time.Sleep(2 * time.Second)
		if refused := st.CancelRun(t.Context(), st.by("admin"), "run_0000000000000001", "enough"); refused != nil {
			t.Fatal(refused)
		}
		if got := st.status("0000000000000001"); got != projection.Canceled {
			t.Fatalf("the item is %v", got)
		}
		st.judge()
	})
}

// A snapshot and the log's tail give the state that the whole log gives, and a
// snapshot that is damaged is thrown away.
func TestSnapshotAndTailEqualTheWholeLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{})
		st.snapshot = filepath.Join(t.TempDir(), "snapshot")
		st.boot()
		e := st.executor("local", "i1", 8, succeed(time.Millisecond))
		defer e.kill()
		st.function("hello", "code")
		for i := range 400 {
			st.do(st.item(fmt.Sprintf("%016d", i), "hello", time.Duration(i)*time.Second))
		}
		time.Sleep(100 * time.Second)
		synctest.Wait()
		st.Stop() // writes a snapshot
		if _, err := os.Stat(st.snapshot); err != nil {
			t.Fatal(err)
		}
		st.boot()
		time.Sleep(50 * time.Second)
		synctest.Wait()
		tail := encoded(st)
		st.snapshot = ""
		st.Stop()
		st.boot() // from nothing
		whole := encoded(st)
		for p := range tail {
			if !bytes.Equal(tail[p], whole[p]) {
				t.Errorf("partition %d differs", p)
			}
		}
		st.Stop()
	})
}

// encoded is every partition's bytes, taken while nothing is going on.
func encoded(st *stage) [][]byte {
	st.t.Helper()
	synctest.Wait()
	var all [][]byte
	if _, refused := st.Read(st.t.Context(), func(s *projection.State) {
		for p := range eventlog.Partitions {
			b, err := s.Partition(p).Encode()
			if err != nil {
				st.t.Error(err)
			}
			all = append(all, b)
		}
	}); refused != nil {
		st.t.Fatal(refused)
	}
	return all
}

// A snapshot that is made while commands pour in holds a prefix of the log.
func TestSnapshotUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, memlog.Faults{BeforeAppend: func(string, string) memlog.Fault {
			return memlog.Fault{Kind: memlog.Delayed, Delay: 500 * time.Microsecond}
		}})
		st.snapshot, st.snapshotEvents = filepath.Join(t.TempDir(), "snapshot"), 200
		st.boot()
		e := st.executor("local", "i1", 8, succeed(time.Millisecond))
		defer e.kill()
		st.function("hello", "code")
		var creating sync.WaitGroup
		for w := range 20 {
			creating.Go(func() {
				for i := range 250 {
					st.do(st.item(fmt.Sprintf("%08d%08d", w, i), "hello", time.Millisecond))
				}
			})
		}
		creating.Wait()
		time.Sleep(time.Second) // the partitions that are left
		if st.Stats().Stalls.Load() < eventlog.Partitions {
			t.Fatalf("only %d partitions were taken", st.Stats().Stalls.Load())
		}
		taken, err := os.ReadFile(st.snapshot)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		st.Stop()
		prefixes(st, taken)
		// The process might have died after that snapshot.
		if err := os.WriteFile(st.snapshot, taken, 0o600); err != nil {
			t.Fatal(err)
		}
		st.boot()
		tail := encoded(st)
		st.Stop()
		st.snapshot = ""
		st.boot()
		defer st.Stop()
		for p, whole := range encoded(st) {
			if !bytes.Equal(tail[p], whole) {
				t.Errorf("partition %d differs", p)
			}
		}
	})
}

// prefixes says whether each section of a snapshot is what the log gives when
// folded up to the section's sequence.
func prefixes(st *stage, snapshot []byte) {
	st.t.Helper()
	in := cbor.NewDecoder(bytes.NewReader(snapshot))
	var header map[int]any
	if err := in.Decode(&header); err != nil {
		st.t.Fatal(err)
	}
	log, state, folded := st.commits(), projection.NewState(), uint64(0)
	for {
		var section struct {
			Partition int    `cbor:"1,keyasint"`
			Seq       uint64 `cbor:"2,keyasint"`
			Body      []byte `cbor:"4,keyasint"`
		}
		if err := in.Decode(&section); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			st.t.Fatal(err)
		}
		if section.Partition < 0 {
			continue
		}
		for ; folded < section.Seq; folded++ { // sections come in the order of the log
			c := log[folded]
			if _, _, err := state.Fold(eventlog.Message{Seq: c.Seq, Lane: "local", Body: c.Body}); err != nil {
				st.t.Fatal(err)
			}
		}
		if want, err := state.Partition(section.Partition).Encode(); err != nil || !bytes.Equal(want, section.Body) {
			st.t.Errorf("partition %d is not the fold of the log up to %d: %v", section.Partition, section.Seq, err)
		}
	}
}
