package command

import (
	"bytes"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

// CreateUser adds who runs can run as.
type CreateUser struct {
	By
	ID  string
	New eventlog.UserCreated
}

// UpdateUser changes the name if not nil, and the fields given.
type UpdateUser struct {
	By
	ID         string
	IfRevision *uint64
	To         eventlog.UserUpdated
}

// DeleteUser takes a user away whom nothing open runs as.
type DeleteUser struct {
	By
	ID         string
	IfRevision *uint64
}

// Partition implements Command.
func (CreateUser) Partition() int { return eventlog.DefinitionPartition }

// Partition implements Command.
func (UpdateUser) Partition() int { return eventlog.DefinitionPartition }

// Partition implements Command.
func (DeleteUser) Partition() int { return eventlog.DefinitionPartition }

// Target implements Command.
func (c CreateUser) Target() string { return c.ID }

// Target implements Command.
func (c UpdateUser) Target() string { return c.ID }

// Target implements Command.
func (c DeleteUser) Target() string { return c.ID }

// NewCreateUser makes the command of a request. The name is the id by default.
func NewCreateUser(by By, in api.UserInput) (CreateUser, *api.Error) {
	c := CreateUser{By: by, ID: in.ID}
	if !api.ValidUserID(in.ID) || in.ID == eventlog.System {
		return c, api.Errorf(api.Invalid, "id", "%s cannot be a user's id: use lower-case letters, digits, _ and -, at most 63, other than %q", show(in.ID), eventlog.System)
	}
	if in.IfRevision != nil {
		return c, api.Errorf(api.Invalid, "if_revision", "if_revision has no meaning in a create: leave it out")
	}
	fields, err := userFields(in.Fields)
	if err != nil {
		return c, err
	}
	for name, value := range fields {
		if string(value) == "null" {
			delete(fields, name)
		}
	}
	c.New = eventlog.UserCreated{Name: or(in.Name, in.ID), Fields: fields}
	return c, checkName(&c.New.Name)
}

// NewUpdateUser makes the command of a request. A null takes a field away.
func NewUpdateUser(by By, in api.UserInput) (UpdateUser, *api.Error) {
	c := UpdateUser{By: by, ID: in.ID, IfRevision: in.IfRevision}
	fields, err := userFields(in.Fields)
	if err != nil {
		return c, err
	}
	c.To = eventlog.UserUpdated{Name: in.Name, Fields: fields}
	if in.Name != nil {
		err = checkName(in.Name)
	}
	return c, err
}

// kinds of the fields that the contract names.
func userFieldKind(name string) string {
	switch name {
	case "email", "first_name", "last_name", "organization_id", "organization_name":
		return "a string"
	case "permissions":
		return "a list of strings"
	case projection.FieldSuperuser:
		return "true or false"
	case "created_date", "modified_date", "created_by", "modified_by", "revision", "seq":
		return "read-only"
	}
	return ""
}

func userFields(in map[string]jsontext.Value) (eventlog.UserFields, *api.Error) {
	fields, size := eventlog.UserFields{}, 0
	for _, name := range slices.Sorted(maps.Keys(in)) { // so that two faults are always told as the same one
		if err := checkText("field name", name, 1, api.NameLengthMax); err != nil {
			return nil, err
		}
		value, err := eventlog.Spell(in[name])
		if err != nil {
			return nil, api.Errorf(api.Invalid, name, "%s is not JSON: %v", name, err)
		}
		if err := checkUserField(name, value); err != nil {
			return nil, err
		}
		fields[name] = value
		size += len(name) + len(value)
	}
	if size > api.UserBytesMax {
		return nil, api.Errorf(api.TooLarge, "", "the user's fields have %d bytes, more than %d: they travel with each run, keep them small", size, api.UserBytesMax)
	}
	return fields, nil
}

func checkUserField(name string, value jsontext.Value) *api.Error {
	if depth(value) > DepthMax {
		return api.Errorf(api.Invalid, name, "%s is nested more than %d deep: flatten it", show(name), DepthMax)
	}
	kind, ok := userFieldKind(name), true
	if value.Kind() == jsontext.KindNull && kind != "read-only" {
		return nil
	}
	switch kind {
	case "a string":
		ok = value.Kind() == jsontext.KindString
	case "true or false":
		ok = value.Kind() == jsontext.KindTrue || value.Kind() == jsontext.KindFalse
	case "a list of strings":
		var list []string
		ok = json.Unmarshal(value, &list) == nil && value.Kind() == jsontext.KindBeginArray
	case "read-only":
		return api.Errorf(api.Invalid, name, "%s is set by Belfry: leave it out", name)
	}
	if !ok {
		return api.Errorf(api.Invalid, name, "%s must be %s", name, kind)
	}
	return nil
}

// superuser refuses whoever is none.
func (by By) superuser(hints projection.Hints, what string) *api.Error {
	u, err := by.caller(hints)
	if err != nil {
		return err
	}
	if !u.Superuser() {
		return api.Errorf(api.Forbidden, "", "only a superuser may %s: ask one, or ask as one", what)
	}
	return nil
}

func (c CreateUser) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	if err := c.superuser(hints, "create users"); err != nil {
		return nil, err
	}
	if err := freeID(own, c.ID, own.User(c.ID) != nil); err != nil {
		return nil, err
	}
	if err := freeUserName(own, c.New.Name); err != nil {
		return nil, err
	}
	return []eventlog.Event{c.event(c.ID, 1, &c.New)}, nil
}

func freeUserName(own *projection.Partition, name string) *api.Error {
	if u := own.UserNamed(name); u != nil {
		return api.Errorf(api.AlreadyExists, "name", "a user named %s exists (%s): choose another name", show(name), u.ID)
	}
	return nil
}

func (c UpdateUser) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	if err := c.superuser(hints, "change users"); err != nil {
		return nil, err
	}
	u := own.User(c.ID)
	if u == nil {
		return nil, noUser(c.ID)
	}
	if err := stale(c.IfRevision, u.Revision, u.Revision); err != nil {
		return nil, err
	}
	to := eventlog.UserUpdated{Name: changed(u.Name, c.To.Name)}
	for name, value := range c.To.Fields {
		if old, set := u.Fields[name]; set && bytes.Equal(old, value) || !set && string(value) == "null" {
			continue
		}
		if to.Fields == nil {
			to.Fields = eventlog.UserFields{}
		}
		to.Fields[name] = value
	}
	if to.Name == nil && to.Fields == nil {
		return nil, nil
	}
	if to.Name != nil {
		if err := freeUserName(own, *to.Name); err != nil {
			return nil, err
		}
	}
	if value, set := to.Fields[projection.FieldSuperuser]; set && string(value) != "true" && u.Superuser() && own.Superusers() == 1 {
		return nil, api.Errorf(api.Forbidden, projection.FieldSuperuser, "%s is the last superuser: make another one first", u.ID)
	}
	return []eventlog.Event{c.event(u.ID, u.Revision+1, &to)}, nil
}

func (c DeleteUser) decide(own *projection.Partition, hints projection.Hints) ([]eventlog.Event, *api.Error) {
	if err := c.superuser(hints, "delete users"); err != nil {
		return nil, err
	}
	u := own.User(c.ID)
	if u == nil {
		return nil, noUser(c.ID)
	}
	if err := stale(c.IfRevision, u.Revision, u.Revision); err != nil {
		return nil, err
	}
	if u.Superuser() && own.Superusers() == 1 {
		return nil, api.Errorf(api.Forbidden, "", "%s is the last superuser: make another one first", u.ID)
	}
	if n := hints.OpenItemsOf(u.ID); n > 0 {
		return nil, api.Errorf(api.InUse, "", "%d open items or runs are those of %s: cancel them or let them end, then delete the user", n, u.ID)
	}
	if t := activeTrigger(hints, func(t *projection.Trigger) bool { return t.Runner() == u.ID }); t != nil {
		return nil, api.Errorf(api.InUse, "", "the active trigger %s (%s) runs as %s: pause or delete it, then delete the user", show(t.Name), t.ID, u.ID)
	}
	return []eventlog.Event{c.event(u.ID, u.Revision+1, &eventlog.UserDeleted{Name: u.Name})}, nil
}

func noUser(ref string) *api.Error {
	return api.Errorf(api.NotFound, "", "there is no user %s: see user.list", show(ref))
}
