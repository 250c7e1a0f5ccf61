package command

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/record"
	"github.com/belfryhq/belfry/projection"
)

// CreateItem queues one run at one time. References are resolved when it is
// decided.
type CreateItem struct {
	By
	ID          string
	Runnable    Runnable
	RunningUser *api.RefInput
	New         eventlog.ItemCreated // references are filled in by Decide
}

// UpdateItem changes an item that was not yet claimed.
type UpdateItem struct {
	By
	ID          string
	IfRevision  *uint64
	Runnable    Runnable
	RunningUser *api.RefInput
	To          eventlog.ItemUpdated
}

// CancelItem ends an item, or the run of a trigger or a call, that waits: for
// its time, for a slot, or for a retry.
type CancelItem struct {
	By
	ID         string
	IfRevision *uint64
	Reason     string
}

func itemPartition(id string) int { return eventlog.PartitionOf(eventlog.EntityItem, id) }

// Partition implements Command.
func (c CreateItem) Partition() int { return itemPartition(c.ID) }

// Partition implements Command.
func (c UpdateItem) Partition() int { return itemPartition(c.ID) }

// Partition implements Command.
func (c CancelItem) Partition() int { return itemPartition(c.ID) }

// Target implements Command.
func (c CreateItem) Target() string { return c.ID }

// Target implements Command.
func (c UpdateItem) Target() string { return c.ID }

// Target implements Command.
func (c CancelItem) Target() string { return c.ID }

// NewCreateItem makes the command of a request; id is used if it brings none.
func NewCreateItem(by By, in api.ItemInput, id string) (CreateItem, *api.Error) {
	c := CreateItem{By: by, ID: id, RunningUser: in.RunningUser, Runnable: Runnable{in.Function, in.Automation}}
	if in.IfRevision != nil {
		return c, api.Errorf(api.Invalid, "if_revision", "if_revision has no meaning in a create: leave it out")
	}
	if in.ID != "" {
		if err := checkID(eventlog.PrefixItem, in.ID); err != nil {
			return c, err
		}
		c.ID = in.ID
	}
	if in.Status != nil && *in.Status != api.Queued {
		return c, api.Errorf(api.Invalid, "status", "a new item is Queued, not %s: leave status out", show(string(*in.Status)))
	}
	if err := checkName(in.Name); err != nil {
		return c, err
	}
	if in.RunDateTime == nil {
		return c, api.Errorf(api.Invalid, "run_date_time", "run_date_time is missing: write it like 2026-11-24T12:00:00Z")
	}
	if err := c.Runnable.one(); err != nil {
		return c, err
	}
	to, err := itemFields(in)
	if err != nil {
		return c, err
	}
	c.New = eventlog.ItemCreated{
		Name: *in.Name, RunDateTime: to.RunDateTime, Data: to.Data,
		Priority: or(to.Priority, 0), Retry: to.Retry,
	}
	return c, nil
}

// NewUpdateItem makes the command of a request: a CancelItem if its status
// says so.
func NewUpdateItem(by By, in api.ItemInput) (Command, *api.Error) {
	if strings.HasPrefix(in.ID, eventlog.PrefixRun) {
		return nil, noItem(in.ID)
	}
	if in.Status != nil {
		switch *in.Status {
		case api.Canceled:
			return CancelItem{By: by, ID: in.ID, IfRevision: in.IfRevision}, onlyStatus(in)
		case api.Queued, api.Processing, api.Completed, api.Failed:
			return nil, api.Errorf(api.IllegalTransition, "status", "only Belfry sets status to %s: a caller may set it to Canceled", *in.Status)
		}
		return nil, api.Errorf(api.Invalid, "status", "%s is not a status: a caller may set it to Canceled", show(string(*in.Status)))
	}
	if in.Name != nil {
		if err := checkName(in.Name); err != nil {
			return nil, err
		}
	}
	runnable := Runnable{in.Function, in.Automation}
	if err := runnable.notBoth(); err != nil {
		return nil, err
	}
	to, err := itemFields(in)
	to.Name = in.Name
	return UpdateItem{
		By: by, ID: in.ID, IfRevision: in.IfRevision,
		Runnable: runnable, RunningUser: in.RunningUser, To: to,
	}, err
}

// onlyStatus refuses other changes beside a cancel: it would be unclear
// whether they were made.
func onlyStatus(in api.ItemInput) *api.Error {
	if in.Name != nil || in.RunDateTime != nil || in.Function != nil || in.Automation != nil ||
		in.Data != nil || in.RunningUser != nil || in.Priority != nil || in.Retry != nil {
		return api.Errorf(api.Invalid, "status", "a cancel changes nothing else: leave the other fields out")
	}
	return nil
}

// itemFields reads the fields that stand for themselves.
func itemFields(in api.ItemInput) (to eventlog.ItemUpdated, err *api.Error) {
	if in.RunDateTime != nil {
		if to.RunDateTime, err = ParseTime("run_date_time", *in.RunDateTime); err != nil {
			return to, err
		}
	}
	if to.Data, err = parseData(in.Data); err != nil {
		return to, err
	}
	if in.Priority != nil && (*in.Priority < -PriorityMax || *in.Priority > PriorityMax) {
		return to, api.Errorf(api.Invalid, "priority", "%d is out of range: use %d to %d", *in.Priority, -PriorityMax, PriorityMax)
	}
	to.Priority = in.Priority
	to.Retry, err = parseRetry(in.Retry)
	return to, err
}

func (c CreateItem) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	user, err := c.caller(hints)
	if err != nil {
		return nil, err
	}
	if own.Item(c.ID) != nil {
		return nil, freeID(own, c.ID, true)
	}
	if own.Item(eventlog.RunOfItem(c.ID)) != nil {
		return nil, api.Errorf(api.AlreadyExists, "id", "the run that %s would have exists: choose another id", show(c.ID))
	}
	created := c.New
	if created.Function, created.Automation, err = c.Runnable.resolve(hints); err != nil {
		return nil, err
	}
	if c.RunningUser != nil {
		if created.RunningUser, err = runningUser(hints, user, *c.RunningUser); err != nil {
			return nil, err
		}
	}
	return []eventlog.Event{c.event(c.ID, 1, &created)}, nil
}

// runningUser finds who to run as. Only a superuser names somebody else.
func runningUser(hints projection.Hints, caller *projection.User, ref api.RefInput) (string, *api.Error) {
	u := hints.UserByRef(ref.IDOrName, ref.IsID)
	if u == nil {
		err := noUser(ref.IDOrName)
		err.Field = "running_user"
		return "", err
	}
	if u.ID != caller.ID && !caller.Superuser() {
		return "", api.Errorf(api.Forbidden, "running_user", "only a superuser may let it run as %s: leave running_user out to run as yourself", u.ID)
	}
	return u.ID, nil
}

func (c UpdateItem) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	user, err := c.caller(hints)
	if err != nil {
		return nil, err
	}
	i := own.Item(c.ID)
	if i == nil || i.Kind != projection.KindItem {
		return nil, noItem(c.ID)
	}
	if i.Live == nil {
		return nil, api.Errorf(api.IllegalTransition, "", "the item is %s, and that is final: create a new one", record.Status(i.Status))
	}
	if err := stale(c.IfRevision, uint64(i.Live.SetRevision), uint64(i.Revision)); err != nil {
		return nil, err
	}
	if i.Live.Runner() != user.ID && !user.Superuser() {
		return nil, api.Errorf(api.Forbidden, "", "it runs as %s: only a superuser may change it", i.Live.Runner())
	}
	to, err := c.changes(i, user, hints)
	if err != nil {
		return nil, err
	}
	if to == nil {
		return nil, nil
	}
	if i.FirstClaimed != 0 {
		return nil, api.Errorf(api.IllegalTransition, "", "the item's run has begun: cancel it, and create a new one")
	}
	return []eventlog.Event{c.event(i.ID, uint64(i.Revision)+1, to)}, nil
}

// changes is what the update would change; nil if nothing.
func (c UpdateItem) changes(i *projection.Item, user *projection.User, hints projection.Hints) (*eventlog.ItemUpdated, *api.Error) {
	l, to, any := i.Live, eventlog.ItemUpdated{}, false
	if to.Name = changed(l.Name, c.To.Name); to.Name != nil {
		any = true
	}
	if c.To.RunDateTime != 0 && c.To.RunDateTime != i.RunDateTime {
		to.RunDateTime, any = c.To.RunDateTime, true
	}
	if c.To.Data != nil && !bytes.Equal(c.To.Data, dataOrEmpty(l.Data)) {
		to.Data, any = c.To.Data, true
	}
	if to.Priority = changed(int(l.Priority), c.To.Priority); to.Priority != nil {
		any = true
	}
	if c.To.Retry != nil && (l.Retry == nil || *l.Retry != *c.To.Retry) {
		to.Retry, any = c.To.Retry, true
	}
	if c.Runnable.given() {
		function, automation, err := c.Runnable.resolve(hints)
		if err != nil {
			return nil, err
		}
		if id := function.ID + automation.ID; id != i.Target {
			any = true
			if function.ID != "" {
				to.Function = &function
			} else {
				to.Automation = &automation
			}
		}
	}
	if c.RunningUser != nil {
		runner, err := runningUser(hints, user, *c.RunningUser)
		if err != nil {
			return nil, err
		}
		if runner != l.Runner() {
			to.RunningUser, any = &runner, true
		}
	}
	if !any {
		return nil, nil
	}
	return &to, nil
}

func dataOrEmpty(data jsontext.Value) jsontext.Value {
	if data == nil {
		return jsontext.Value("{}")
	}
	return data
}

// NewCancelItem makes the command of a request.
func NewCancelItem(by By, in api.Cancel) (CancelItem, *api.Error) {
	if strings.HasPrefix(in.ID, eventlog.PrefixRun) {
		return CancelItem{}, noItem(in.ID)
	}
	return CancelItem{By: by, ID: in.ID, Reason: in.Reason}, checkReason(in.Reason)
}

func (c CancelItem) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	if _, err := c.caller(hints); err != nil {
		return nil, err
	}
	i := own.Item(c.ID)
	if i == nil {
		return nil, noItem(c.ID)
	}
	if i.Live != nil {
		if err := stale(c.IfRevision, uint64(i.Live.SetRevision), uint64(i.Revision)); err != nil {
			return nil, err
		}
	}
	switch i.Status {
	case projection.Canceled:
		return nil, nil
	case projection.Queued:
		canceled := &eventlog.ItemCanceled{Reason: c.Reason}
		if i.Kind != projection.KindItem {
			canceled.RunHead = headOf(i)
		}
		return []eventlog.Event{c.itemEvent(i, canceled)}, nil
	case projection.Processing:
		return nil, api.Errorf(api.IllegalTransition, "", "the item is Processing: run.cancel stops its run, %s", i.RunID())
	case projection.Completed, projection.Failed:
	}
	return nil, api.Errorf(api.IllegalTransition, "", "the item is %s, and that is final", record.Status(i.Status))
}

func noItem(id string) *api.Error {
	return api.Errorf(api.NotFound, "", "there is no item %s: see item.list", show(id))
}
