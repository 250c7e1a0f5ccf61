package check

import (
	"encoding/json"
	"fmt"
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
	// Violations are sentences, the first ones found first; most begin with the
	// property that broke.
	Violations []string
	// Skew is how far the clocks of those who wrote may be apart; 0 is one clock.
	Skew time.Duration
	// Late is how late a run may start besides what faults excuse; 0 is any.
	Late time.Duration

	next     uint64              // sequence
	entities map[string]last     // entity/id → its last event
	stories  map[string][]uint64 // entity/id → sequence of its event of revision 1, 2, …
	causes   map[string][]uint64 // request → sequences of what it did
	askers   map[string]*Event   // request → its first event
	sums     []uint64            // of each commit's body
	owners   ownership
	versions map[string]int // function → its newest version
	faults   []Fault
	report   report
	ids      map[string]bool // of events
	touched  []*Trigger      // in this commit
	days     map[string][]time.Time
}

type last struct {
	revision, seq, prev uint64
}

func (v *Verdict) violation(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	v.Violations = append(v.Violations, text)
	v.report.broke(text)
}

// New begins a verdict over a stream.
func New() *Verdict {
	return &Verdict{
		Items: map[string]*Item{}, Triggers: map[string]*Trigger{}, Runs: map[string]*Run{}, next: 1,
		entities: map[string]last{}, ids: map[string]bool{}, days: map[string][]time.Time{},
		stories: map[string][]uint64{}, causes: map[string][]uint64{}, askers: map[string]*Event{}, versions: map[string]int{},
	}
}

// Log judges a whole stream, given in order.
func Log(commits []Commit) *Verdict {
	v := New()
	for _, c := range commits {
		v.Commit(c)
	}
	return v.Finish()
}

// Finish judges what can be judged when the last commit was read. Later
// occurrences may still be decided in a commit to come.
func (v *Verdict) Finish() *Verdict {
	for _, t := range v.Triggers {
		v.settle(t, t.decided)
	}
	return v
}

// Commit judges the next message of the stream. Its body is not kept.
func (v *Verdict) Commit(c Commit) {
	v.report.read(c)
	if c.Seq != v.next {
		v.violation("L3: sequence %d follows %d", c.Seq, v.next-1)
	}
	v.next = c.Seq + 1
	v.Commits++
	v.sums = append(v.sums, sum(c.Body))
	var events []Event
	if err := json.Unmarshal(c.Body, &events); err != nil {
		v.violation("commit %d is not a JSON array of events: %v", c.Seq, err)
		return
	}
	if len(events) == 0 {
		v.violation("commit %d is empty", c.Seq)
	}
	lane := strings.TrimPrefix(c.Subject, "belfry.events.")
	for n := range events {
		e := &events[n]
		e.Seq = c.Seq
		v.Events++
		if v.ids[e.ID] {
			v.violation("event id %s stands twice", e.ID)
		}
		v.ids[e.ID] = true
		v.report.reads(e)
		v.chain(e)
		v.place(e)
		v.owned(e, lane)
		v.asked(e)
		switch e.Entity {
		case "function":
			v.function(e)
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
	v.stories[key] = append(v.stories[key], e.Seq)
}

// function follows which version of its code is the newest.
func (v *Verdict) function(e *Event) {
	if e.has("version") {
		v.versions[e.Subject] = e.number("version")
	}
}

// asked notes which requests did something; the system asks nobody.
func (v *Verdict) asked(e *Event) {
	if e.Actor == system {
		return
	}
	if seqs := v.causes[e.Cause]; len(seqs) == 0 || seqs[len(seqs)-1] != e.Seq {
		v.causes[e.Cause] = append(seqs, e.Seq)
	}
	if v.askers[e.Cause] == nil {
		first := *e
		first.Data = nil
		v.askers[e.Cause] = &first
	}
}

// system is the actor of what no user asked for.
const system = "belfry"

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
