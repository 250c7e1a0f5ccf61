package projection

import "github.com/belfryhq/belfry/eventlog"

// Function is a named container of Python code, with its newest version.
type Function struct {
	Meta
	Description    string             `cbor:"20,keyasint,omitempty"`
	Code           string             `cbor:"21,keyasint"`
	Version        int                `cbor:"22,keyasint"`
	Timeout        eventlog.Duration  `cbor:"23,keyasint"`
	MemoryLimit    eventlog.Size      `cbor:"24,keyasint"`
	Retry          eventlog.Retry     `cbor:"25,keyasint"`
	OnExecutorLoss eventlog.Loss      `cbor:"26,keyasint"`
	Pool           string             `cbor:"27,keyasint"`
	Isolation      eventlog.Isolation `cbor:"28,keyasint"`
	Sandbox        eventlog.Sandbox   `cbor:"29,keyasint,omitempty"`
	CPULimit       eventlog.Duration  `cbor:"30,keyasint,omitempty"`
	ProcessLimit   int                `cbor:"31,keyasint"`
	FileLimit      int                `cbor:"32,keyasint"`
	OutputLimit    eventlog.Size      `cbor:"33,keyasint"`
	Env            []string           `cbor:"34,keyasint,omitempty"`
}

func (f *Function) apply(e *eventlog.Event, seq uint64) {
	f.touch(e, seq)
	switch d := e.Data.(type) {
	case *eventlog.FunctionCreated:
		f.Name, f.Description = d.Name, d.Description
		f.Code, f.Version = d.Code, d.Version
		f.Timeout, f.MemoryLimit = d.Timeout, d.MemoryLimit
		f.Retry, f.OnExecutorLoss, f.Pool = d.Retry, d.OnExecutorLoss, d.Pool
		whole := d.Whole()
		f.Isolation, f.Sandbox, f.Env = whole.Isolation, whole.Sandbox, whole.Env
		f.CPULimit, f.OutputLimit = whole.CPULimit, whole.OutputLimit
		f.ProcessLimit, f.FileLimit = whole.ProcessLimit, whole.FileLimit
	case *eventlog.FunctionUpdated:
		set(&f.Name, d.Name)
		set(&f.Description, d.Description)
		set(&f.Timeout, d.Timeout)
		set(&f.MemoryLimit, d.MemoryLimit)
		set(&f.Retry, d.Retry)
		set(&f.OnExecutorLoss, d.OnExecutorLoss)
		set(&f.Pool, d.Pool)
		set(&f.Isolation, d.Isolation)
		set(&f.Sandbox, d.Sandbox)
		set(&f.CPULimit, d.CPULimit)
		set(&f.ProcessLimit, d.ProcessLimit)
		set(&f.FileLimit, d.FileLimit)
		set(&f.OutputLimit, d.OutputLimit)
		set(&f.Env, d.Env)
		if d.Code != nil {
			f.Code, f.Version = *d.Code, d.Version
		}
	}
}

// set changes a field to what an event says of it, if anything.
func set[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

func (s *State) evolveFunction(p *Partition, e *eventlog.Event, seq uint64) {
	f := p.functions[e.Subject]
	if _, deleted := e.Data.(*eventlog.FunctionDeleted); deleted {
		if f != nil {
			delete(p.functions, f.ID)
			delete(p.functionNames, f.Name)
		}
		p.gone[e.Subject] = seq
		return
	}
	if f == nil {
		f = new(Function)
	} else {
		// Readers may hold the old value: definitions are replaced, not changed.
		old := *f
		f = &old
		delete(p.functionNames, f.Name)
	}
	f.apply(e, seq)
	p.functions[f.ID] = f
	p.functionNames[f.Name] = f.ID
}

// FunctionFromLog folds one function's events, oldest first, each with its
// commit's sequence; nil if they end with its deletion.
func FunctionFromLog(events []eventlog.Event, seqs []uint64) *Function {
	f := new(Function)
	for n := range events {
		if _, deleted := events[n].Data.(*eventlog.FunctionDeleted); deleted {
			return nil
		}
		f.apply(&events[n], seqs[n])
	}
	return f
}
