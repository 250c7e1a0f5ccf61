package eventlog

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ContentType of a commit, as CloudEvents 1.0 names its JSON batch format.
const ContentType = "application/cloudevents-batch+json"

// CommitBytesMax bounds one commit: the half of what NATS carries, so that
// headers, a restore through other tools and a change of limits never collide.
const CommitBytesMax = 500_000

// EventBytesMax bounds one encoded event, so that any event fits a commit.
const EventBytesMax = CommitBytesMax - 1000

// Encoded is an event in JSON but for the end: its prev, which is known only
// when the commit before is stored, and the closing brace.
type Encoded []byte

// prevBytesMax is the room for `,"prev":` and a uint64, a brace and a comma.
const prevBytesMax = 8 + 20 + 2

// Encode writes e without its prev. The error is a programmer's: a payload
// that holds invalid JSON.
func Encode(e *Event) (Encoded, error) {
	b := make([]byte, 0, 768)
	b = append(b, `{"specversion":"1.0","id":`...)
	b = appendString(b, e.ID)
	b = append(b, `,"source":`...)
	b = appendString(b, e.Source)
	b = append(b, `,"type":`...)
	b = appendString(b, string(e.Type()))
	b = append(b, `,"subject":`...)
	b = appendString(b, e.Subject)
	b = append(b, `,"time":`...)
	b = appendTime(b, e.Time)
	b = append(b, `,"datacontenttype":"application/json","entity":`...)
	b = appendString(b, string(e.Entity))
	b = append(b, `,"revision":`...)
	b = strconv.AppendUint(b, e.Revision, 10)
	b = append(b, `,"partition":`...)
	b = strconv.AppendInt(b, int64(e.Partition), 10)
	b = append(b, `,"actor":`...)
	b = appendString(b, e.Actor)
	b = append(b, `,"cause":`...)
	b = appendString(b, e.Cause)
	if e.CauseIndex >= 0 {
		b = append(b, `,"causeindex":`...)
		b = strconv.AppendInt(b, int64(e.CauseIndex), 10)
	}
	b, err := appendData(append(b, `,"data":`...), e.Data)
	if err != nil {
		return nil, fmt.Errorf("encode %s of %s: %w", e.Type(), e.Subject, err)
	}
	return b, nil
}

// appendString appends s in quotes. Invalid UTF-8 becomes U+FFFD; the rest of
// AppendQuote's errors cannot happen for a string.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// Spell is JSON as the log spells it: without spaces, each character of a string
// in one way, invalid UTF-8 as U+FFFD. A state that an event evolves before it is
// stored is that of who reads it only if the event says it so. The error is of
// what is not JSON, or has a name twice in one object.
func Spell(v jsontext.Value) (jsontext.Value, error) { return appendValue(nil, v) }

// Size bounds the bytes that the event takes in a commit.
func (e Encoded) Size() int { return len(e) + prevBytesMax }

// AppendCommit writes a commit of events, in order, each with its prev. The
// slices have equal length.
func AppendCommit(b []byte, events []Encoded, prev []uint64) []byte {
	b = append(b, '[')
	for i, e := range events {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e...)
		b = append(b, `,"prev":`...)
		b = strconv.AppendUint(b, prev[i], 10)
		b = append(b, '}')
	}
	return append(b, ']')
}

// envelope is an event on the wire.
type envelope struct {
	SpecVersion string         `json:"specversion"`
	ID          string         `json:"id"`
	Source      string         `json:"source"`
	Type        Type           `json:"type"`
	Subject     string         `json:"subject"`
	Time        Time           `json:"time"`
	Entity      Entity         `json:"entity"`
	Revision    uint64         `json:"revision"`
	Prev        uint64         `json:"prev"`
	Partition   int            `json:"partition"`
	Actor       string         `json:"actor"`
	Cause       string         `json:"cause"`
	CauseIndex  *int           `json:"causeindex"`
	Data        jsontext.Value `json:"data"`
}

// Decode reads a commit. Fields that it does not know are ignored; a type that
// it does not know is an error: the log was written by a later version, and to
// fold it without understanding would be to invent.
func Decode(commit []byte) ([]Event, error) {
	raw, err := Split(commit)
	if err != nil {
		return nil, err
	}
	events := make([]Event, len(raw))
	for i, r := range raw {
		if events[i], err = decodeEvent(r); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// DecodeOf reads those events of a commit that are about one entity.
func DecodeOf(commit []byte, subject string) ([]Event, error) {
	raw, err := Split(commit)
	if err != nil {
		return nil, err
	}
	var events []Event
	for _, r := range raw {
		if !bytes.Contains(r, []byte(subject)) {
			continue
		}
		e, err := decodeEvent(r)
		if err != nil {
			return nil, err
		}
		if e.Subject == subject {
			events = append(events, e)
		}
	}
	return events, nil
}

// Split cuts a commit into its events without reading them.
func Split(commit []byte) ([]jsontext.Value, error) {
	var raw []jsontext.Value
	if err := json.Unmarshal(commit, &raw, lenient()); err != nil {
		return nil, fmt.Errorf("not a commit: %w", err)
	}
	return raw, nil
}

func decodeEvent(raw jsontext.Value) (Event, error) {
	var w envelope
	if err := json.Unmarshal(raw, &w, lenient()); err != nil {
		return Event{}, fmt.Errorf("not an event: %w", err)
	}
	data := newPayload(w.Type)
	if data == nil {
		return Event{}, fmt.Errorf("event %s has type %q, which this version of belfry does not know: use a later one", w.ID, w.Type)
	}
	if err := json.Unmarshal(w.Data, data, lenient()); err != nil {
		return Event{}, fmt.Errorf("data of event %s: %w", w.ID, err)
	}
	index := -1
	if w.CauseIndex != nil {
		index = *w.CauseIndex
	}
	return Event{
		ID: w.ID, Source: w.Source, Subject: w.Subject, Time: w.Time, Entity: w.Entity,
		Revision: w.Revision, Prev: w.Prev, Partition: w.Partition,
		Actor: w.Actor, Cause: w.Cause, CauseIndex: index, Data: data,
	}, nil
}

// lenient is how stored JSON is read: what was accepted once is readable.
func lenient() json.Options {
	return json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}
