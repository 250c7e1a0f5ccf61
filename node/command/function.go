package command

import (
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

// Defaults of a function (contract 2).
const (
	DefaultTimeout     = eventlog.Duration(5 * time.Minute)
	DefaultMemoryLimit = eventlog.Size(512 << 20)
	DefaultPool        = "default"
)

// CreateFunction stores code under a name. The code was checked before.
type CreateFunction struct {
	By
	ID  string
	New eventlog.FunctionCreated
}

// UpdateFunction changes what is not nil.
type UpdateFunction struct {
	By
	ID         string
	IfRevision *uint64
	To         eventlog.FunctionUpdated
}

// DeleteFunction takes a function away that nothing open refers to.
type DeleteFunction struct {
	By
	ID         string
	IfRevision *uint64
}

// Partition implements Command.
func (CreateFunction) Partition() int { return eventlog.DefinitionPartition }

// Partition implements Command.
func (UpdateFunction) Partition() int { return eventlog.DefinitionPartition }

// Partition implements Command.
func (DeleteFunction) Partition() int { return eventlog.DefinitionPartition }

// Target implements Command.
func (c CreateFunction) Target() string { return c.ID }

// Target implements Command.
func (c UpdateFunction) Target() string { return c.ID }

// Target implements Command.
func (c DeleteFunction) Target() string { return c.ID }

// NewCreateFunction makes the command of a request; id is used if it brings none.
func NewCreateFunction(by By, in api.FunctionInput, id string) (CreateFunction, *api.Error) {
	c := CreateFunction{By: by, ID: id}
	if in.IfRevision != nil {
		return c, api.Errorf(api.Invalid, "if_revision", "if_revision has no meaning in a create: leave it out")
	}
	if in.ID != "" {
		if err := checkID(eventlog.PrefixFunction, in.ID); err != nil {
			return c, err
		}
		c.ID = in.ID
	}
	if in.Code == nil {
		return c, api.Errorf(api.Invalid, "code", "code is missing: give Python that defines execute(current_user, **kwargs)")
	}
	if err := checkName(in.Name); err != nil {
		return c, err
	}
	to, err := functionFields(in)
	if err != nil {
		return c, err
	}
	c.New = eventlog.FunctionCreated{
		Name: *in.Name, Code: *in.Code, Version: 1,
		Description: or(to.Description, ""),
		Timeout:     or(to.Timeout, DefaultTimeout), MemoryLimit: or(to.MemoryLimit, DefaultMemoryLimit),
		Retry:          or(to.Retry, eventlog.DefaultRetry()),
		OnExecutorLoss: or(to.OnExecutorLoss, eventlog.LossRetry), Pool: or(to.Pool, DefaultPool),
		Isolation: or(to.Isolation, eventlog.IsolationWarm), Sandbox: or(to.Sandbox, ""), CPULimit: or(to.CPULimit, 0),
		ProcessLimit: or(to.ProcessLimit, DefaultProcessLimit), FileLimit: or(to.FileLimit, DefaultFileLimit),
		OutputLimit: or(to.OutputLimit, DefaultOutputLimit),
	}
	if to.Env != nil && len(*to.Env) > 0 { // none is nil, so that it is not in the event
		c.New.Env = *to.Env
	}
	return c, nil
}

// NewUpdateFunction makes the command of a request.
func NewUpdateFunction(by By, in api.FunctionInput) (UpdateFunction, *api.Error) {
	to, err := functionFields(in)
	return UpdateFunction{By: by, ID: in.ID, IfRevision: in.IfRevision, To: to}, err
}

func or[T any](v *T, otherwise T) T {
	if v == nil {
		return otherwise
	}
	return *v
}

// functionFields reads the fields that a request brings.
func functionFields(in api.FunctionInput) (to eventlog.FunctionUpdated, err *api.Error) {
	if in.Name != nil {
		if err = checkName(in.Name); err != nil {
			return to, err
		}
	}
	if in.Code != nil && len(*in.Code) > api.CodeBytesMax {
		return to, api.Errorf(api.TooLarge, "code", "code has %d bytes, more than %d: move parts into a package of the executor's Python", len(*in.Code), api.CodeBytesMax)
	}
	if in.Description != nil && len([]rune(*in.Description)) > api.DescriptionLengthMax {
		return to, api.Errorf(api.Invalid, "description", "description has more than %d characters: shorten it", api.DescriptionLengthMax)
	}
	if in.Pool != nil && !poolName.MatchString(*in.Pool) {
		return to, api.Errorf(api.Invalid, "pool", "%s is not a pool: use lower-case letters, digits and dashes, at most 32", show(*in.Pool))
	}
	to.Name, to.Code, to.Description, to.Pool = in.Name, in.Code, in.Description, in.Pool
	if to.Timeout, err = parseDuration("timeout", in.Timeout, eventlog.Duration(time.Millisecond), TimeoutMax); err != nil {
		return to, err
	}
	if to.MemoryLimit, err = parseSize("memory_limit", in.MemoryLimit, MemoryMin, MemoryMax); err != nil {
		return to, err
	}
	if to.Retry, err = parseRetry(in.Retry); err != nil {
		return to, err
	}
	if in.OnExecutorLoss != nil {
		loss := eventlog.Loss(*in.OnExecutorLoss)
		if loss != eventlog.LossRetry && loss != eventlog.LossFail {
			return to, api.Errorf(api.Invalid, "on_executor_loss", "%s is neither \"retry\" nor \"fail\": use one of them", show(*in.OnExecutorLoss))
		}
		to.OnExecutorLoss = &loss
	}
	return to, limitFields(in, &to)
}

func (c CreateFunction) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	if _, err := c.caller(hints); err != nil {
		return nil, err
	}
	if err := freeID(own, c.ID, own.Function(c.ID) != nil); err != nil {
		return nil, err
	}
	if err := freeFunctionName(own, c.New.Name); err != nil {
		return nil, err
	}
	return []eventlog.Event{c.event(c.ID, 1, &c.New)}, nil
}

// freeID refuses an id that is or was in use.
func freeID(own *projection.Partition, id string, exists bool) *api.Error {
	if exists {
		err := api.Errorf(api.AlreadyExists, "id", "%s exists with other content: choose another id, or update it", show(id))
		err.Entity = id
		return err
	}
	if own.Gone(id) {
		return api.Errorf(api.AlreadyExists, "id", "%s existed and was deleted, and ids are never used again: choose another", show(id))
	}
	return nil
}

func freeFunctionName(own *projection.Partition, name string) *api.Error {
	if f := own.FunctionNamed(name); f != nil {
		return api.Errorf(api.AlreadyExists, "name", "a function named %s exists (%s): choose another name, or update that one", show(name), f.ID)
	}
	return nil
}

func (c UpdateFunction) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	user, err := c.caller(hints)
	if err != nil {
		return nil, err
	}
	f := own.Function(c.ID)
	if f == nil {
		return nil, noFunction(c.ID)
	}
	if err := stale(c.IfRevision, f.Revision, f.Revision); err != nil {
		return nil, err
	}
	if !user.Superuser() {
		if runner := runsAsAnother(hints, f.ID, user.ID); runner != "" {
			return nil, api.Errorf(api.Forbidden, "", "function %s is due to run as %s: only a superuser may change it", show(f.Name), runner)
		}
	}
	to := eventlog.FunctionUpdated{
		Name: changed(f.Name, c.To.Name), Description: changed(f.Description, c.To.Description),
		Code: changed(f.Code, c.To.Code), Timeout: changed(f.Timeout, c.To.Timeout),
		MemoryLimit: changed(f.MemoryLimit, c.To.MemoryLimit), Retry: changed(f.Retry, c.To.Retry),
		OnExecutorLoss: changed(f.OnExecutorLoss, c.To.OnExecutorLoss), Pool: changed(f.Pool, c.To.Pool),
		Isolation: changed(f.Isolation, c.To.Isolation), Sandbox: changed(f.Sandbox, c.To.Sandbox),
		CPULimit: changed(f.CPULimit, c.To.CPULimit), OutputLimit: changed(f.OutputLimit, c.To.OutputLimit),
		ProcessLimit: changed(f.ProcessLimit, c.To.ProcessLimit), FileLimit: changed(f.FileLimit, c.To.FileLimit),
		Env: changedList(f.Env, c.To.Env),
	}
	if to == (eventlog.FunctionUpdated{}) {
		return nil, nil
	}
	if to.Name != nil {
		if err := freeFunctionName(own, *to.Name); err != nil {
			return nil, err
		}
	}
	if to.Code != nil {
		to.Version = f.Version + 1
	}
	return []eventlog.Event{c.event(f.ID, f.Revision+1, &to)}, nil
}

func (c DeleteFunction) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	if _, err := c.caller(hints); err != nil {
		return nil, err
	}
	f := own.Function(c.ID)
	if f == nil {
		return nil, noFunction(c.ID)
	}
	if err := stale(c.IfRevision, f.Revision, f.Revision); err != nil {
		return nil, err
	}
	if err := inUse(hints, "function "+show(f.Name), f.ID); err != nil {
		return nil, err
	}
	return []eventlog.Event{c.event(f.ID, f.Revision+1, &eventlog.FunctionDeleted{Name: f.Name})}, nil
}

func noFunction(ref string) *api.Error {
	return api.Errorf(api.NotFound, "", "there is no function %s: see function.list", show(ref))
}
