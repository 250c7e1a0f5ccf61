package check

import (
	"strings"
	"time"
)

// Outcome is what a client was told.
type Outcome int

// The outcomes.
const (
	Acknowledged Outcome = iota
	Refused              // for good: nothing was stored
	Unavailable          // for now: nothing was stored
	Unknown              // it may have been stored, or may yet be
)

func (o Outcome) String() string {
	return [...]string{"acknowledged", "refused", "unavailable", "unknown"}[o]
}

// Op is one thing that a client asked, once. What it asked again under the same
// request id is another Op.
type Op struct {
	Client, Node string
	Verb         string // trigger.pause
	Request      string // Belfry-Request-Id, "" if none was sent
	Cause        string // under which its events stand, where it is known; "": Request
	// Invoked and Returned are of the client's clock, one for all clients.
	Invoked, Returned time.Time
	Outcome           Outcome
	// ID is the entity, of the kind Entity; "" if it is not known. Revision,
	// Seq and Status are of the record that was answered; 0 and "" if none was.
	ID, Entity    string
	Revision, Seq uint64
	// Read: it changed nothing, since it asked for nothing to change, or since
	// all was so already. Strong: it asked for a strong read.
	Read, Strong bool
	Status       string
}

func (o *Op) String() string {
	s := o.Verb + " of " + o.ID + " by " + o.Client
	if o.Node != "" {
		s += " at " + o.Node
	}
	if o.Request != "" {
		s += " (request " + o.Request + ")"
	}
	return s
}

// cause is the id under which what it did stands; "" if that is not known.
func (o *Op) cause() string {
	if o.Cause != "" {
		return o.Cause
	}
	return o.Request
}

func (o *Op) told() bool { return o.Outcome == Acknowledged }
func (o *Op) action() string {
	_, action, _ := strings.Cut(o.Verb, ".")
	return action
}

// chainOf is the entity's chain; the run of an item is its item's.
func (v *Verdict) chainOf(o *Op) *chain {
	if c := v.chains[key{o.Entity, o.ID}]; c != nil {
		return c
	}
	if o.Entity == "run" {
		return v.chains[key{"item", "sci_" + strings.TrimPrefix(o.ID, "run_")}]
	}
	return nil
}

// placeOf is where an op's answer says that it stands.
func (v *Verdict) placeOf(o *Op) place {
	at := place{seq: min(o.Seq, v.end()), subject: o.ID, partition: -1}
	if c := v.chainOf(o); c != nil {
		at.partition = c.partition
	}
	return at
}
