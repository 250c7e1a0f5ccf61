package check

import (
	"encoding/json"
	"fmt"
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
	Openings        int
	// Violations are sentences, the first ones found first.
	Violations []string

	entities map[string]last // entity/id → its last event
	ids      map[string]bool // of events
}

type last struct {
	revision, seq, prev uint64
}

// Item is an item's life.
type Item struct {
	ID        string
	Due       time.Time
	Status    string
	Claims    []Claim
	Ends      int // terminal events
	Canceled  time.Time
	LastEvent string
	open      bool
}

// Claim is an attempt.
type Claim struct {
	Run, Executor, Incarnation string
	Attempt                    int
	At                         time.Time
	Seq                        uint64
}

func (v *Verdict) violation(format string, args ...any) {
	v.Violations = append(v.Violations, fmt.Sprintf(format, args...))
}

// Log judges a whole stream, given in order.
func Log(commits []Commit) *Verdict {
	v := &Verdict{Items: map[string]*Item{}, entities: map[string]last{}, ids: map[string]bool{}}
	next := uint64(1)
	for _, c := range commits {
		if c.Seq != next {
			v.violation("L3: sequence %d follows %d", c.Seq, next-1)
		}
		next = c.Seq + 1
		v.commit(c)
	}
	return v
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
		switch e.Entity {
		case "item":
			v.item(e)
		case "node":
			v.Openings++
		}
	}
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

func (e *Event) text(field string) string {
	s, _ := e.Data[field].(string)
	return s
}

func (e *Event) number(field string) int {
	n, _ := e.Data[field].(float64)
	return int(n)
}

func (e *Event) moment(field string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, e.text(field))
	return t
}
