package service

import (
	"testing"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
)

// A create that brings its id again has the content of an event that was written
// before functions had limits, unless it asks for others.
func TestACreateOfBeforeTheLimitsIsRepeated(t *testing.T) {
	name, code, fresh := "f", "c", "fresh"
	was := &eventlog.FunctionCreated{
		Name: name, Code: code, Version: 1, Timeout: command.DefaultTimeout, MemoryLimit: command.DefaultMemoryLimit,
		Retry: eventlog.DefaultRetry(), OnExecutorLoss: eventlog.LossRetry, Pool: command.DefaultPool,
	}
	for _, c := range []struct {
		in   api.FunctionInput
		same bool
	}{
		{api.FunctionInput{Name: &name, Code: &code}, true},
		{api.FunctionInput{Name: &name, Code: &code, Env: &[]string{}}, true},
		{api.FunctionInput{Name: &name, Code: &code, Isolation: &fresh}, false},
		{api.FunctionInput{Name: &name, Code: &code, Env: &[]string{"KEY"}}, false},
	} {
		create, refused := command.NewCreateFunction(command.By{User: "admin"}, c.in, "fun_0000000000000000")
		if refused != nil {
			t.Fatal(refused)
		}
		if got := functions().created(create, was, nil); got != c.same {
			t.Errorf("%+v is taken for the same: %v", create.New, got)
		}
	}
}
