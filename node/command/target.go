package command

import (
	"strings"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

// Runnable names what is to be run: exactly one of a function and an
// automation.
type Runnable struct {
	Function   *api.RefInput
	Automation *api.RefInput
}

func (r Runnable) given() bool { return r.Function != nil || r.Automation != nil }

func (r Runnable) notBoth() *api.Error {
	if r.Function != nil && r.Automation != nil {
		return api.Errorf(api.Invalid, "automation", "function and automation are both given: keep one")
	}
	return nil
}

func (r Runnable) one() *api.Error {
	if !r.given() {
		return api.Errorf(api.Invalid, "function", "one of function and automation is needed: name the function to run")
	}
	return r.notBoth()
}

// resolve finds what is named. One of the references is set.
func (r Runnable) resolve(hints projection.Hints) (function, automation eventlog.Ref, err *api.Error) {
	if r.Function != nil {
		function, err = functionRef(hints, "function", *r.Function)
		return function, automation, err
	}
	a := hints.AutomationByRef(r.Automation.IDOrName, r.Automation.IsID)
	if a == nil {
		err = noAutomation(r.Automation.IDOrName)
		err.Field = "automation"
		return function, automation, err
	}
	return function, eventlog.Ref{ID: a.ID, Name: a.Name}, nil
}

func functionRef(hints projection.Hints, field string, ref api.RefInput) (eventlog.Ref, *api.Error) {
	f := hints.FunctionByRef(ref.IDOrName, ref.IsID)
	if f == nil {
		err := noFunction(ref.IDOrName)
		err.Field = field
		return eventlog.Ref{}, err
	}
	return eventlog.Ref{ID: f.ID, Name: f.Name}, nil
}

// refsOf is a target as events name it.
func refsOf(target string) (function, automation eventlog.Ref) {
	if strings.HasPrefix(target, eventlog.PrefixAutomation) {
		return function, eventlog.Ref{ID: target}
	}
	return eventlog.Ref{ID: target}, automation
}

// inUse refuses to delete what something open refers to.
func inUse(hints projection.Hints, what, id string) *api.Error {
	open := 0
	for _, n := range hints.OpenItems(id) {
		open += n
	}
	if open > 0 {
		return api.Errorf(api.InUse, "", "%d open items or runs refer to %s: cancel them or let them end, then delete it", open, what)
	}
	if t := activeTrigger(hints, func(t *projection.Trigger) bool { return t.Target == id }); t != nil {
		return api.Errorf(api.InUse, "", "the active trigger %s (%s) refers to %s: pause or delete it, then delete this", show(t.Name), t.ID, what)
	}
	for _, a := range hints.Automations() {
		for _, step := range a.Steps {
			if step.Function.ID == id {
				return api.Errorf(api.InUse, "", "step %s of automation %s refers to %s: update that, then delete this", show(step.Name), show(a.Name), what)
			}
		}
	}
	return nil
}

// activeTrigger finds an active trigger that fits: the first by id, so that the
// same state gives the same words.
func activeTrigger(hints projection.Hints, fits func(*projection.Trigger) bool) (found *projection.Trigger) {
	hints.Triggers(func(t *projection.Trigger) bool {
		if t.Active && fits(t) && (found == nil || t.ID < found.ID) {
			found = t
		}
		return true
	})
	return found
}

// runsAsAnother is a user, other than this one, as whom a function is due to
// run; "" if there is none.
func runsAsAnother(hints projection.Hints, function, user string) (another string) {
	for runner := range hints.OpenItems(function) {
		if runner != user && (another == "" || runner < another) {
			another = runner
		}
	}
	hints.Triggers(func(t *projection.Trigger) bool {
		if runner := t.Runner(); t.Target == function && runner != user && (another == "" || runner < another) {
			another = runner
		}
		return true
	})
	return another
}
