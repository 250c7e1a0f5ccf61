package eventlog_test

import (
	stdjson "encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/belfryhq/belfry/eventlog"
)

// TestAnyCommitIsReadBack: events of any type with any fields, many in a commit.
func TestAnyCommitIsReadBack(t *testing.T) {
	kinds := samples()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) eventlog.Event {
			return drawEvent(t, rapid.SampledFrom(kinds).Draw(t, "kind").Data)
		}), 0, 20).Draw(t, "events")
		encoded := make([]eventlog.Encoded, len(want))
		prev := make([]uint64, len(want))
		for i := range want {
			var err error
			if encoded[i], err = eventlog.Encode(&want[i]); err != nil {
				t.Fatal(err)
			}
			prev[i] = want[i].Prev
		}
		commit := eventlog.AppendCommit(nil, encoded, prev)
		if !stdjson.Valid(commit) || !jsontext.Value(commit).IsValid() {
			t.Fatalf("not JSON: %q", commit)
		}
		got, err := eventlog.Decode(commit)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Fatalf("got %+v %+v\nwant %+v %+v", got[i], got[i].Data, want[i], want[i].Data)
			}
		}
	})
}

// drawEvent draws an event with a payload of like's type.
func drawEvent(t *rapid.T, like eventlog.Payload) eventlog.Event {
	payload := reflect.New(reflect.TypeOf(like).Elem())
	draw(t, payload.Elem(), payload.Type().Elem().Name())
	text := rapid.String()
	return eventlog.Event{
		ID: text.Draw(t, "id"), Source: text.Draw(t, "source"), Subject: text.Draw(t, "subject"), Time: drawTime(t),
		Entity: eventlog.Entity(text.Draw(t, "entity")), Revision: rapid.Uint64().Draw(t, "revision"), Prev: rapid.Uint64().Draw(t, "prev"),
		Partition: rapid.IntRange(-1, 63).Draw(t, "partition"), Actor: text.Draw(t, "actor"), Cause: text.Draw(t, "cause"),
		CauseIndex: rapid.IntRange(-1, 999).Draw(t, "index"), Data: payload.Interface().(eventlog.Payload),
	}
}

func drawTime(t *rapid.T) eventlog.Time {
	return eventlog.Time(rapid.Int64Range(-62_000_000_000_000, 253_402_300_799_999).Draw(t, "time"))
}

// draw fills a value of a payload, so that a new field is tested from its first
// day. Maps and lists are never nil, since JSON does not tell none from empty.
func draw(t *rapid.T, v reflect.Value, name string) {
	switch v.Interface().(type) {
	case eventlog.Time:
		v.SetInt(int64(drawTime(t)))
		return
	case eventlog.Duration:
		v.SetInt(rapid.Int64Range(-1<<61, 1<<61).Draw(t, name))
		return
	case eventlog.Size:
		v.SetInt(rapid.Int64Range(0, 1<<62).Draw(t, name))
		return
	case jsontext.Value:
		v.SetBytes([]byte(drawJSON(t, 3)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(rapid.String().Draw(t, name))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, name))
	case reflect.Int:
		v.SetInt(int64(rapid.Int().Draw(t, name)))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Draw(t, name))
	case reflect.Pointer:
		if rapid.Bool().Draw(t, name+" is set") {
			v.Set(reflect.New(v.Type().Elem()))
			draw(t, v.Elem(), name)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			draw(t, v.Field(i), name+"."+v.Type().Field(i).Name)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rapid.IntRange(0, 3).Draw(t, name), 3))
		for i := range v.Len() {
			draw(t, v.Index(i), name)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range rapid.IntRange(0, 4).Draw(t, name) {
			value := reflect.New(v.Type().Elem()).Elem()
			draw(t, value, name)
			v.SetMapIndex(reflect.ValueOf(rapid.String().Draw(t, "key")), value)
		}
	default:
		panic(fmt.Sprintf("teach the test to draw %s of type %s", name, v.Type()))
	}
}

// drawJSON draws a value without spaces.
func drawJSON(t *rapid.T, depth int) string {
	quote := func() string {
		b, err := jsontext.AppendQuote(nil, rapid.String().Draw(t, "string"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	kind := rapid.IntRange(0, 6).Draw(t, "kind of JSON")
	if depth == 0 {
		kind %= 5
	}
	switch kind {
	case 0:
		return "null"
	case 1:
		return "true"
	case 2:
		return quote()
	case 3:
		return strconv.FormatInt(rapid.Int64().Draw(t, "integer"), 10)
	case 4:
		return rapid.StringMatching(`-?(0|[1-9][0-9]{0,5})(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?`).Draw(t, "number")
	case 5:
		s := "["
		for i := range rapid.IntRange(0, 3).Draw(t, "length") {
			if i > 0 {
				s += ","
			}
			s += drawJSON(t, depth-1)
		}
		return s + "]"
	}
	s := "{"
	for i := range rapid.IntRange(0, 3).Draw(t, "size") {
		if i > 0 {
			s += ","
		}
		s += `"` + strconv.Itoa(i) + `":` + drawJSON(t, depth-1)
	}
	return s + "}"
}
