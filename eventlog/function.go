package eventlog

import "cmp"

// Loss says what becomes of an attempt whose executor was lost.
type Loss string

// The choices of a function's on_executor_loss.
const (
	LossRetry Loss = "retry"
	LossFail  Loss = "fail"
)

// Isolation says what a run shares with others.
type Isolation string

// The choices of a function's isolation.
const (
	IsolationWarm  Isolation = "warm"  // a worker serves runs of one version for one user
	IsolationFresh Isolation = "fresh" // every run has a process of its own
)

// Sandbox is a level: what is closed to the code. As a function's it is the
// least level wanted, "" for whatever the executor has; as a run's it is the
// level in which the last attempt ran, "" if that is not known.
type Sandbox string

// The levels, each closing more than the one before.
const (
	SandboxNone       Sandbox = "none"
	SandboxProcess    Sandbox = "process"
	SandboxRestricted Sandbox = "restricted"
	SandboxIsolated   Sandbox = "isolated"
)

// Level says whether s is one of the levels.
func (s Sandbox) Level() bool {
	switch s {
	case SandboxNone, SandboxProcess, SandboxRestricted, SandboxIsolated:
		return true
	}
	return false
}

// What the events mean that were written before these fields came. They stay,
// whatever the defaults of a new function become.
const (
	unsaidIsolation    = IsolationWarm
	unsaidProcessLimit = 64
	unsaidFileLimit    = 256
	unsaidOutputLimit  = Size(1 << 20)
)

// FunctionCreated holds the whole definition, as version 1.
type FunctionCreated struct {
	Name           string   `json:"name"`
	Description    string   `json:"description,omitzero"`
	Code           string   `json:"code"`
	Version        int      `json:"version"`
	Timeout        Duration `json:"timeout"`
	MemoryLimit    Size     `json:"memory_limit"`
	Retry          Retry    `json:"retry"`
	OnExecutorLoss Loss     `json:"on_executor_loss"`
	Pool           string   `json:"pool"`

	// Later than the first version: see Whole.
	Isolation    Isolation `json:"isolation,omitzero"`
	Sandbox      Sandbox   `json:"sandbox,omitzero"`
	CPULimit     Duration  `json:"cpu_limit,omitzero"` // 0 is none
	ProcessLimit int       `json:"process_limit,omitzero"`
	FileLimit    int       `json:"file_limit,omitzero"`
	OutputLimit  Size      `json:"output_limit,omitzero"`
	Env          []string  `json:"env,omitzero"` // names; nil if there are none
}

// Whole is d with what an older version of Belfry did not say.
func (d *FunctionCreated) Whole() FunctionCreated {
	whole := *d
	whole.Isolation = cmp.Or(d.Isolation, unsaidIsolation)
	whole.ProcessLimit = cmp.Or(d.ProcessLimit, unsaidProcessLimit)
	whole.FileLimit = cmp.Or(d.FileLimit, unsaidFileLimit)
	whole.OutputLimit = cmp.Or(d.OutputLimit, unsaidOutputLimit)
	return whole
}

// FunctionUpdated holds the fields that changed. Version is set with Code.
type FunctionUpdated struct {
	Name           *string   `json:"name,omitzero"`
	Description    *string   `json:"description,omitzero"`
	Code           *string   `json:"code,omitzero"`
	Version        int       `json:"version,omitzero"`
	Timeout        *Duration `json:"timeout,omitzero"`
	MemoryLimit    *Size     `json:"memory_limit,omitzero"`
	Retry          *Retry    `json:"retry,omitzero"`
	OnExecutorLoss *Loss     `json:"on_executor_loss,omitzero"`
	Pool           *string   `json:"pool,omitzero"`

	Isolation    *Isolation `json:"isolation,omitzero"`
	Sandbox      *Sandbox   `json:"sandbox,omitzero"`
	CPULimit     *Duration  `json:"cpu_limit,omitzero"`
	ProcessLimit *int       `json:"process_limit,omitzero"`
	FileLimit    *int       `json:"file_limit,omitzero"`
	OutputLimit  *Size      `json:"output_limit,omitzero"`
	Env          *[]string  `json:"env,omitzero"`
}

// FunctionDeleted ends a function; its name is free again.
type FunctionDeleted struct {
	Name string `json:"name"`
}

func (*FunctionCreated) eventType() Type { return TypeFunctionCreated }
func (*FunctionUpdated) eventType() Type { return TypeFunctionUpdated }
func (*FunctionDeleted) eventType() Type { return TypeFunctionDeleted }
