package command

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

// ScheduleItem queues an item that the code of a run wants, as who the run runs
// as. Its id follows from the run and the item's name: what stands already, from
// the same attempt or an earlier one, is not looked at. It is refused unless the
// attempt is open, on that executor and incarnation.
type ScheduleItem struct {
	CreateItem
	Run         string
	Attempt     int
	Executor    string
	Incarnation string
}

// Scheduling is who wants an item from within a run.
type Scheduling struct {
	Run                   string
	Attempt               int
	Executor, Incarnation string
}

// Wanted is the item, as the code gave it.
type Wanted struct {
	Name, At, After string // one of At and After
	Function, Data  []byte // JSON
}

// NewScheduleItem makes the command. The item's id is found when it is decided.
func NewScheduleItem(now eventlog.Time, by Scheduling, in Wanted) (ScheduleItem, *api.Error) {
	c := ScheduleItem{Run: by.Run, Attempt: by.Attempt, Executor: by.Executor, Incarnation: by.Incarnation}
	c.By = By{Now: now, CauseIndex: -1}
	switch {
	case in.At == "" && in.After == "":
		return c, api.Errorf(api.InvalidTime, "at", "at and after are empty: give one of them")
	case in.At != "" && in.After != "":
		return c, api.Errorf(api.InvalidTime, "after", "at and after are both given: keep one")
	}
	after, refused := parseDuration("after", optional(in.After), 0, afterMax)
	if refused != nil {
		return c, refused
	}
	at := in.At
	if after != nil {
		at = now.Std().Add(time.Duration(*after)).Format(eventlog.TimeLayout)
	}
	input := api.ItemInput{Name: &in.Name, RunDateTime: &at, Data: in.Data}
	if err := json.Unmarshal(in.Function, &input.Function); err != nil || input.Function == nil {
		return c, api.Errorf(api.Invalid, "function", `function must be an id, a name, or {"id": "…"}`)
	}
	create, refused := NewCreateItem(c.By, input, "")
	c.CreateItem = create
	if refused != nil && refused.Field == "run_date_time" {
		refused.Field = "at"
	}
	return c, refused
}

// afterMax bounds how far ahead of now an item may be: a hundred years.
const afterMax = eventlog.Duration(100 * 365 * 24 * time.Hour)

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Partition implements Command. Where the run lives, its items do.
func (c ScheduleItem) Partition() int { return eventlog.PartitionOf(eventlog.EntityRun, c.Run) }

// Target implements Command.
func (c ScheduleItem) Target() string { return c.Run }

func (c ScheduleItem) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	i := own.Run(c.Run)
	if i == nil || !openOn(i, c.Attempt, c.Executor, c.Incarnation) {
		return nil, api.Errorf(api.IllegalTransition, "", "attempt %d of %s is not under way here", c.Attempt, show(c.Run))
	}
	c.ID = ScheduledID(c.Run, i.FirstClaimed, c.New.Name)
	if there := own.Item(c.ID); there != nil && there.Scheduled {
		return nil, nil // the first write wins
	} else if there != nil { // a caller has brought this very id
		return nil, api.Errorf(api.AlreadyExists, "name", "another has made %s, which the item would be: give it another name", show(c.ID))
	}
	c.User, c.New.ScheduledBy = i.Live.Runner(), c.Run
	return c.CreateItem.decide(own, hints)
}

// ScheduledID is the id of the item that a run's code schedules under a name. It
// is the same in each attempt, and lives where the run does. It sorts by when the
// run was first claimed, about when it was made.
func ScheduledID(run string, claimed eventlog.Time, name string) string {
	home := eventlog.PartitionOf(eventlog.EntityRun, run)
	for try := 0; ; try++ { // some 64, for 64 partitions
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", run, name, try))
		var id ulid.ULID
		_ = id.SetTime(uint64(max(0, claimed))) // the year is at most 9999
		_ = id.SetEntropy(sum[:10])             // it has ten bytes
		if text := id.String(); eventlog.HashPartition(text) == home {
			return eventlog.PrefixItem + text
		}
	}
}
