package check

import (
	"encoding/json"
	"hash/fnv"
	"strings"
	"time"
)

// Commit is one message of the stream.
type Commit struct {
	Seq     uint64
	Subject string // belfry.events.<node>
	Body    []byte
}

// Event is a CloudEvent of the stream, as far as it is judged.
type Event struct {
	ID        string         `json:"id"`
	Source    string         `json:"source"`
	Type      string         `json:"type"`
	Subject   string         `json:"subject"`
	Time      time.Time      `json:"time"`
	Entity    string         `json:"entity"`
	Revision  uint64         `json:"revision"`
	Prev      uint64         `json:"prev"`
	Partition int            `json:"partition"`
	Actor     string         `json:"actor"`
	Cause     string         `json:"cause"`
	Data      map[string]any `json:"data"`

	Seq uint64 `json:"-"`
}

// Verdict is what was found.
type Verdict struct {
	Commits, Events int
	Items           map[string]*Item
	Triggers        map[string]*Trigger
	Runs            map[string]*Run // of triggers and calls
	Openings        int
	// Last is the time of the last event.
	Last time.Time
	// Violations are in the order in which they were found; Unsaid are those
	// beyond violationsMax.
	Violations []Violation
	Unsaid     int

	next     uint64          // the sequence to come
	seq      uint64          // of the commit being judged, 0 between them
	entities map[string]last // entity/id → its last event
	ids      map[string]bool // of events
	touched  []*Trigger      // in this commit
	days     map[string][]time.Time
}

type last struct {
	revision, seq, prev uint64
}

// New is a verdict on a log of which nothing was read yet.
func New() *Verdict {
	return &Verdict{
		Items: map[string]*Item{}, Triggers: map[string]*Trigger{}, Runs: map[string]*Run{}, next: 1,
		entities: map[string]last{}, ids: map[string]bool{}, days: map[string][]time.Time{},
	}
}

// Log judges a whole stream, given in order: New, Commit for each, Finish.
func Log(commits []Commit) *Verdict {
	v := New()
	for _, c := range commits {
		v.Commit(c)
	}
	v.Finish()
	return v
}

// Finish settles what the end of the log settles: occurrences up to the last
// one decided, since later ones may be decided in a commit to come.
func (v *Verdict) Finish() {
	for _, t := range v.Triggers {
		v.settle(t, t.decided)
	}
}

// Commit judges the next message of the stream. It keeps nothing of c.
func (v *Verdict) Commit(c Commit) {
	v.seq = c.Seq
	if c.Seq != v.next {
		v.violation("L3: sequence %d follows %d", c.Seq, v.next-1)
	}
	v.next = c.Seq + 1
	v.commit(c)
	v.seq = 0
}

func (v *Verdict) commit(c Commit) {
	v.Commits++
	var events []Event
	if err := json.Unmarshal(c.Body, &events); err != nil {
		v.violation("commit %d is not a JSON array of events: %v", c.Seq, err)
		return
	}
	if len(events) == 0 {
		v.violation("commit %d is empty", c.Seq)
	}
	for n := range events {
		e := &events[n]
		e.Seq = c.Seq
		v.Events++
		if v.ids[e.ID] {
			v.violation("event id %s stands twice", e.ID)
		}
		v.ids[e.ID] = true
		if e.Source != "/belfry/"+strings.TrimPrefix(c.Subject, "belfry.events.") {
			v.violation("L7: event %s of %s stands in lane %s", e.ID, e.Source, c.Subject)
		}
		v.chain(e)
		v.place(e)
		switch e.Entity {
		case "item":
			v.item(e)
		case "trigger":
			v.trigger(e)
		case "run":
			v.run(e)
		case "node":
			v.Openings++
		}
		if e.Time.After(v.Last) {
			v.Last = e.Time
		}
	}
	for _, t := range v.touched {
		v.committed(t, c.Seq)
	}
	v.touched = nil
}

// chain judges L6: prev and revision lead from event to event.
func (v *Verdict) chain(e *Event) {
	key := e.Entity + "/" + e.Subject
	before, known := v.entities[key]
	wantPrev := before.seq
	if known && before.seq == e.Seq { // the same commit: both name the one before it
		wantPrev = before.prev
	}
	if e.Revision != before.revision+1 {
		v.violation("L6: %s of %s at %d has revision %d after %d", e.Type, key, e.Seq, e.Revision, before.revision)
	}
	if e.Prev != wantPrev {
		v.violation("L6: %s of %s at %d names %d as the commit before it, not %d", e.Type, key, e.Seq, e.Prev, wantPrev)
	}
	v.entities[key] = last{e.Revision, e.Seq, e.Prev}
}

// partitions is the contract's number of them.
const partitions = 64

// Partition is where a trigger, an item or a run lives: FNV-1a over what follows
// the prefix of its id, its halves folded, by the number of partitions.
func Partition(id string) int {
	_, suffix, found := strings.Cut(id, "_")
	if !found {
		suffix = id
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(suffix)) // a hash never refuses
	sum := h.Sum64()
	return int((sum ^ sum>>32) % partitions)
}

// place judges L7: an event says the partition of its entity.
func (v *Verdict) place(e *Event) {
	want := 0 // of definitions, whose names are unique
	switch e.Entity {
	case "item", "trigger", "run":
		want = Partition(e.Subject)
	case "node", "partitions":
		want = -1
	}
	if e.Partition != want {
		v.violation("L7: %s of %s at %d names partition %d, it lives in %d", e.Type, e.Subject, e.Seq, e.Partition, want)
	}
}

func (e *Event) verb() string { return strings.TrimPrefix(e.Type, "belfry."+e.Entity+".") }

func (e *Event) text(field string) string {
	s, _ := e.Data[field].(string)
	return s
}

func (e *Event) number(field string) int {
	n, _ := e.Data[field].(float64)
	return int(n)
}

func (e *Event) flag(field string) bool {
	b, _ := e.Data[field].(bool)
	return b
}

func (e *Event) has(field string) bool {
	_, found := e.Data[field]
	return found
}

// length is a duration in Go's words.
func (e *Event) length(field string) time.Duration {
	d, _ := time.ParseDuration(e.text(field))
	return d
}

// id is the id of a reference.
func (e *Event) id(field string) string {
	ref, _ := e.Data[field].(map[string]any)
	s, _ := ref["id"].(string)
	return s
}

func (e *Event) moment(field string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, e.text(field))
	return t
}
