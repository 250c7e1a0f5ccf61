package command

import (
	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

// Command is something that somebody wants to happen.
type Command interface {
	// Partition is that of the entity concerned, whose owner decides.
	Partition() int
	// Target is the entity's id.
	Target() string
	// RequestID is the id of the request that brought it.
	RequestID() string
	decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error)
}

// By is who asks, when, and under which request.
type By struct {
	User       string
	Now        eventlog.Time
	Cause      string // the request's id
	CauseIndex int    // position in a request of many, else -1
}

// RequestID implements Command.
func (by By) RequestID() string { return by.Cause }

// BySystem is the author of what no user asked for.
func BySystem(now eventlog.Time) By {
	return By{User: eventlog.System, Now: now, CauseIndex: -1}
}

// Decide says which events follow from a command. Own is the state of its
// partition, exact; hints may lag. The error is an *api.Error, nil if none.
func Decide(own *projection.Partition, hints projection.Hints, c Command) ([]eventlog.Event, *api.Error) {
	return c.decide(own, hints)
}

// event makes an event but for what only its commit knows: id, source, prev.
func (by By) event(id string, revision uint64, data eventlog.Payload) eventlog.Event {
	e := eventlog.Event{
		Subject: id, Time: by.Now, Revision: revision,
		Actor: by.User, Cause: by.Cause, CauseIndex: by.CauseIndex, Data: data,
	}
	e.Entity = e.Type().Entity()
	e.Partition = eventlog.PartitionOf(e.Entity, id)
	return e
}

// caller finds the user who asks.
func (by By) caller(hints projection.Hints) (*projection.User, *api.Error) {
	u := hints.UserByRef(by.User, true)
	if u == nil {
		return nil, api.Errorf(api.UnknownUser, "", "there is no user %q: create it first, or ask as another", by.User)
	}
	return u, nil
}

// stale is the refusal of an update made on the ground of an old revision.
func stale(ifRevision *uint64, setAt, current uint64) *api.Error {
	if ifRevision == nil {
		return nil
	}
	if *ifRevision < setAt {
		return api.Errorf(api.Conflict, "if_revision", "it was changed in revision %d, after revision %d: read it again, then decide", setAt, *ifRevision)
	}
	if *ifRevision > current {
		return api.Errorf(api.Conflict, "if_revision", "there is no revision %d yet, the newest is %d: read it again, then decide", *ifRevision, current)
	}
	return nil
}

// changed is to where it differs from the present value, else nil.
func changed[T comparable](from T, to *T) *T {
	if to == nil || *to == from {
		return nil
	}
	return to
}
