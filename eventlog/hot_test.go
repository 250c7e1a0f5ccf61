package eventlog_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/belfryhq/belfry/eventlog"
)

// TestHotPayloadsAreWrittenTheGeneralWay: what payloads write by hand is, byte
// for byte, what json writes of them, also where json refuses.
func TestHotPayloadsAreWrittenTheGeneralWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hot := []eventlog.Payload{&eventlog.ItemCreated{}, &eventlog.ItemClaimed{}, &eventlog.ItemCompleted{}}
		alike(t, drawEvent(t, rapid.SampledFrom(hot).Draw(t, "kind")))
	})
	for _, e := range samples() {
		alike(t, e)
	}
	for _, p := range []eventlog.Payload{&eventlog.ItemCreated{}, &eventlog.ItemClaimed{}, &eventlog.ItemCompleted{}} {
		alike(t, eventlog.Event{Data: p})
	}
	for _, s := range hostile() {
		alike(t, eventlog.Event{Data: &eventlog.ItemCreated{Name: s, RunningUser: s, Function: eventlog.Ref{ID: s, Name: s}}})
		alike(t, eventlog.Event{Data: &eventlog.ItemClaimed{RunHead: eventlog.RunHead{Run: s, Executor: s}, Incarnation: s, Pool: s}})
	}
}

func TestHotFloatsAndValuesAreWrittenTheGeneralWay(t *testing.T) {
	for _, f := range []float64{
		0, math.Copysign(0, -1), 1, -1, 0.1, 1e-6, 9.99e-7, 1e-7, 1e20, 1e21, -1e21, 123456789.125, math.MaxFloat64, math.SmallestNonzeroFloat64,
		math.NaN(), math.Inf(1), math.Inf(-1),
	} {
		alike(t, eventlog.Event{Data: &eventlog.ItemCompleted{Ended: eventlog.Ended{LatenessMS: f}}})
	}
	for _, v := range []string{
		"", " ", "null", " null ", `{}`, `[ 1 , 2 ]`, `{"a":1,"a":2}`, `{"a":"\u2028\/\ud83d\udd14\ud83d"}`, "\"\xff\"", `{"b":1.50,"a":-0,"c":1E+2}`,
		`{`, `1 2`, `"a`, `nul`, "\"\n\"", `01`, `{"a":1,}`, "[\"\x7f\u2029\"]", `"<&>"`,
	} {
		alike(t, eventlog.Event{Data: &eventlog.ItemCompleted{Result: jsontext.Value(v)}})
		alike(t, eventlog.Event{Data: &eventlog.ItemCreated{Data: jsontext.Value(v)}})
	}
}

// alike fails unless e's data is written the way json writes it.
func alike(t rapid.TB, e eventlog.Event) {
	t.Helper()
	want, wantErr := json.Marshal(e.Data, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	got, err := eventlog.Encode(&e)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%+v: got error %v, json says %v", e.Data, err, wantErr)
	}
	if _, data, _ := bytes.Cut(got, []byte(`,"data":`)); err == nil && !bytes.Equal(data, want) {
		t.Fatalf("%+v:\n got %s\nwant %s", e.Data, data, want)
	}
}
