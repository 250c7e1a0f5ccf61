package projection

import (
	"hash/fnv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
)

// Status of an item and of its run.
type Status uint8

// The statuses. The last three are final.
const (
	Queued Status = iota
	Processing
	Completed
	Failed
	Canceled
	statuses = iota
)

// Final says that the status never changes again.
func (s Status) Final() bool { return s >= Completed }

// Item is a scheduled item. What is in Item itself is all that stays in memory
// once it has ended.
type Item struct {
	ID           string        `cbor:"1,keyasint"`
	Function     string        `cbor:"2,keyasint"` // id
	Created      eventlog.Time `cbor:"3,keyasint"`
	RunDateTime  eventlog.Time `cbor:"4,keyasint"`
	FirstClaimed eventlog.Time `cbor:"5,keyasint,omitempty"`
	Seq          uint64        `cbor:"6,keyasint"` // of the commit with the last event; may be pending
	Revision     uint32        `cbor:"7,keyasint"`
	NameHash     uint32        `cbor:"8,keyasint"`
	Status       Status        `cbor:"9,keyasint"`
	// Live is nil once the item has ended. Invariant: Live != nil in a State
	// exactly while Status is not final.
	Live *LiveItem `cbor:"10,keyasint,omitempty"`
}

// LiveItem is what an item needs while it is open.
type LiveItem struct {
	Name        string          `cbor:"1,keyasint"`
	Data        jsontext.Value  `cbor:"2,keyasint,omitempty"`
	CreatedBy   string          `cbor:"3,keyasint"`
	ModifiedBy  string          `cbor:"4,keyasint"`
	Modified    eventlog.Time   `cbor:"5,keyasint"`
	RunningUser string          `cbor:"6,keyasint,omitempty"` // as set; see Runner
	Retry       *eventlog.Retry `cbor:"7,keyasint,omitempty"`
	Priority    int32           `cbor:"8,keyasint,omitempty"`
	// SetRevision is that of the last event that changed a field callers set.
	SetRevision uint32 `cbor:"9,keyasint"`
	// Due is when the next attempt may begin.
	Due eventlog.Time `cbor:"10,keyasint"`
	Run *Run          `cbor:"11,keyasint,omitempty"` // nil before the first claim

	place int // in the due index, plus one; 0 when not in it
}

// Run is an item's execution, with its attempts.
type Run struct {
	Attempt     int    `cbor:"1,keyasint"`
	Failures    int    `cbor:"2,keyasint,omitempty"` // attempts whose code failed
	Losses      int    `cbor:"3,keyasint,omitempty"` // attempts whose executor was lost
	Executor    string `cbor:"4,keyasint,omitempty"`
	Incarnation string `cbor:"5,keyasint,omitempty"` // the executor's
	Pool        string `cbor:"6,keyasint,omitempty"`
	ClaimSeq    uint64 `cbor:"7,keyasint,omitempty"` // of the last claim; may be pending
	// Open says that the last attempt has not ended.
	Open     bool          `cbor:"8,keyasint,omitempty"`
	Claimed  eventlog.Time `cbor:"9,keyasint,omitempty"`
	RetryAt  eventlog.Time `cbor:"10,keyasint,omitempty"`
	Lateness *float64      `cbor:"11,keyasint,omitempty"` // milliseconds, of the first attempt that started

	// Of the last attempt that ended.
	Ended  eventlog.Ended  `cbor:"12,keyasint,omitempty"`
	Error  *eventlog.Error `cbor:"13,keyasint,omitempty"`
	Result jsontext.Value  `cbor:"14,keyasint,omitempty"`
}

// Runner is the user that the item runs as.
func (l *LiveItem) Runner() string {
	if l.RunningUser != "" {
		return l.RunningUser
	}
	return l.CreatedBy
}

// RetryOr is the item's retry, or else its function's.
func (l *LiveItem) RetryOr(of eventlog.Retry) eventlog.Retry {
	if l.Retry != nil {
		return *l.Retry
	}
	return of
}

// Copy is a copy that later events do not change.
func (i *Item) Copy() Item {
	c := *i
	if i.Live != nil {
		live := *i.Live
		if live.Run != nil {
			run := *live.Run
			live.Run = &run
		}
		c.Live = &live
	}
	return c
}

// HashName is how Item.NameHash is made.
func HashName(name string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash never refuses
	return h.Sum32()
}

// ItemFromLog folds the events of one item, oldest first, into its whole
// record, also when it has ended. Seqs are their commits' sequences.
func ItemFromLog(events []eventlog.Event, seqs []uint64) Item {
	var i Item
	for n := range events {
		i.apply(&events[n], seqs[n])
	}
	return i
}

func (i *Item) apply(e *eventlog.Event, seq uint64) {
	if i.Live == nil {
		i.Live = new(LiveItem)
	}
	i.Seq, i.Revision = seq, uint32(e.Revision)
	i.Live.Modified, i.Live.ModifiedBy = e.Time, e.Actor
	switch d := e.Data.(type) {
	case *eventlog.ItemCreated:
		i.created(e, d)
	case *eventlog.ItemUpdated:
		i.updated(e, d)
	case *eventlog.ItemClaimed:
		i.claimed(e, d, seq)
	case *eventlog.ItemInterrupted:
		i.Status, i.Live.Due = Queued, e.Time
		r := i.run()
		r.Open = false
		if d.Reason == eventlog.InterruptionLost {
			r.Losses++
		}
	case *eventlog.ItemRetryScheduled:
		i.Status, i.Live.Due = Queued, d.RetryAt
		i.ended(d.Ended, &d.Error)
		r := i.run()
		r.RetryAt = d.RetryAt
		r.Failures++
	case *eventlog.ItemCompleted:
		i.Status = Completed
		i.ended(d.Ended, nil)
		i.run().Result = d.Result
	case *eventlog.ItemFailed:
		i.Status = Failed
		i.ended(d.Ended, &d.Error)
	case *eventlog.ItemCanceled:
		i.Status = Canceled
		if d.Run != "" {
			i.ended(d.Ended, nil)
		}
	}
}

func (i *Item) created(e *eventlog.Event, d *eventlog.ItemCreated) {
	i.ID, i.Created, i.Status = e.Subject, e.Time, Queued
	i.Function, i.RunDateTime = d.Function.ID, d.RunDateTime
	i.NameHash = HashName(d.Name)
	l := i.Live
	l.Name, l.Data, l.CreatedBy = d.Name, d.Data, e.Actor
	l.RunningUser, l.Retry, l.Priority = d.RunningUser, d.Retry, int32(d.Priority)
	l.Due, l.SetRevision = d.RunDateTime, uint32(e.Revision)
}

func (i *Item) updated(e *eventlog.Event, d *eventlog.ItemUpdated) {
	l := i.Live
	set(&l.Name, d.Name)
	i.NameHash = HashName(l.Name)
	if d.RunDateTime != 0 {
		i.RunDateTime, l.Due = d.RunDateTime, d.RunDateTime
	}
	if d.Function != nil {
		i.Function = d.Function.ID
	}
	if d.Data != nil {
		l.Data = d.Data
	}
	set(&l.RunningUser, d.RunningUser)
	if d.Priority != nil {
		l.Priority = int32(*d.Priority)
	}
	if d.Retry != nil {
		l.Retry = d.Retry
	}
	l.SetRevision = uint32(e.Revision)
}

func (i *Item) claimed(e *eventlog.Event, d *eventlog.ItemClaimed, seq uint64) {
	i.Status = Processing
	if i.FirstClaimed == 0 {
		i.FirstClaimed = e.Time
	}
	r := i.run()
	r.Attempt, r.Open, r.Claimed, r.ClaimSeq = d.Attempt, true, e.Time, seq
	r.Executor, r.Incarnation, r.Pool = d.Executor, d.Incarnation, d.Pool
	r.RetryAt = 0
}

func (i *Item) ended(ended eventlog.Ended, failure *eventlog.Error) {
	r := i.run()
	r.Open, r.Ended, r.Error, r.RetryAt = false, ended, failure, 0
	if r.Lateness == nil && ended.Started != 0 {
		r.Lateness = &ended.LatenessMS
	}
}

// run is the item's run. It is made by the first claim; by any other event only
// in a log that lost one (the auditor tells; the fold goes on).
func (i *Item) run() *Run {
	if i.Live.Run == nil {
		i.Live.Run = new(Run)
	}
	return i.Live.Run
}
