package eventlog_test

import (
	stdjson "encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
)

func TestEveryTypeIsReadBack(t *testing.T) {
	want := samples()
	same(t, decode(t, encode(t, want...)), want)
	for _, e := range want {
		same(t, decode(t, encode(t, e)), []eventlog.Event{e})
	}
	same(t, decode(t, encode(t)), []eventlog.Event{})
}

// TestCommitsAreCloudEvents: each event has what CloudEvents 1.0 and the
// contract require, and only attribute names that CloudEvents allows.
func TestCommitsAreCloudEvents(t *testing.T) {
	name := regexp.MustCompile(`^[a-z0-9]+$`)
	var batch []map[string]stdjson.RawMessage
	if err := stdjson.Unmarshal(encode(t, samples()...), &batch); err != nil {
		t.Fatal(err)
	}
	for i, e := range batch {
		want := samples()[i]
		for attribute, value := range e {
			if !name.MatchString(attribute) {
				t.Errorf("%s: attribute name %q", want.Type(), attribute)
			}
			if attribute != "data" && strings.ContainsAny(string(value[:1]), "[{n") {
				t.Errorf("%s: attribute %s is %s, not a string, number or truth value", want.Type(), attribute, value)
			}
		}
		for attribute, value := range map[string]any{
			"specversion": "1.0", "id": want.ID, "source": "/belfry/n1", "type": string(want.Type()), "subject": want.Subject,
			"time": "2025-06-15T15:06:40.000Z", "datacontenttype": "application/json",
			"entity": string(want.Entity), "revision": want.Revision, "prev": want.Prev, "partition": want.Partition,
			"actor": "admin", "cause": want.Cause,
		} {
			expect, err := stdjson.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			if string(e[attribute]) != string(expect) {
				t.Errorf("%s: %s is %s, want %s", want.Type(), attribute, e[attribute], expect)
			}
		}
		if len(e["data"]) < 2 || e["data"][0] != '{' {
			t.Errorf("%s: data is %s, not an object", want.Type(), e["data"])
		}
	}
}

// TestRunsAreNamed: what concerns a run holds run, attempt, scheduled_for and
// executor in its data.
func TestRunsAreNamed(t *testing.T) {
	for _, e := range samples() {
		switch e.Data.(type) {
		case *eventlog.ItemClaimed, *eventlog.ItemCanceled, *eventlog.ItemInterrupted, *eventlog.ItemRetryScheduled,
			*eventlog.ItemCompleted, *eventlog.ItemFailed:
			commit := string(encode(t, e))
			if !strings.Contains(commit, `"data":{"run":"run_01jxs7e8000000000000000002","attempt":2,"scheduled_for":"2025-06-15T15:06:40.000Z","executor":"n1"`) {
				t.Errorf("%s: %s", e.Type(), commit)
			}
		}
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	for _, e := range samples() {
		commit := string(encode(t, e))
		grown := strings.Replace(commit, `"data":{`, `"later":{"a":[1,{}]},"laterstill":"x","data":{"later":{"a":[1,{}]},"later_still":null,`, 1)
		if grown == commit {
			t.Fatal("nothing was added")
		}
		same(t, decode(t, []byte(grown)), []eventlog.Event{e})
	}
}

func TestAnUnknownTypeIsAnErrorThatNamesIt(t *testing.T) {
	commit := strings.Replace(string(encode(t, samples()...)), "belfry.item.claimed", "belfry.item.teleported", 1)
	_, err := eventlog.Decode([]byte(commit))
	if err == nil || !strings.Contains(err.Error(), `"belfry.item.teleported"`) || !strings.Contains(err.Error(), "later") {
		t.Errorf("got %v, want an error that names the type and asks for a later version", err)
	}
}

func TestWhatIsNoCommitIsAnError(t *testing.T) {
	event := string(encode(t, samples()[0]))
	for _, body := range []string{
		``, ` `, `{`, `{}`, `[`, `[1]`, `["a"]`, `[[]]`, `[{}]`, `"a"`, `x`, event[1 : len(event)-1], event + "x", event[:len(event)-2] + "]",
		strings.Replace(event, `"revision":1`, `"revision":-1`, 1),
		strings.Replace(event, `"revision":1`, `"revision":"1"`, 1),
		strings.Replace(event, `"time":"2`, `"time":"x`, 1),
		strings.Replace(event, `"timeout":"1m30s"`, `"timeout":"soon"`, 1),
		strings.Replace(event, `"data":{`, `"data":[],"x":{`, 1),
	} {
		if events, err := eventlog.Decode([]byte(body)); err == nil {
			t.Errorf("%s\nwas read as %+v", body, events)
		}
	}
}

// hostile are strings that break what is glued together carelessly.
func hostile() []string {
	return []string{
		"", " ", `"`, `\`, `\"`, `"}],[{"`, "\x00", "\x01\x1f\x7f", "\b\f\n\r\t", "\u2028\u2029", "<script>&amp;</script>",
		"é ü ß 中文 Здравствуй", "🔔🔔", "\U0010FFFF", "\ufeff", "\ufffd", "e\u0301", "\xff", "a\xc3\x28b", "\xed\xa0\x80", "\xf0\x9f\x94", `\u0000`, `\ud800`, `null`,
		strings.Repeat("x", 100_000),
	}
}

func TestHostileStringsSurvive(t *testing.T) {
	for _, s := range hostile() {
		want := string([]rune(s)) // what is not UTF-8 becomes U+FFFD
		event := func(s string) eventlog.Event {
			return eventlog.Event{
				ID: s, Source: s, Subject: s, Time: noon, Entity: eventlog.Entity(s), Actor: s, Cause: s, CauseIndex: -1,
				Data: &eventlog.FunctionCreated{Name: s, Code: s, Pool: s, OnExecutorLoss: eventlog.Loss(s)},
			}
		}
		commit := encode(t, event(s))
		if !utf8.Valid(commit) || !stdjson.Valid(commit) || jsontext.Value(commit).Kind() != '[' {
			t.Errorf("%.40q makes an invalid commit: %.300q", s, commit)
		}
		same(t, decode(t, commit), []eventlog.Event{event(want)})
	}
}

func TestDataIsKeptAsItCame(t *testing.T) {
	for in, want := range map[string]string{
		`{}`: `{}`, ` { "a" : [ 1 , 2 ] } `: `{"a":[1,2]}`, `{"b":1,"a":1.50,"a2":1e400,"a3":-0}`: `{"b":1,"a":1.50,"a2":1e400,"a3":-0}`,
		`{"s":"\u2028\ud83d\udd14é\/"}`: "{\"s\":\"\u2028🔔é/\"}", `null`: `null`, `"x"`: `"x"`, `12345678901234567890`: `12345678901234567890`,
	} {
		e := eventlog.Event{CauseIndex: -1, Time: noon, Data: &eventlog.ItemCompleted{Result: jsontext.Value(in)}}
		got := decode(t, encode(t, e))[0].Data.(*eventlog.ItemCompleted).Result
		if string(got) != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
	for _, in := range []string{`{`, `{"a":1}}`, `nul`, `{"a":1,}`, "\"\n\""} {
		e := eventlog.Event{Time: noon, Subject: "sci_1", Data: &eventlog.ItemCreated{Data: jsontext.Value(in)}}
		if _, err := eventlog.Encode(&e); err == nil || !strings.Contains(err.Error(), "sci_1") {
			t.Errorf("%s: got %v, want an error that names the entity", in, err)
		}
	}
}

// TestEncodingIsTheSameEachTime: the same event is the same bytes, on every
// replica and in every run.
func TestEncodingIsTheSameEachTime(t *testing.T) {
	fields := eventlog.UserFields{}
	for i := range 50 {
		fields[fmt.Sprint("field", i)] = jsontext.Value("1")
	}
	e := eventlog.Event{Time: noon, Data: &eventlog.UserCreated{Fields: fields}}
	first := encode(t, e)
	for range 10 {
		if again := encode(t, e); !slices.Equal(again, first) {
			t.Fatalf("%s\nand\n%s", first, again)
		}
	}
}

func TestTimesAreToTheMillisecond(t *testing.T) {
	for in, want := range map[eventlog.Time]string{
		1: "1970-01-01T00:00:00.001Z", -1: "1969-12-31T23:59:59.999Z", noon: "2025-06-15T15:06:40.000Z", later: "2025-06-15T15:12:40.123Z",
		253_402_300_799_999: "9999-12-31T23:59:59.999Z", 951_782_400_010: "2000-02-29T00:00:00.010Z",
	} {
		commit := encode(t, eventlog.Event{Time: in, Data: &eventlog.ItemCreated{RunDateTime: in}})
		if n := strings.Count(string(commit), `"`+want+`"`); n != 2 {
			t.Errorf("%d: %s stands %d times in %s, want 2", in, want, n, commit)
		}
		if got := decode(t, commit)[0]; got.Time != in || got.Data.(*eventlog.ItemCreated).RunDateTime != in {
			t.Errorf("%d was read as %d", in, got.Time)
		}
	}
}

func TestDecodeOfFindsOneEntity(t *testing.T) {
	all := samples()
	var want []eventlog.Event
	for _, e := range all {
		if e.Subject == "sci_01jxs7e8000000000000000002" {
			want = append(want, e)
		}
	}
	got, err := eventlog.DecodeOf(encode(t, all...), "sci_01jxs7e8000000000000000002")
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
	if got, err := eventlog.DecodeOf(encode(t, all...), "sci_other"); len(got) > 0 || err != nil {
		t.Errorf("got %d events, %v", len(got), err)
	}
	// A later version's events of other entities do not disturb.
	newer := strings.ReplaceAll(string(encode(t, all...)), "belfry.node.opened", "belfry.node.teleported")
	if got, err = eventlog.DecodeOf([]byte(newer), "sci_01jxs7e8000000000000000002"); err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
	// An id may be mentioned by an event of another entity.
	if got, err = eventlog.DecodeOf(encode(t, all...), "fun_01jxs7e8000000000000000001"); err != nil || len(got) != 5 {
		t.Errorf("got %d events, %v, want the function's own 5", len(got), err)
	}
}

func TestTheLargestEventFitsACommit(t *testing.T) {
	e := samples()[0]
	encoded, err := eventlog.Encode(&e)
	if err != nil {
		t.Fatal(err)
	}
	e.Data.(*eventlog.FunctionCreated).Code += strings.Repeat("x", eventlog.EventBytesMax-len(encoded))
	e.Prev = 1<<64 - 1
	if commit := encode(t, e); len(commit) > eventlog.CommitBytesMax {
		t.Errorf("%d bytes, more than %d", len(commit), eventlog.CommitBytesMax)
	}
}

func TestSplitCutsWithoutReading(t *testing.T) {
	raw, err := eventlog.Split([]byte(` [ {"type":"any"} , 7 ] `))
	if err != nil || len(raw) != 2 || string(raw[0]) != `{"type":"any"}` || string(raw[1]) != `7` {
		t.Errorf("got %s, %v", raw, err)
	}
}

// FuzzDecode: whatever stands in a log, reading it does not panic, and what was
// understood is written and read alike.
func FuzzDecode(f *testing.F) {
	f.Add(encode(f, samples()...))
	for _, e := range samples() {
		f.Add(encode(f, e))
	}
	for _, s := range []string{`[{"type":"belfry.node.opened","time":"9999-12-31T23:59:59-23:59","data":{}}]`, ``, `[]`, `[{}]`, `[null]`, `[{"type":"belfry.item.created"}]`, "[{\"a\":\"\xff\"}]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, commit []byte) {
		events, err := eventlog.Decode(commit)
		if err != nil {
			return
		}
		first := make([]eventlog.Encoded, len(events))
		prev := make([]uint64, len(events))
		for i := range events {
			if first[i], err = eventlog.Encode(&events[i]); err != nil {
				return // a field that only a later version may fill, such as an absent result
			}
			prev[i] = events[i].Prev
		}
		written := eventlog.AppendCommit(nil, first, prev)
		again, err := eventlog.Decode(written)
		if err != nil {
			t.Fatalf("%q\nwas read and written as\n%q\nwhich cannot be read: %v", commit, written, err)
		}
		for i := range again {
			second, err := eventlog.Encode(&again[i])
			if err != nil || string(second) != string(first[i]) {
				t.Fatalf("%q\nthen\n%q, %v", first[i], second, err)
			}
		}
	})
}

// TestPayloadsHaveNoSurprises: a payload's names are snake_case, as everywhere.
func TestPayloadsHaveNoSurprises(t *testing.T) {
	name := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	for _, e := range samples() {
		data, err := json.Marshal(e.Data)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]jsontext.Value
		if err := json.Unmarshal(data, &fields); err != nil {
			t.Fatal(err)
		}
		for field := range fields {
			if !name.MatchString(field) {
				t.Errorf("%s: field %q", e.Type(), field)
			}
		}
	}
}
