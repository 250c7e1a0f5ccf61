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

// Kind is what a run came from.
type Kind uint8

// The kinds. An item and its run are one Item; a run of a trigger or of a call
// is an Item under its own id.
const (
	KindItem Kind = iota
	KindTrigger
	KindCall
)

// Item is what is run once: a scheduled item, or the run of a trigger or of a
// call, which differ in how they come to be and in nothing else. What is in
// Item itself is all that stays in memory once it has ended.
type Item struct {
	ID           string        `cbor:"1,keyasint"`
	Target       string        `cbor:"2,keyasint"` // id of a function or an automation
	Created      eventlog.Time `cbor:"3,keyasint"`
	RunDateTime  eventlog.Time `cbor:"4,keyasint"`
	FirstClaimed eventlog.Time `cbor:"5,keyasint,omitempty"`
	Seq          uint64        `cbor:"6,keyasint"` // of the commit with the last event; may be pending
	Revision     uint32        `cbor:"7,keyasint"`
	NameHash     uint32        `cbor:"8,keyasint"`
	Status       Status        `cbor:"9,keyasint"`
	Kind         Kind          `cbor:"11,keyasint,omitempty"`
	// Trigger and Fired are of a trigger's run: the trigger's id, and the
	// sequence of the commit with its TriggerFired, which may be pending.
	Trigger string `cbor:"12,keyasint,omitempty"`
	Fired   uint64 `cbor:"13,keyasint,omitempty"`
	// Live is nil once the item has ended. Invariant: Live != nil in a State
	// exactly while Status is not final.
	Live *LiveItem `cbor:"10,keyasint,omitempty"`
	// Scheduled says that the code of a run wanted it: see LiveItem.ScheduledBy.
	Scheduled bool `cbor:"14,keyasint,omitempty"`
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
	// Manual says that somebody asked a trigger for this run.
	Manual bool `cbor:"12,keyasint,omitempty"`
	// ScheduledBy is the run whose code wanted the item; "" if it was none.
	ScheduledBy string `cbor:"13,keyasint,omitempty"`

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

func (i *Item) due() eventlog.Time { return i.Live.Due }
func (i *Item) id() string         { return i.ID }
func (i *Item) slot() *int {
	if i.Live == nil { // it ended, and is in no index
		return new(int)
	}
	return &i.Live.place
}

// RunID is the id of the item's run; of a run it is its own.
func (i *Item) RunID() string {
	if i.Kind == KindItem {
		return eventlog.RunOfItem(i.ID)
	}
	return i.ID
}

// RunSince is when the item's run came to be: for an item that is its first
// claim, 0 before it.
func (i *Item) RunSince() eventlog.Time {
	if i.Kind == KindItem {
		return i.FirstClaimed
	}
	return i.Created
}

// settle puts the sequence of a stored commit in the place of its pending one.
func (i *Item) settle(pending, seq uint64) {
	if i == nil {
		return
	}
	if i.Seq == pending {
		i.Seq = seq
	}
	if i.Fired == pending {
		i.Fired = seq
	}
	if i.Live != nil && i.Live.Run != nil && i.Live.Run.ClaimSeq == pending {
		i.Live.Run.ClaimSeq = seq
	}
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

// ItemFromLog folds the events of one item or run, oldest first, into its whole
// record, also when it has ended. Seqs are their commits' sequences. Of a
// trigger's run the first is the TriggerFired that made it.
func ItemFromLog(events []eventlog.Event, seqs []uint64) Item {
	var i Item
	for n := range events {
		if d, ok := events[n].Data.(*eventlog.TriggerFired); ok {
			i.fired(&events[n], d, seqs[n])
		} else {
			i.apply(&events[n], seqs[n])
		}
	}
	return i
}

func (i *Item) apply(e *eventlog.Event, seq uint64) {
	if i.Live == nil {
		i.Live = new(LiveItem)
	}
	i.Seq, i.Revision = seq, uint32(e.Revision)
	i.Live.Modified, i.Live.ModifiedBy = e.Time, e.Actor
	switch d := eventlog.ForItem(e.Data).(type) {
	case *eventlog.ItemCreated:
		i.created(e, d)
	case *eventlog.RunCreated:
		i.called(e, d)
	case *eventlog.ItemUpdated:
		i.updated(e, d)
	case *eventlog.ItemClaimed:
		i.claimed(e, d, seq)
	// A clock that went back brings nothing forward.
	case *eventlog.ItemInterrupted:
		i.Status, i.Live.Due = Queued, max(e.Time, i.Live.Due)
		r := i.run()
		r.Open = false
		if d.Reason == eventlog.InterruptionLost {
			r.Losses++
		}
	case *eventlog.ItemRetryScheduled:
		i.Status, i.Live.Due = Queued, max(d.RetryAt, i.Live.Due)
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
	i.Target, i.RunDateTime = d.Function.ID+d.Automation.ID, d.RunDateTime
	i.NameHash, i.Scheduled = HashName(d.Name), d.ScheduledBy != ""
	l := i.Live
	l.Name, l.Data, l.CreatedBy = d.Name, d.Data, e.Actor
	l.RunningUser, l.Retry, l.Priority = d.RunningUser, d.Retry, int32(d.Priority)
	l.Due, l.SetRevision, l.ScheduledBy = d.RunDateTime, uint32(e.Revision), d.ScheduledBy
}

// fired makes the run of a trigger. It has no event of its own yet.
func (i *Item) fired(e *eventlog.Event, d *eventlog.TriggerFired, seq uint64) {
	*i = Item{
		ID: d.Run, Kind: KindTrigger, Trigger: e.Subject, Fired: seq,
		Target: d.Function.ID + d.Automation.ID, Created: e.Time, RunDateTime: d.ScheduledFor,
		NameHash: HashName(d.Name), Seq: seq,
		Live: &LiveItem{
			Name: d.Name, Data: d.Data, CreatedBy: e.Actor, ModifiedBy: e.Actor, Modified: e.Time,
			RunningUser: d.RunningUser, Retry: d.Retry, Due: max(d.ScheduledFor, d.Due), Manual: d.Manual,
		},
	}
}

// called makes the run of a call.
func (i *Item) called(e *eventlog.Event, d *eventlog.RunCreated) {
	i.ID, i.Kind, i.Created, i.Status = e.Subject, KindCall, e.Time, Queued
	i.Target, i.RunDateTime, i.NameHash = d.Function.ID+d.Automation.ID, d.ScheduledFor, HashName(d.Name)
	l := i.Live
	l.Name, l.Data, l.CreatedBy, l.RunningUser = d.Name, d.Data, e.Actor, d.RunningUser
	l.Due = d.ScheduledFor
}

func (i *Item) updated(e *eventlog.Event, d *eventlog.ItemUpdated) {
	l := i.Live
	set(&l.Name, d.Name)
	i.NameHash = HashName(l.Name)
	if d.RunDateTime != 0 {
		i.RunDateTime, l.Due = d.RunDateTime, d.RunDateTime
	}
	if d.Function != nil {
		i.Target = d.Function.ID
	}
	if d.Automation != nil {
		i.Target = d.Automation.ID
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
