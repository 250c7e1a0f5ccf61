package cluster

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// A leader in a group of one, with current State, takes some 20 ms from Start:
// within leaderWithin no heartbeat was waited for.
const (
	longHeartbeat = 20 * time.Second
	leaderWithin  = longHeartbeat / 4
)

func config(dir string) Config {
	return Config{Name: "n1", Addr: "127.0.0.1:0", Dir: dir, Bootstrap: true}
}

// start runs a node and stops it with the test.
func start(t *testing.T, cfg Config) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(c.Stop)
	return c
}

// leading runs a node and waits for its leader.
func leading(t *testing.T, cfg Config) *Cluster {
	t.Helper()
	c := start(t, cfg)
	no(t, c.WaitLeader(t.Context()))
	return c
}

// no ends the test on an error.
func no(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestGroupOfOneLeadsFastAndStateSurvives(t *testing.T) {
	dir := t.TempDir()
	var want State
	for _, run := range []string{"cold", "restart", "restart from a snapshot"} {
		began := time.Now()
		cfg := config(dir)
		cfg.HeartbeatTimeout = longHeartbeat
		c := leading(t, cfg)
		took := time.Since(began)
		t.Logf("%s: leader after %s", run, took)
		if took > leaderWithin {
			t.Errorf("%s: leader after %s, want %s", run, took, leaderWithin)
		}
		if !c.IsLeader() || c.Leader() != "n1" {
			t.Fatalf("leader is %q", c.Leader())
		}
		if got := c.State(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: state %+v, want %+v", run, got, want)
		}
		no(t, c.PutMember(t.Context(), Member{Name: "n1", Raft: c.Addr()}))
		no(t, c.PutPlan(t.Context(), Plan{0: "n1"}))
		first, err := c.IntendStream(t.Context(), "a "+run)
		no(t, err)
		if first.ID != "a cold" {
			t.Fatalf("stream %q: the first intent did not win", first.ID)
		}
		no(t, c.StreamCreated(t.Context(), first.ID))
		no(t, c.RaiseLowWater(t.Context(), first.ID, 40))
		no(t, c.RaiseLowWater(t.Context(), first.ID, 2))
		if mark := c.State().Stream.LowWater; mark != 40 {
			t.Fatalf("low-water mark %d", mark)
		}
		want = c.State()
		if run == "restart" {
			no(t, c.raft.Snapshot().Error())
		}
		c.Stop()
	}
}

func TestSecondIntentReturnsTheWinner(t *testing.T) {
	c := leading(t, config(t.TempDir()))
	var both sync.WaitGroup
	var got [8]Stream
	for i := range got {
		both.Go(func() {
			var err error
			if got[i], err = c.IntendStream(t.Context(), string(rune('a'+i))); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	for _, stream := range got {
		if stream.ID == "" || stream != got[0] {
			t.Fatalf("intents were answered %+v", got)
		}
	}
}

func TestStartRefusesWhatCannotWork(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	no(t, os.WriteFile(file, nil, 0o600))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	no(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	used := t.TempDir()
	start(t, config(used))

	const onlyLoopback = "is not a loopback address: Belfry has no security yet"
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"all addresses", func(c *Config) { c.Addr = "0.0.0.0:7420" }, onlyLoopback},
		{"an empty host", func(c *Config) { c.Addr = ":7420" }, onlyLoopback},
		{"an address of a network", func(c *Config) { c.Addr = "10.1.2.3:7420" }, onlyLoopback},
		{"a host name", func(c *Config) { c.Addr = "example.com:7420" }, onlyLoopback},
		{"no port", func(c *Config) { c.Addr = "127.0.0.1" }, "is not host:port"},
		{"an odd port", func(c *Config) { c.Addr = "127.0.0.1:raft" }, "has no valid port"},
		{
			"a port that is taken", func(c *Config) { c.Addr = taken.Addr().String() },
			"raft address " + taken.Addr().String() + " is taken: stop the other program or choose another with --raft-addr",
		},
		{"a store in use", func(c *Config) { c.Dir = used }, "is used by another process"},
		{"a store below a file", func(c *Config) { c.Dir = file }, "is not writable"},
		{"no store", func(c *Config) { c.Dir = "" }, "has no directory"},
		{"no name", func(c *Config) { c.Name = "" }, "node name"},
		{"a name of two tokens", func(c *Config) { c.Name = "a.b" }, "node name"},
		{"a hasty heartbeat", func(c *Config) { c.HeartbeatTimeout = time.Millisecond }, "too short"},
		{"a negative timeout", func(c *Config) { c.CommandTimeout = -1 }, "give a positive one"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := config(t.TempDir())
			test.change(&cfg)
			c, err := Start(t.Context(), cfg)
			if err == nil {
				c.Stop()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error: %q, want one line with %q", err, test.want)
			}
		})
	}
}

func TestStoppedClusterFreesItsStoreAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	c := leading(t, config(dir))
	addr := c.Addr()
	var both sync.WaitGroup
	for range 2 {
		both.Go(c.Stop)
	}
	both.Wait()
	c.Stop()
	if err := c.PutMember(t.Context(), Member{Name: "n1"}); !errors.Is(err, ErrStopped) {
		t.Fatalf("command after the stop: %v", err)
	}
	if err := c.WaitLeader(t.Context()); !errors.Is(err, ErrStopped) {
		t.Fatalf("wait after the stop: %v", err)
	}
	cfg := config(dir)
	cfg.Addr = addr // the port is free as well
	leading(t, cfg)
}

func TestWithoutBootstrapThereIsNoLeader(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.Bootstrap = false
	c := start(t, cfg)
	cause := errors.New("waited enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, cause)
	defer cancel()
	if err := c.WaitLeader(ctx); !errors.Is(err, cause) {
		t.Fatalf("wait: %v", err)
	}
	if err := c.PutMember(t.Context(), Member{Name: "n1"}); !errors.Is(err, ErrNotLeader) {
		t.Fatalf("command: %v", err)
	}
}

func TestBootstrapMendsAnAttemptThatDiedHalfway(t *testing.T) {
	dir := t.TempDir()
	no(t, os.MkdirAll(filepath.Join(dir, raftDir), 0o700))
	store, err := openStore(filepath.Join(dir, raftDir))
	no(t, err)
	no(t, store.SetUint64([]byte("CurrentTerm"), 1)) // and then the process was killed
	no(t, store.Close())
	leading(t, config(dir))
}

func TestADamagedEntryIsRefusedInOneLine(t *testing.T) {
	for _, place := range []string{"first", "last"} {
		t.Run(place, func(t *testing.T) {
			dir := t.TempDir()
			c := leading(t, config(dir))
			no(t, c.PutMember(t.Context(), Member{Name: "n1"}))
			c.Stop()
			damageEntry(t, filepath.Join(dir, raftDir, logFile), place)
			c, err := Start(t.Context(), config(dir))
			if err == nil {
				c.Stop()
				t.Fatal("it started")
			}
			if text := err.Error(); !strings.Contains(text, logFile) || !strings.Contains(text, "restore it") || strings.Contains(text, "\n") {
				t.Fatalf("error: %q", text)
			}
		})
	}
}

// damageEntry makes an entry of Raft's log one that cannot be decoded.
func damageEntry(t *testing.T, file, place string) {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	no(t, err)
	no(t, db.Update(func(tx *bbolt.Tx) error {
		logs := tx.Bucket([]byte("logs"))
		index, _ := logs.Cursor().First()
		if place == "last" {
			index, _ = logs.Cursor().Last()
		}
		return logs.Put(index, []byte("no entry"))
	}))
	no(t, db.Close())
}

func TestBootstrapNeverReplacesACluster(t *testing.T) {
	dir := t.TempDir()
	c := leading(t, config(dir))
	no(t, c.PutMember(t.Context(), Member{Name: "n1"}))
	c.Stop()
	cfg := config(dir)
	cfg.Name = "n2" // not a member of what is in the store
	c = start(t, cfg)
	if c.IsLeader() || len(c.servers()) != 1 || c.servers()[0].ID != "n1" {
		t.Fatalf("the group became %+v", c.servers())
	}
}

func TestNodeThatMovedTellsTheGroup(t *testing.T) {
	dir := t.TempDir()
	c := leading(t, config(dir))
	before := c.Addr()
	c.Stop()
	hold, err := net.Listen("tcp", before) // so that port 0 gives another
	no(t, err)
	t.Cleanup(func() { _ = hold.Close() })

	c = leading(t, config(dir))
	// correctAddress runs beside this test; each barrier is one more look.
	for string(c.servers()[0].Address) == before {
		no(t, c.barrier(t.Context()))
	}
	if got := string(c.servers()[0].Address); got != c.Addr() || got == before {
		t.Fatalf("the group knows %s, this node is at %s", got, c.Addr())
	}
}

func TestANormalLifeIsQuiet(t *testing.T) {
	dir := t.TempDir()
	record := new(recorder)
	for range 2 {
		cfg := config(dir)
		cfg.Logger = slog.New(record)
		c := leading(t, cfg)
		no(t, c.PutMember(t.Context(), Member{Name: "n1"}))
		c.Stop()
	}
	if loud := record.from(slog.LevelInfo); len(loud) > 0 {
		t.Fatalf("a normal life says: %q", loud)
	}
	if len(record.from(slog.LevelDebug)) == 0 {
		t.Fatal("raft's lines did not reach the log")
	}
}

// recorder is a slog.Handler that keeps what it is given.
type recorder struct {
	mu    sync.Mutex
	lines []slog.Record
}

func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *recorder) WithGroup(string) slog.Handler            { return r }
func (r *recorder) Handle(_ context.Context, line slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	return nil
}

func (r *recorder) from(level slog.Level) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var texts []string
	for _, line := range r.lines {
		if line.Level >= level {
			text := line.Message
			line.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
			texts = append(texts, text)
		}
	}
	return texts
}
