package command

import (
	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

// Call makes a run of a function or an automation, due at once, as who calls.
type Call struct {
	By
	Run      string
	Runnable Runnable
	New      eventlog.RunCreated // but for what Decide fills in
}

// Partition implements Command.
func (c Call) Partition() int { return eventlog.PartitionOf(eventlog.EntityRun, c.Run) }

// Target implements Command.
func (c Call) Target() string { return c.Run }

// NewCall makes the command of a request; of says what its id names.
func NewCall(by By, in api.Call, of eventlog.Entity, run string) (Call, *api.Error) {
	c := Call{By: by, Run: run}
	if in.ID == "" {
		return c, api.Errorf(api.Invalid, "id", "id is missing: give the id or the name of what to run")
	}
	ref := &api.RefInput{IDOrName: in.ID}
	if of == eventlog.EntityAutomation {
		c.Runnable.Automation = ref
	} else {
		c.Runnable.Function = ref
	}
	var err *api.Error
	c.New.Data, err = parseData(in.Data)
	return c, err
}

func (c Call) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	user, err := c.caller(hints)
	if err != nil {
		return nil, err
	}
	created := c.New
	if created.Function, created.Automation, err = c.Runnable.resolve(hints); err != nil {
		err.Field = "id"
		return nil, err
	}
	if own.Item(c.Run) != nil || own.Item(eventlog.ItemOfRun(c.Run)) != nil {
		return nil, api.Errorf(api.Unavailable, "", "the id that was drawn is taken: try again; nothing was stored")
	}
	created.Run, created.ScheduledFor, created.RunningUser = c.Run, c.Now, user.ID
	created.Name = created.Function.Name + created.Automation.Name
	return []eventlog.Event{c.event(c.Run, 1, &created)}, nil
}
