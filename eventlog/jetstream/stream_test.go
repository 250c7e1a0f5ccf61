package jetstream

import (
	"errors"
	"strings"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/eventlog"
)

func TestOpenRefusesAStreamThatCannotBeTrusted(t *testing.T) {
	for setting, change := range map[string]func(*js.StreamConfig){
		"subjects":             func(c *js.StreamConfig) { c.Subjects = []string{"belfry.events.>"} },
		"storage":              func(c *js.StreamConfig) { c.Storage = js.MemoryStorage },
		"persist_mode":         func(c *js.StreamConfig) { c.PersistMode = js.AsyncPersistMode },
		"retention":            func(c *js.StreamConfig) { c.Retention = js.InterestPolicy },
		"discard":              func(c *js.StreamConfig) { c.Discard = js.DiscardOld },
		"max_msgs ":            func(c *js.StreamConfig) { c.MaxMsgs = 1_000_000 },
		"max_bytes":            func(c *js.StreamConfig) { c.MaxBytes = 1 << 30 },
		"max_age":              func(c *js.StreamConfig) { c.MaxAge = time.Hour },
		"max_msgs_per_subject": func(c *js.StreamConfig) { c.MaxMsgsPerSubject = 1_000_000 },
		"max_msg_size":         func(c *js.StreamConfig) { c.MaxMsgSize = 1000 },
		"duplicate_window":     func(c *js.StreamConfig) { c.Duplicates = 2 * time.Minute },
		"first_seq":            func(c *js.StreamConfig) { c.FirstSeq = 10 },
		"deny_delete":          func(c *js.StreamConfig) { c.DenyDelete = false },
		"no_ack":               func(c *js.StreamConfig) { c.NoAck = true },
		"allow_direct":         func(c *js.StreamConfig) { c.AllowDirect = true },
		"allow_rollup_hdrs":    func(c *js.StreamConfig) { c.AllowRollup = true },
		"allow_msg_ttl":        func(c *js.StreamConfig) { c.AllowMsgTTL = true },
		"allow_msg_counter":    func(c *js.StreamConfig) { c.AllowMsgCounter, c.Discard = true, js.DiscardOld },
		"allow_msg_schedules":  func(c *js.StreamConfig) { c.AllowMsgSchedules, c.Discard = true, js.DiscardOld },
		"mirror":               func(c *js.StreamConfig) { c.Sources = []*js.StreamSource{{Name: "OTHER"}} },
		"subject_transform": func(c *js.StreamConfig) {
			c.SubjectTransform = &js.SubjectTransformConfig{Source: "belfry.events.*", Destination: "x.{{wildcard(1)}}"}
		},
		"restore its settings":  func(c *js.StreamConfig) { c.MaxMsgs = 5 },
		"deny_delete is off":    func(c *js.StreamConfig) { c.DenyDelete, c.MaxMsgs = false, 5 },
		"max_msgs is 5 and mus": func(c *js.StreamConfig) { c.DenyDelete, c.MaxMsgs = false, 5 },
	} {
		nc := connect(t, startFast(t, t.TempDir()))
		api, err := js.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		c := settings(Config{}.WithDefaults())
		change(&c)
		if _, err := api.CreateStream(t.Context(), c); err != nil {
			t.Fatalf("%s: %v", setting, err)
		}
		_, err = Open(t.Context(), nc, Config{})
		if err == nil || !strings.Contains(err.Error(), setting) || !strings.Contains(err.Error(), "cannot be trusted") {
			t.Errorf("%s: got %v, want a refusal that names it", setting, err)
		}
		if errors.Is(err, ErrNoStream) {
			t.Errorf("%s: a stream that is there was called missing", setting)
		}
	}
}

func TestOpenTrustsWhatCreateMade(t *testing.T) {
	nc := connect(t, startServer(t, t.TempDir()))
	if err := Create(t.Context(), nc, Config{}); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), nc, Config{})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := l.js.Stream(t.Context(), eventlog.DefaultPrefix.Stream())
	if err != nil {
		t.Fatal(err)
	}
	c := stream.CachedInfo().Config
	if !c.DenyDelete || c.DenyPurge || c.AllowDirect || c.RePublish != nil || c.Replicas != 1 || c.Metadata["belfry"] != "events" {
		t.Errorf("unexpected settings: %+v", c)
	}
	put(t, l, "n1", 0, 1)
	if err := stream.DeleteMsg(t.Context(), 1); err == nil {
		t.Error("a message could be deleted")
	}
}

func TestOpenWithoutAStreamMakesNone(t *testing.T) {
	nc := connect(t, startServer(t, t.TempDir()))
	for range 2 {
		_, err := Open(t.Context(), nc, Config{})
		if !errors.Is(err, ErrNoStream) || errors.Is(err, eventlog.ErrDamaged) {
			t.Errorf("got %v, want ErrNoStream: whether that is damage is not known here", err)
		}
	}
}

func TestCreateLeavesAStreamThatIsThere(t *testing.T) {
	s := startServer(t, t.TempDir())
	l := create(t, s, Config{})
	put(t, l, "n1", 0, 3)
	if err := Create(t.Context(), connect(t, s), Config{}); err != nil {
		t.Errorf("the same settings again: %v", err)
	}
	if err := l.Integrity(t.Context(), 3); err != nil {
		t.Error(err)
	}
	other := settings(Config{}.WithDefaults())
	other.Duplicates = time.Second
	if _, err := l.js.UpdateStream(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := Create(t.Context(), connect(t, s), Config{}); err == nil {
		t.Error("a stream with other settings was accepted")
	}
}

func TestConfigSaysWhatCannotWork(t *testing.T) {
	if err := (Config{}).WithDefaults().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for name, c := range map[string]Config{
		"replicas":   {Replicas: 2},
		"negative":   {AppendTimeout: -1},
		"heartbeat":  {Heartbeat: time.Minute},
		"pull bytes": {PullBytes: 1000},
	} {
		err := c.WithDefaults().Validate()
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := Open(t.Context(), nil, c); err == nil {
			t.Errorf("%s: opened", name)
		}
		if err := Create(t.Context(), nil, c); err == nil {
			t.Errorf("%s: created", name)
		}
	}
}
