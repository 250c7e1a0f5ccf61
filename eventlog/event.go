package eventlog

import "strings"

// Type names what happened: belfry.<entity>.<past-tense verb>.
type Type string

// The types. A name, once released, is never changed or taken away.
const (
	TypeFunctionCreated Type = "belfry.function.created"
	TypeFunctionUpdated Type = "belfry.function.updated"
	TypeFunctionDeleted Type = "belfry.function.deleted"

	TypeUserCreated Type = "belfry.user.created"
	TypeUserUpdated Type = "belfry.user.updated"
	TypeUserDeleted Type = "belfry.user.deleted"

	TypeItemCreated        Type = "belfry.item.created"
	TypeItemUpdated        Type = "belfry.item.updated"
	TypeItemCanceled       Type = "belfry.item.canceled"
	TypeItemClaimed        Type = "belfry.item.claimed"
	TypeItemInterrupted    Type = "belfry.item.interrupted"
	TypeItemRetryScheduled Type = "belfry.item.retry_scheduled"
	TypeItemCompleted      Type = "belfry.item.completed"
	TypeItemFailed         Type = "belfry.item.failed"

	TypeNodeOpened      Type = "belfry.node.opened"
	TypePartitionsMoved Type = "belfry.partitions.moved"

	TypeAutomationCreated Type = "belfry.automation.created"
	TypeAutomationUpdated Type = "belfry.automation.updated"
	TypeAutomationDeleted Type = "belfry.automation.deleted"

	TypeTriggerCreated Type = "belfry.trigger.created"
	TypeTriggerUpdated Type = "belfry.trigger.updated"
	TypeTriggerPaused  Type = "belfry.trigger.paused"
	TypeTriggerResumed Type = "belfry.trigger.resumed"
	TypeTriggerDeleted Type = "belfry.trigger.deleted"
	TypeTriggerFired   Type = "belfry.trigger.fired"
	TypeTriggerSkipped Type = "belfry.trigger.skipped"

	TypeRunCreated        Type = "belfry.run.created"
	TypeRunClaimed        Type = "belfry.run.claimed"
	TypeRunInterrupted    Type = "belfry.run.interrupted"
	TypeRunRetryScheduled Type = "belfry.run.retry_scheduled"
	TypeRunCompleted      Type = "belfry.run.completed"
	TypeRunFailed         Type = "belfry.run.failed"
	TypeRunCanceled       Type = "belfry.run.canceled"

	TypeNodeMarked Type = "belfry.node.marked"
)

// System is the actor of what no user asked for: claims, results, openings. No
// user can have this id.
const System = "belfry"

// Event is one thing that happened to one entity.
//
// Invariant: within a stream the events of an entity, in the order of the log,
// have Revision 1, 2, 3 …, and Prev is the sequence of the latest earlier
// commit that holds one of them (0 for the first; events of one commit share
// it, and their order in the commit tells).
type Event struct {
	ID        string
	Source    string // /belfry/<node>
	Subject   string // the entity's id
	Time      Time
	Entity    Entity
	Revision  uint64
	Prev      uint64
	Partition int
	Actor     string
	// Cause is the id of the request. One that begins with GeneratedCause was
	// made by a node for a request without an id, and is not remembered, but for
	// one that begins with HopCause.
	Cause string
	// CauseIndex is the position in a request that holds many, else -1.
	CauseIndex int
	Data       Payload
}

// GeneratedCause is how causes begin that no caller chose.
const GeneratedCause = "~"

// HopCause is how those of them begin under which a node asked another one. They
// are remembered like a caller's id, since a hop that loses its answer is
// repeated. No caller can use one: it begins as a generated cause.
const HopCause = GeneratedCause + "~"

// Remembered says whether what a request did is remembered under its cause.
func Remembered(cause string) bool {
	return cause != "" && (!strings.HasPrefix(cause, GeneratedCause) || strings.HasPrefix(cause, HopCause))
}

// Type is the type of the event's payload.
func (e *Event) Type() Type { return e.Data.eventType() }

// Entity is the kind of entity that events of this type are about.
func (t Type) Entity() Entity {
	rest, _ := strings.CutPrefix(string(t), "belfry.")
	entity, _, _ := strings.Cut(rest, ".")
	return Entity(entity)
}

// Payload is the data of an event: one Go type for each Type. The interface is
// sealed; a switch over payloads can be exhaustive.
type Payload interface {
	eventType() Type
}

// newPayload makes an empty payload to decode into; nil for an unknown type.
func newPayload(t Type) Payload {
	switch t {
	case TypeFunctionCreated:
		return new(FunctionCreated)
	case TypeFunctionUpdated:
		return new(FunctionUpdated)
	case TypeFunctionDeleted:
		return new(FunctionDeleted)
	case TypeUserCreated:
		return new(UserCreated)
	case TypeUserUpdated:
		return new(UserUpdated)
	case TypeUserDeleted:
		return new(UserDeleted)
	case TypeItemCreated:
		return new(ItemCreated)
	case TypeItemUpdated:
		return new(ItemUpdated)
	case TypeItemCanceled:
		return new(ItemCanceled)
	case TypeItemClaimed:
		return new(ItemClaimed)
	case TypeItemInterrupted:
		return new(ItemInterrupted)
	case TypeItemRetryScheduled:
		return new(ItemRetryScheduled)
	case TypeItemCompleted:
		return new(ItemCompleted)
	case TypeItemFailed:
		return new(ItemFailed)
	case TypeNodeOpened:
		return new(NodeOpened)
	case TypePartitionsMoved:
		return new(PartitionsMoved)
	case TypeNodeMarked:
		return new(NodeMarked)
	default:
		return newScheduled(t)
	}
}

// newScheduled is newPayload for triggers, automations and their runs.
func newScheduled(t Type) Payload {
	switch t {
	case TypeAutomationCreated:
		return new(AutomationCreated)
	case TypeAutomationUpdated:
		return new(AutomationUpdated)
	case TypeAutomationDeleted:
		return new(AutomationDeleted)
	case TypeTriggerCreated:
		return new(TriggerCreated)
	case TypeTriggerUpdated:
		return new(TriggerUpdated)
	case TypeTriggerPaused:
		return new(TriggerPaused)
	case TypeTriggerResumed:
		return new(TriggerResumed)
	case TypeTriggerDeleted:
		return new(TriggerDeleted)
	case TypeTriggerFired:
		return new(TriggerFired)
	case TypeTriggerSkipped:
		return new(TriggerSkipped)
	case TypeRunCreated:
		return new(RunCreated)
	case TypeRunClaimed:
		return new(RunClaimed)
	case TypeRunInterrupted:
		return new(RunInterrupted)
	case TypeRunRetryScheduled:
		return new(RunRetryScheduled)
	case TypeRunCompleted:
		return new(RunCompleted)
	case TypeRunFailed:
		return new(RunFailed)
	case TypeRunCanceled:
		return new(RunCanceled)
	default:
		return nil
	}
}

// Schema is the level of the events that this release knows: each type is one,
// since who reads one that it does not know stops there. Fields are no level: a
// reader passes over those that it does not know.
func Schema() int { return len(Types()) }

// Types lists every type of event, in the order of their declaration.
func Types() []Type {
	return []Type{
		TypeFunctionCreated, TypeFunctionUpdated, TypeFunctionDeleted,
		TypeUserCreated, TypeUserUpdated, TypeUserDeleted,
		TypeItemCreated, TypeItemUpdated, TypeItemCanceled, TypeItemClaimed, TypeItemInterrupted,
		TypeItemRetryScheduled, TypeItemCompleted, TypeItemFailed,
		TypeNodeOpened, TypePartitionsMoved,
		TypeAutomationCreated, TypeAutomationUpdated, TypeAutomationDeleted,
		TypeTriggerCreated, TypeTriggerUpdated, TypeTriggerPaused, TypeTriggerResumed, TypeTriggerDeleted,
		TypeTriggerFired, TypeTriggerSkipped,
		TypeRunCreated, TypeRunClaimed, TypeRunInterrupted, TypeRunRetryScheduled,
		TypeRunCompleted, TypeRunFailed, TypeRunCanceled,
		TypeNodeMarked,
	}
}
