package projection

import "github.com/belfryhq/belfry/eventlog"

// Automation is a named sequence of steps.
type Automation struct {
	Meta
	Description string          `cbor:"20,keyasint,omitempty"`
	Steps       []eventlog.Step `cbor:"21,keyasint"`
}

func (a *Automation) apply(e *eventlog.Event, seq uint64) {
	a.touch(e, seq)
	switch d := e.Data.(type) {
	case *eventlog.AutomationCreated:
		a.Name, a.Description, a.Steps = d.Name, d.Description, d.Steps
	case *eventlog.AutomationUpdated:
		set(&a.Name, d.Name)
		set(&a.Description, d.Description)
		if d.Steps != nil {
			a.Steps = d.Steps
		}
	}
}

func (s *State) evolveAutomation(p *Partition, e *eventlog.Event, seq uint64) {
	a := p.automations[e.Subject]
	if _, deleted := e.Data.(*eventlog.AutomationDeleted); deleted {
		if a != nil {
			delete(p.automations, a.ID)
			delete(p.automationNames, a.Name)
		}
		p.gone[e.Subject] = seq
		return
	}
	if a == nil {
		a = new(Automation)
	} else {
		old := *a // readers may hold the old value
		a = &old
		delete(p.automationNames, a.Name)
	}
	a.apply(e, seq)
	p.automations[a.ID] = a
	p.automationNames[a.Name] = a.ID
}

// AutomationFromLog folds one automation's events, oldest first, each with its
// commit's sequence; nil if they end with its deletion.
func AutomationFromLog(events []eventlog.Event, seqs []uint64) *Automation {
	a := new(Automation)
	for n := range events {
		if _, deleted := events[n].Data.(*eventlog.AutomationDeleted); deleted {
			return nil
		}
		a.apply(&events[n], seqs[n])
	}
	return a
}
