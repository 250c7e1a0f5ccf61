package command

import (
	"fmt"
	"reflect"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

// WhenLengthMax bounds the condition of a step, in characters.
const WhenLengthMax = 1_000

// CreateAutomation stores steps under a name.
type CreateAutomation struct {
	By
	ID  string
	New eventlog.AutomationCreated // functions are as the caller wrote them
}

// UpdateAutomation changes what is not nil.
type UpdateAutomation struct {
	By
	ID         string
	IfRevision *uint64
	To         eventlog.AutomationUpdated
}

// DeleteAutomation takes an automation away that nothing open refers to.
type DeleteAutomation struct {
	By
	ID         string
	IfRevision *uint64
}

// Partition implements Command.
func (CreateAutomation) Partition() int { return eventlog.DefinitionPartition }

// Partition implements Command.
func (UpdateAutomation) Partition() int { return eventlog.DefinitionPartition }

// Partition implements Command.
func (DeleteAutomation) Partition() int { return eventlog.DefinitionPartition }

// Target implements Command.
func (c CreateAutomation) Target() string { return c.ID }

// Target implements Command.
func (c UpdateAutomation) Target() string { return c.ID }

// Target implements Command.
func (c DeleteAutomation) Target() string { return c.ID }

// NewCreateAutomation makes the command of a request; id is used if it brings none.
func NewCreateAutomation(by By, in api.AutomationInput, id string) (CreateAutomation, *api.Error) {
	c := CreateAutomation{By: by, ID: id}
	if in.IfRevision != nil {
		return c, api.Errorf(api.Invalid, "if_revision", "if_revision has no meaning in a create: leave it out")
	}
	if in.ID != "" {
		if err := checkID(eventlog.PrefixAutomation, in.ID); err != nil {
			return c, err
		}
		c.ID = in.ID
	}
	if err := checkName(in.Name); err != nil {
		return c, err
	}
	if in.Steps == nil {
		return c, api.Errorf(api.Invalid, "steps", "steps is missing: give a list such as [{\"name\": \"first\", \"function\": \"hello\"}]")
	}
	to, err := automationFields(in)
	if err != nil {
		return c, err
	}
	c.New = eventlog.AutomationCreated{Name: *in.Name, Description: or(to.Description, ""), Steps: to.Steps}
	return c, nil
}

// NewUpdateAutomation makes the command of a request.
func NewUpdateAutomation(by By, in api.AutomationInput) (UpdateAutomation, *api.Error) {
	to, err := automationFields(in)
	return UpdateAutomation{By: by, ID: in.ID, IfRevision: in.IfRevision, To: to}, err
}

func automationFields(in api.AutomationInput) (to eventlog.AutomationUpdated, err *api.Error) {
	if in.Name != nil {
		if err = checkName(in.Name); err != nil {
			return to, err
		}
	}
	if in.Description != nil && len([]rune(*in.Description)) > api.DescriptionLengthMax {
		return to, api.Errorf(api.Invalid, "description", "description has more than %d characters: shorten it", api.DescriptionLengthMax)
	}
	to.Name, to.Description = in.Name, in.Description
	if in.Steps == nil {
		return to, nil
	}
	if n := len(in.Steps); n < 1 || n > api.StepsMax {
		return to, api.Errorf(api.Invalid, "steps", "there are %d steps: give 1 to %d", n, api.StepsMax)
	}
	names := map[string]bool{}
	for n, step := range in.Steps {
		read, err := readStep(step)
		if err == nil && names[read.Name] {
			err = api.Errorf(api.Invalid, "name", "a step before is named %s too: give each a name of its own", show(read.Name))
		}
		if err != nil {
			err.Field = fmt.Sprintf("steps.%d.%s", n, err.Field)
			return to, err
		}
		names[read.Name] = true
		to.Steps = append(to.Steps, read)
	}
	return to, nil
}

// readStep reads a step; its function is not resolved yet.
func readStep(in api.StepInput) (step eventlog.Step, err *api.Error) {
	if err = checkName(in.Name); err != nil {
		return step, err
	}
	if in.Function == nil {
		return step, api.Errorf(api.Invalid, "function", "function is missing: name the function that the step runs")
	}
	step.Name, step.ContinueOnError = *in.Name, or(in.ContinueOnError, false)
	step.Function = eventlog.Ref{ID: in.Function.IDOrName}
	if !in.Function.IsID {
		step.Function = eventlog.Ref{Name: in.Function.IDOrName}
	}
	if in.When != nil {
		if err = checkText("when", *in.When, 0, WhenLengthMax); err != nil {
			return step, err
		}
		step.When = *in.When
	}
	step.Data, err = parseData(in.Data)
	return step, err
}

// resolveSteps finds the functions that steps name.
func resolveSteps(steps []eventlog.Step, hints projection.Hints) ([]eventlog.Step, *api.Error) {
	if steps == nil {
		return nil, nil
	}
	resolved := make([]eventlog.Step, len(steps))
	for n, step := range steps {
		ref := api.RefInput{IDOrName: step.Function.ID + step.Function.Name, IsID: step.Function.ID != ""}
		var err *api.Error
		if step.Function, err = functionRef(hints, fmt.Sprintf("steps.%d.function", n), ref); err != nil {
			return nil, err
		}
		step.Function.Name = "" // names change; records show the present one
		resolved[n] = step
	}
	return resolved, nil
}

func (c CreateAutomation) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	if _, err := c.caller(hints); err != nil {
		return nil, err
	}
	if err := freeID(own, c.ID, own.Automation(c.ID) != nil); err != nil {
		return nil, err
	}
	if err := freeAutomationName(own, c.New.Name); err != nil {
		return nil, err
	}
	created := c.New
	var err *api.Error
	if created.Steps, err = resolveSteps(created.Steps, hints); err != nil {
		return nil, err
	}
	return []eventlog.Event{c.event(c.ID, 1, &created)}, nil
}

func freeAutomationName(own *projection.Partition, name string) *api.Error {
	if a := own.AutomationNamed(name); a != nil {
		return api.Errorf(api.AlreadyExists, "name", "an automation named %s exists (%s): choose another name, or update that one", show(name), a.ID)
	}
	return nil
}

func (c UpdateAutomation) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	user, err := c.caller(hints)
	if err != nil {
		return nil, err
	}
	if err := needID(c.ID); err != nil {
		return nil, err
	}
	a := own.Automation(c.ID)
	if a == nil {
		return nil, noAutomation(c.ID)
	}
	if err := stale(c.IfRevision, a.Revision, a.Revision); err != nil {
		return nil, err
	}
	if !user.Superuser() {
		if runner := runsAsAnother(hints, a.ID, user.ID); runner != "" {
			return nil, api.Errorf(api.Forbidden, "", "automation %s is due to run as %s: only a superuser may change it", show(a.Name), runner)
		}
	}
	to := eventlog.AutomationUpdated{Name: changed(a.Name, c.To.Name), Description: changed(a.Description, c.To.Description)}
	if to.Steps, err = resolveSteps(c.To.Steps, hints); err != nil {
		return nil, err
	}
	if reflect.DeepEqual(to.Steps, a.Steps) {
		to.Steps = nil
	}
	if to.Name == nil && to.Description == nil && to.Steps == nil {
		return nil, nil
	}
	if to.Name != nil {
		if err := freeAutomationName(own, *to.Name); err != nil {
			return nil, err
		}
	}
	return []eventlog.Event{c.event(a.ID, a.Revision+1, &to)}, nil
}

func (c DeleteAutomation) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	if _, err := c.caller(hints); err != nil {
		return nil, err
	}
	if err := needID(c.ID); err != nil {
		return nil, err
	}
	a := own.Automation(c.ID)
	if a == nil {
		return nil, noAutomation(c.ID)
	}
	if err := stale(c.IfRevision, a.Revision, a.Revision); err != nil {
		return nil, err
	}
	if err := inUse(hints, "automation "+show(a.Name), a.ID); err != nil {
		return nil, err
	}
	return []eventlog.Event{c.event(a.ID, a.Revision+1, &eventlog.AutomationDeleted{Name: a.Name})}, nil
}

func noAutomation(ref string) *api.Error {
	return api.Errorf(api.NotFound, "", "there is no automation %s: see automation.list", show(ref))
}

// Resolved is the definition that the command creates, with the functions that
// its steps name now; without steps if one of them is none.
func (c CreateAutomation) Resolved(hints projection.Hints) eventlog.AutomationCreated {
	created := c.New
	created.Steps, _ = resolveSteps(created.Steps, hints)
	return created
}
