package api

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
)

// StepsMax bounds an automation: more steps are several automations.
const StepsMax = 100

// Automation is a named sequence of steps.
type Automation struct {
	Meta
	Description string `json:"description"`
	Steps       []Step `json:"steps"`
}

// Step is one step of an automation.
type Step struct {
	Name            string         `json:"name"`
	Function        eventlog.Ref   `json:"function"`
	Data            jsontext.Value `json:"data"`
	When            string         `json:"when,omitzero"`
	ContinueOnError bool           `json:"continue_on_error"`
}

// AutomationInput creates or updates an automation; steps are given as a whole.
type AutomationInput struct {
	ID          string      `json:"id,omitzero"`
	IfRevision  *uint64     `json:"if_revision,omitzero"`
	Name        *string     `json:"name,omitzero"`
	Description *string     `json:"description,omitzero"`
	Steps       []StepInput `json:"steps,omitzero"`
}

// StepInput is a step as callers write it.
type StepInput struct {
	Name            *string        `json:"name,omitzero"`
	Function        *RefInput      `json:"function,omitzero"`
	Data            jsontext.Value `json:"data,omitzero"`
	When            *string        `json:"when,omitzero"`
	ContinueOnError *bool          `json:"continue_on_error,omitzero"`
}
