package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

func TestCommands(t *testing.T) {
	n1 := Member{Name: "n1", Raft: "127.0.0.1:1", NATS: "nats://127.0.0.1:2", HTTP: "127.0.0.1:3", Version: "1"}
	moved := n1
	moved.Raft = "127.0.0.1:9"
	of := func(members ...Member) map[string]Member {
		all := make(map[string]Member)
		for _, m := range members {
			all[m.Name] = m
		}
		return all
	}
	creating := Stream{ID: "a", Phase: PhaseCreating}
	created := Stream{ID: "a", Phase: PhaseCreated}
	brings := n1
	brings.Brings = "a"
	brought := Stream{ID: "a", Phase: PhaseCreating, From: "n1"}
	at7 := Stream{ID: "a", Phase: PhaseCreated, LowWater: 7}

	for _, test := range []struct {
		name    string
		given   State
		when    command
		then    State
		refused string
	}{
		{"a first member", State{}, putMember{n1}, State{Members: of(n1)}, ""},
		{"a member that moved replaces itself", State{Members: of(n1)}, putMember{moved}, State{Members: of(moved)}, ""},
		{"a member without a name", State{}, putMember{}, State{}, "member name"},
		{"a plan of members", State{Members: of(n1)}, putPlan{Plan{0: "n1", 63: "n1"}}, State{Members: of(n1), Plan: Plan{0: "n1", 63: "n1"}}, ""},
		{"a plan that names a stranger", State{Members: of(n1)}, putPlan{Plan{5: "n2"}}, State{Members: of(n1)}, `partition 5 to "n2"`},
		{"the first intent wins", State{}, intendStream{"a"}, State{Stream: creating}, ""},
		{"the second intent changes nothing", State{Stream: creating}, intendStream{"b"}, State{Stream: creating}, ""},
		{"an intent after creation changes nothing", State{Stream: at7}, intendStream{"b"}, State{Stream: at7}, ""},
		{"an intent without an id", State{}, intendStream{""}, State{}, "needs an id"},
		{"a founder brings the stream", State{}, found{ID: "c", Members: []Member{brings}}, State{ID: "c", Members: of(brings), Stream: brought}, ""},
		{"who comes later brings none", State{ID: "c"}, putMember{brings}, State{ID: "c", Members: of(brings)}, ""},
		{"an intent beside a stream that is brought changes nothing", State{Stream: brought}, intendStream{"b"}, State{Stream: brought}, ""},
		{"the stream was created", State{Stream: creating}, streamCreated{"a"}, State{Stream: created}, ""},
		{"created again keeps the mark", State{Stream: at7}, streamCreated{"a"}, State{Stream: at7}, ""},
		{"another stream was created", State{Stream: creating}, streamCreated{"b"}, State{Stream: creating}, `the stream is "a", not "b"`},
		{"created without an intent", State{}, streamCreated{"a"}, State{}, `the stream is "", not "a"`},
		{"created without an id or intent", State{}, streamCreated{""}, State{}, `the stream is ""`},
		{"the mark rises", State{Stream: created}, raiseLowWater{"a", 7}, State{Stream: at7}, ""},
		{"the mark never falls", State{Stream: at7}, raiseLowWater{"a", 3}, State{Stream: at7}, ""},
		{"the mark of another stream", State{Stream: at7}, raiseLowWater{"b", 9}, State{Stream: at7}, `not "b"`},
		{"a mark before creation", State{Stream: creating}, raiseLowWater{"a", 9}, State{Stream: creating}, "not created yet"},
	} {
		t.Run(test.name, func(t *testing.T) {
			machine := &fsm{state: test.given.clone()}
			got := apply(t, machine, test.when)
			if test.refused == "" && got.err != nil {
				t.Fatalf("refused: %v", got.err)
			}
			if test.refused != "" && (!errors.Is(got.err, ErrRefused) || !strings.Contains(got.err.Error(), test.refused)) {
				t.Fatalf("error %v, want a refusal with %q", got.err, test.refused)
			}
			if got.err == nil && got.stream != test.then.Stream {
				t.Fatalf("answered with %+v", got.stream)
			}
			if state := machine.State(); !reflect.DeepEqual(state, test.then) {
				t.Fatalf("state %+v, want %+v", state, test.then)
			}
		})
	}
}

// apply has the command go the way through the log.
func apply(t *testing.T, machine *fsm, c command) result {
	t.Helper()
	data, err := encode(c)
	if err != nil {
		t.Fatal(err)
	}
	return machine.Apply(&raft.Log{Data: data}).(result)
}

func TestUnknownCommandsAreRefusedAndChangeNothing(t *testing.T) {
	machine := new(fsm)
	apply(t, machine, intendStream{"a"})
	before := machine.State()
	for _, data := range []string{
		"", "nonsense", "[]",
		`{"v":1,"type":"put_moon","body":{}}`,
		`{"v":2,"type":"intend_stream","body":{"id":"b"}}`,
		`{"v":1,"type":"raise_low_water","body":{"id":"a","seq":-1}}`,
	} {
		got := machine.Apply(&raft.Log{Data: []byte(data)}).(result)
		if !errors.Is(got.err, ErrRefused) {
			t.Errorf("%q: %v", data, got.err)
		}
	}
	if after := machine.State(); !reflect.DeepEqual(after, before) {
		t.Fatalf("the state changed to %+v", after)
	}
}

func TestSnapshotRoundTripIsDeterministic(t *testing.T) {
	commands := []command{
		putMember{Member{Name: "b"}},
		putMember{Member{Name: "a", HTTP: "x"}},
		putPlan{Plan{3: "a", 4: "b"}},
		intendStream{"s"}, streamCreated{"s"}, raiseLowWater{"s", 12},
	}
	var shipped [2][]byte
	for i := range shipped {
		machine := new(fsm)
		for j := range commands {
			if i == 1 && j < 2 { // the members in the other order: the same state
				j = 1 - j
			}
			apply(t, machine, commands[j])
		}
		shipped[i] = persist(t, machine)
	}
	if !bytes.Equal(shipped[0], shipped[1]) {
		t.Fatalf("the same state gives\n%s and\n%s", shipped[0], shipped[1])
	}

	restored := new(fsm)
	apply(t, restored, putMember{Member{Name: "stale"}})
	if err := restored.Restore(io.NopCloser(bytes.NewReader(shipped[0]))); err != nil {
		t.Fatal(err)
	}
	if again := persist(t, restored); !bytes.Equal(again, shipped[0]) {
		t.Fatalf("restored:\n%s, want\n%s", again, shipped[0])
	}
}

func TestRestoreRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, from := range []string{"", "{", `{"version":0,"state":{}}`, `{"version":3,"state":{}}`} {
		machine := new(fsm)
		apply(t, machine, intendStream{"a"})
		if err := machine.Restore(io.NopCloser(strings.NewReader(from))); err == nil {
			t.Errorf("%q was restored", from)
		}
		if machine.State().Stream.ID != "a" {
			t.Errorf("%q changed the state", from)
		}
	}
}

func TestStateIsACopy(t *testing.T) {
	machine := new(fsm)
	apply(t, machine, putMember{Member{Name: "a"}})
	machine.State().Members["b"] = Member{Name: "b"}
	if n := len(machine.State().Members); n != 1 {
		t.Fatalf("%d members", n)
	}
}

// A log must be readable for ever: these bytes stand in it.
func TestWireFormOfCommands(t *testing.T) {
	for _, test := range []struct {
		command command
		wire    string
	}{
		{putMember{Member{Name: "n1", Raft: "r", NATS: "n", HTTP: "h", Version: "v"}}, `{"v":1,"type":"put_member","body":{"name":"n1","raft":"r","nats":"n","http":"h","version":"v"}}`},
		{intendStream{"a"}, `{"v":1,"type":"intend_stream","body":{"id":"a"}}`},
		{streamCreated{"a"}, `{"v":1,"type":"stream_created","body":{"id":"a"}}`},
		{raiseLowWater{"a", 7}, `{"v":1,"type":"raise_low_water","body":{"id":"a","seq":7}}`},
	} {
		data, err := encode(test.command)
		if err != nil || string(data) != test.wire {
			t.Errorf("%s: %v, want %s", data, err, test.wire)
		}
		back, err := decode([]byte(test.wire))
		if err != nil || back != test.command {
			t.Errorf("%s: read as %+v: %v", test.wire, back, err)
		}
	}
	data, err := encode(putPlan{Plan{63: "n1"}})
	var plan struct {
		Body struct{ Plan []string }
	}
	if err := errors.Join(err, json.Unmarshal(data, &plan)); err != nil || len(plan.Body.Plan) != Partitions || plan.Body.Plan[63] != "n1" {
		t.Errorf("a plan stands as %s: %v", data, err)
	}
}

// persist is the snapshot of a state machine, as it is written.
func persist(t *testing.T, machine *fsm) []byte {
	t.Helper()
	s, err := machine.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	sink := new(memorySink)
	if err := s.Persist(sink); err != nil {
		t.Fatal(err)
	}
	s.Release()
	return sink.Bytes()
}

type memorySink struct{ bytes.Buffer }

func (*memorySink) ID() string    { return "memory" }
func (*memorySink) Cancel() error { return nil }
func (*memorySink) Close() error  { return nil }
