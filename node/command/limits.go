package command

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
)

// Defaults of what a run of a function may take.
const (
	DefaultProcessLimit = 64
	DefaultFileLimit    = 256
	DefaultOutputLimit  = eventlog.Size(1 << 20)
)

// Bounds of what a run of a function may take, each with its reason.
const (
	// CPULimitMin is less than any start of Python leaves to the code.
	CPULimitMin = eventlog.Duration(100 * time.Millisecond)
	// ProcessLimitMax is what a machine of many users still schedules.
	ProcessLimitMax = 4096
	// FileLimitMin is what Python and Belfry's pipes need themselves.
	FileLimitMin = 16
	// FileLimitMax is beyond any code that closes its files.
	FileLimitMax = 65536
	// OutputLimitMin holds the line that says why more is missing.
	OutputLimitMin = eventlog.Size(1 << 10)
	// OutputLimitMax is what an executor keeps of any attempt's output.
	OutputLimitMax = eventlog.Size(1 << 20)
	// EnvMax bounds the variables of a function: more belong into one of them.
	EnvMax = 64
	// EnvNameMax bounds their names, so that all of them fit an event with the code.
	EnvNameMax = 128
)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// limitFields reads how a function's code is run, and what it may take.
func limitFields(in api.FunctionInput, to *eventlog.FunctionUpdated) (err *api.Error) {
	if in.Isolation != nil {
		isolation := eventlog.Isolation(*in.Isolation)
		if isolation != eventlog.IsolationWarm && isolation != eventlog.IsolationFresh {
			return api.Errorf(api.Invalid, "isolation", "%s is neither \"warm\" nor \"fresh\": use one of them", show(*in.Isolation))
		}
		to.Isolation = &isolation
	}
	if in.Sandbox != nil {
		sandbox := eventlog.Sandbox(*in.Sandbox)
		if sandbox != "" && !sandbox.Level() {
			return api.Errorf(api.Invalid, "sandbox", "%s is no level: use \"none\", \"process\", \"restricted\" or \"isolated\", or \"\" for the executor's own", show(*in.Sandbox))
		}
		to.Sandbox = &sandbox
	}
	if to.CPULimit, err = parseDuration("cpu_limit", in.CPULimit, 0, TimeoutMax); err != nil {
		return err
	}
	if to.CPULimit != nil && *to.CPULimit > 0 && *to.CPULimit < CPULimitMin {
		return api.Errorf(api.Invalid, "cpu_limit", "%s is out of range: use %v to %v, or 0s for no limit", show(*in.CPULimit), CPULimitMin, TimeoutMax)
	}
	if err = checkCount("process_limit", in.ProcessLimit, 1, ProcessLimitMax); err != nil {
		return err
	}
	if err = checkCount("file_limit", in.FileLimit, FileLimitMin, FileLimitMax); err != nil {
		return err
	}
	to.ProcessLimit, to.FileLimit = in.ProcessLimit, in.FileLimit
	if to.OutputLimit, err = parseSize("output_limit", in.OutputLimit, OutputLimitMin, OutputLimitMax); err != nil {
		return err
	}
	if in.Env != nil {
		if err = checkEnv(*in.Env); err != nil {
			return err
		}
		to.Env = in.Env
	}
	return nil
}

func checkCount(field string, n *int, least, most int) *api.Error {
	if n != nil && (*n < least || *n > most) {
		return api.Errorf(api.Invalid, field, "%d is out of range: use %d to %d", *n, least, most)
	}
	return nil
}

// checkEnv refuses names that are none, and those that the runtime sets itself
// or that change how Python or the loader start.
func checkEnv(names []string) *api.Error {
	if len(names) > EnvMax {
		return api.Errorf(api.Invalid, "env", "env has %d names, more than %d: put several values into one variable", len(names), EnvMax)
	}
	for n, name := range names {
		switch {
		case !envName.MatchString(name) || len(name) > EnvNameMax:
			return api.Errorf(api.Invalid, "env", "%s is not the name of a variable: use letters, digits and underscores, no digit first, at most %d", show(name), EnvNameMax)
		case reservedEnv(name):
			return api.Errorf(api.Invalid, "env", "%s is set by the executor itself: choose another name", show(name))
		case slices.Contains(names[:n], name):
			return api.Errorf(api.Invalid, "env", "%s stands twice in env: take one out", show(name))
		}
	}
	return nil
}

func reservedEnv(name string) bool {
	switch name {
	case "PATH", "HOME", "TMPDIR", "LANG", "TZ":
		return true
	}
	return strings.HasPrefix(name, "PYTHON") || strings.HasPrefix(name, "LD_")
}

// changedList is changed of a list.
func changedList(from []string, to *[]string) *[]string {
	if to == nil || slices.Equal(from, *to) {
		return nil
	}
	return to
}
