package wire

import (
	"github.com/go-json-experiment/json/jsontext"
)

// Limits of what a run schedules.
const (
	// ScheduleMax is how many different items an attempt may ask for: code that
	// schedules in a loop without an end is stopped there.
	ScheduleMax = 1000
	// ScheduleBytesMax bounds an item without its data: no name and no time is as
	// long.
	ScheduleBytesMax = 8 << 10
)

// Item is what the code of a run wants scheduled. Its fields are as the code gave
// them; the owner of the run reads them.
type Item struct {
	// Name makes the item what it is: the same name in the same run is the same
	// item, in whichever attempt.
	Name     string         `json:"name"`
	Function jsontext.Value `json:"function"` // an id, a name, or {"id"}
	// At is a time, or After a duration from when the owner decides.
	At    string         `json:"at,omitzero"`
	After string         `json:"after,omitzero"`
	Data  jsontext.Value `json:"data,omitzero"` // an object
}

// Schedule asks the owner of a run for an item, from within an attempt of it. It
// is repeated until it is answered, or the attempt ends.
type Schedule struct {
	Stream      string `json:"stream"`
	Incarnation string `json:"incarnation"`
	Partition   int    `json:"partition"` // the run's; its items live there, too
	Run         string `json:"run"`
	Attempt     int    `json:"attempt"`
	Number      uint64 `json:"number"` // of the question, in the incarnation
	Item        Item   `json:"item"`
}

// Scheduled answers a Schedule. The item is stored, or Error says why it is not.
type Scheduled struct {
	Stream      string         `json:"stream"`
	Incarnation string         `json:"incarnation"`
	Partition   int            `json:"partition"`
	Epoch       uint64         `json:"epoch"`
	Number      uint64         `json:"number"`
	Answer      ScheduleAnswer `json:"answer"`
}

// ScheduleAnswer is what the code is told.
type ScheduleAnswer struct {
	ID string `json:"id,omitzero"`
	// RunDateTime is as it stands now, since the first one that asked was heard:
	// as the API writes times, to the millisecond.
	RunDateTime string   `json:"run_date_time,omitzero"`
	Error       *Refusal `json:"error,omitzero"`
}

// Refusal says what is wrong with an item, in the words of the API.
type Refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitzero"`
}
