package record

import (
	"maps"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

// Status is a status in the words of the API.
func Status(s projection.Status) api.Status {
	switch s {
	case projection.Queued:
		return api.Queued
	case projection.Processing:
		return api.Processing
	case projection.Completed:
		return api.Completed
	case projection.Failed:
		return api.Failed
	case projection.Canceled:
		return api.Canceled
	}
	return ""
}

// StatusOf is the inverse of Status; false for no status.
func StatusOf(s api.Status) (projection.Status, bool) {
	for _, p := range []projection.Status{projection.Queued, projection.Processing, projection.Completed, projection.Failed, projection.Canceled} {
		if Status(p) == s {
			return p, true
		}
	}
	return 0, false
}

func meta(m projection.Meta) api.Meta {
	return api.Meta{
		ID: m.ID, Name: m.Name, CreatedDate: m.Created, ModifiedDate: m.Modified,
		CreatedBy: m.CreatedBy, ModifiedBy: m.ModifiedBy, Revision: m.Revision, Seq: m.Seq,
	}
}

// Function is a function's record.
func Function(f *projection.Function) api.Function {
	return api.Function{
		Meta: meta(f.Meta), Description: f.Description, Code: f.Code, Version: f.Version,
		Timeout: f.Timeout, MemoryLimit: f.MemoryLimit, Retry: f.Retry,
		OnExecutorLoss: f.OnExecutorLoss, Pool: f.Pool,
		Isolation: f.Isolation, Sandbox: f.Sandbox, CPULimit: f.CPULimit,
		ProcessLimit: f.ProcessLimit, FileLimit: f.FileLimit, OutputLimit: f.OutputLimit,
		Env: append([]string{}, f.Env...), // a list in JSON, never null
	}
}

// User is a user's record.
func User(u *projection.User) api.User {
	r := api.User{Meta: meta(u.Meta), Permissions: []string{}, Further: maps.Clone(map[string]jsontext.Value(u.Fields))}
	for name, field := range map[string]any{
		"email": &r.Email, "first_name": &r.FirstName, "last_name": &r.LastName,
		"organization_id": &r.OrganizationID, "organization_name": &r.OrganizationName,
		"permissions": &r.Permissions, projection.FieldSuperuser: &r.IsSuperuser,
	} {
		value, set := r.Further[name]
		if !set {
			continue
		}
		// The field was checked when it was set; a log that holds another
		// kind shows it as absent.
		_ = json.Unmarshal(value, field)
		delete(r.Further, name)
	}
	return r
}

// UserJSON is the record in JSON, as it reaches the code.
func UserJSON(u *projection.User) (jsontext.Value, error) {
	b, err := json.Marshal(User(u), json.Deterministic(true))
	return b, err
}

// Names finds the present name of what a record refers to.
type Names interface {
	FunctionByRef(ref string, idOnly bool) *projection.Function
	AutomationByRef(ref string, idOnly bool) *projection.Automation
	UserByRef(ref string, idOnly bool) *projection.User
}

func functionRef(names Names, id string) eventlog.Ref {
	if f := names.FunctionByRef(id, true); f != nil {
		return eventlog.Ref{ID: id, Name: f.Name}
	}
	return eventlog.Ref{ID: id}
}

// targetRefs are the references to what is run; the other is nil.
func targetRefs(names Names, target string) (function, automation *eventlog.Ref) {
	if !strings.HasPrefix(target, eventlog.PrefixAutomation) {
		ref := functionRef(names, target)
		return &ref, nil
	}
	ref := eventlog.Ref{ID: target}
	if a := names.AutomationByRef(target, true); a != nil {
		ref.Name = a.Name
	}
	return nil, &ref
}

func userRef(names Names, id string) eventlog.Ref {
	if u := names.UserByRef(id, true); u != nil {
		return eventlog.Ref{ID: id, Name: u.Name}
	}
	return eventlog.Ref{ID: id}
}

// Item is an item's record; Live must be set (see projection.ItemFromLog).
func Item(i *projection.Item, names Names) api.Item {
	l := i.Live
	r := api.Item{
		Meta: api.Meta{
			ID: i.ID, Name: l.Name, CreatedDate: i.Created, ModifiedDate: l.Modified,
			CreatedBy: l.CreatedBy, ModifiedBy: l.ModifiedBy, Revision: uint64(i.Revision), Seq: i.Seq,
		},
		Status: Status(i.Status), RunDateTime: i.RunDateTime,
		Data:        data(l.Data),
		RunningUser: userRef(names, l.Runner()), Priority: int(l.Priority), Retry: l.Retry,
		ScheduledBy: l.ScheduledBy,
	}
	r.Function, r.Automation = targetRefs(names, i.Target)
	r.Finished = finished(i)
	if l.Run != nil {
		r.Run, r.Started = eventlog.RunOfItem(i.ID), started(l.Run)
		r.Result, r.Error = l.Run.Result, l.Run.Error
	}
	return r
}

func data(d jsontext.Value) jsontext.Value {
	if d == nil {
		return jsontext.Value("{}")
	}
	return d
}

// started is when the last attempt began: while it is open, its claim, since a
// claim is made when the work can start; then what its executor measured.
func started(r *projection.Run) eventlog.Time {
	if r.Open {
		return r.Claimed
	}
	return r.Ended.Started
}

// finished is when the last attempt ended, or, if none ever began, the item.
func finished(i *projection.Item) eventlog.Time {
	switch {
	case !i.Status.Final():
		return 0
	case i.Live.Run == nil || i.Live.Run.Ended.Finished == 0:
		return i.Live.Modified
	}
	return i.Live.Run.Ended.Finished
}

// SourceOf says what a run came from.
func SourceOf(i *projection.Item) api.Source {
	switch i.Kind {
	case projection.KindTrigger:
		return api.Source{Kind: "trigger", ID: i.Trigger}
	case projection.KindCall:
		return api.Source{Kind: "call", ID: i.Target}
	case projection.KindItem:
	}
	return api.Source{Kind: "item", ID: i.ID}
}

// Run is the record of a run; Live must be set, and its Run if it is an item's.
func Run(i *projection.Item, names Names) api.Run {
	l, run := i.Live, i.Live.Run
	if run == nil {
		run = new(projection.Run)
	}
	r := api.Run{
		Meta: api.Meta{
			ID: i.RunID(), Name: l.Name, CreatedDate: i.RunSince(), ModifiedDate: l.Modified,
			CreatedBy: l.CreatedBy, ModifiedBy: l.ModifiedBy, Revision: uint64(i.Revision), Seq: i.Seq,
		},
		Source: SourceOf(i), Manual: l.Manual,
		ScheduledFor: i.RunDateTime, Status: Status(i.Status), Attempt: run.Attempt,
		FunctionVersion: run.Ended.FunctionVersion,
		RunningUser:     userRef(names, l.Runner()), Executor: run.Executor,
		Started: started(run), Finished: finished(i), LatenessMS: run.Lateness, RetryAt: run.RetryAt,
		Result: run.Result, Error: run.Error,
		Logs: run.Ended.Logs, LogsTruncated: run.Ended.LogsTruncated,
		Sandbox: run.Ended.Sandbox, Stopped: run.Ended.Stopped,
	}
	r.Function, r.Automation = targetRefs(names, i.Target)
	if r.Logs == nil {
		r.Logs = []eventlog.LogLine{}
	}
	return r
}

// Trigger is a trigger's record. Last is the status of its newest run.
func Trigger(t *projection.Trigger, last projection.Status, names Names) api.Trigger {
	r := api.Trigger{
		Meta: meta(t.Meta), CronSchedule: t.CronSchedule, Data: data(t.Data), Active: t.Active,
		RunningUser: userRef(names, t.Runner()), Overlap: t.Overlap, CatchUp: t.CatchUp,
		CatchUpWindow: t.CatchUpWindow, Jitter: t.Jitter, StartsAt: t.StartsAt, EndsAt: t.EndsAt, Retry: t.Retry,
		Anchor: t.Anchor, NextRun: t.Next, PauseReason: t.PauseReason, DecidedUpTo: t.DecidedUpTo,
	}
	r.Function, r.Automation = targetRefs(names, t.Target)
	if t.LastRun != "" {
		r.LastRun = &api.LastRun{ID: t.LastRun, Status: Status(last), ScheduledFor: t.LastFor}
	}
	return r
}

// Automation is an automation's record.
func Automation(a *projection.Automation, names Names) api.Automation {
	r := api.Automation{Meta: meta(a.Meta), Description: a.Description, Steps: []api.Step{}}
	for _, s := range a.Steps {
		r.Steps = append(r.Steps, api.Step{
			Name: s.Name, Function: functionRef(names, s.Function.ID), Data: data(s.Data),
			When: s.When, ContinueOnError: s.ContinueOnError,
		})
	}
	return r
}
