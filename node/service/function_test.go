package service

import (
	"errors"
	"testing"
	"testing/synctest"

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

// A node that has ended does not know how it is, nor which executors there are: it
// says so instead of showing that there are none.
func TestANodeThatHasEndedShowsNoEmptyStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSeveral(t, "a")
		defer c.stop()
		c.nodes["a"].cfg.Scheduler.Fail(errors.New("its log is gone"))
		synctest.Wait()
		if st, refused := c.nodes["a"].present(t.Context()); refused == nil || refused.Code != api.Unavailable {
			t.Errorf("%+v, %v", st, refused)
		}
	})
}
