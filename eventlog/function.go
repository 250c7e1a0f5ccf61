package eventlog

// Loss says what becomes of an attempt whose executor was lost.
type Loss string

// The choices of a function's on_executor_loss.
const (
	LossRetry Loss = "retry"
	LossFail  Loss = "fail"
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
}

// FunctionDeleted ends a function; its name is free again.
type FunctionDeleted struct {
	Name string `json:"name"`
}

func (*FunctionCreated) eventType() Type { return TypeFunctionCreated }
func (*FunctionUpdated) eventType() Type { return TypeFunctionUpdated }
func (*FunctionDeleted) eventType() Type { return TypeFunctionDeleted }
