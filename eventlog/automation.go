package eventlog

import "github.com/go-json-experiment/json/jsontext"

// Step is one step of an automation: a run of a function.
type Step struct {
	Name            string         `json:"name"`
	Function        Ref            `json:"function"`
	Data            jsontext.Value `json:"data,omitzero"`
	When            string         `json:"when,omitzero"`
	ContinueOnError bool           `json:"continue_on_error,omitzero"`
}

// AutomationCreated holds the whole definition.
type AutomationCreated struct {
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	Steps       []Step `json:"steps"`
}

// AutomationUpdated holds the fields that changed; Steps as a whole.
type AutomationUpdated struct {
	Name        *string `json:"name,omitzero"`
	Description *string `json:"description,omitzero"`
	Steps       []Step  `json:"steps,omitzero"`
}

// AutomationDeleted ends an automation; its name is free again.
type AutomationDeleted struct {
	Name string `json:"name"`
}

func (*AutomationCreated) eventType() Type { return TypeAutomationCreated }
func (*AutomationUpdated) eventType() Type { return TypeAutomationUpdated }
func (*AutomationDeleted) eventType() Type { return TypeAutomationDeleted }
