package projection

import (
	"maps"

	"github.com/belfryhq/belfry/eventlog"
)

// FieldSuperuser is the user field that Belfry itself reads.
const FieldSuperuser = "is_superuser"

// User is who runs run as.
type User struct {
	Meta
	Fields eventlog.UserFields `cbor:"20,keyasint"`
}

// Superuser says whether the user may change users and act for others.
func (u *User) Superuser() bool { return string(u.Fields[FieldSuperuser]) == "true" }

func (u *User) apply(e *eventlog.Event, seq uint64) {
	u.touch(e, seq)
	switch d := e.Data.(type) {
	case *eventlog.UserCreated:
		u.Name, u.Fields = d.Name, d.Fields
	case *eventlog.UserUpdated:
		set(&u.Name, d.Name)
		u.Fields = maps.Clone(u.Fields)
		if u.Fields == nil {
			u.Fields = eventlog.UserFields{}
		}
		for name, value := range d.Fields {
			if string(value) == "null" {
				delete(u.Fields, name)
			} else {
				u.Fields[name] = value
			}
		}
	}
}

func (s *State) evolveUser(p *Partition, e *eventlog.Event, seq uint64) {
	u := p.users[e.Subject]
	if _, deleted := e.Data.(*eventlog.UserDeleted); deleted {
		if u != nil {
			delete(p.users, u.ID)
			delete(p.userNames, u.Name)
		}
		p.gone[e.Subject] = seq
		return
	}
	if u == nil {
		u = new(User)
	} else {
		old := *u // readers may hold the old value
		u = &old
		delete(p.userNames, u.Name)
	}
	u.apply(e, seq)
	p.users[u.ID] = u
	p.userNames[u.Name] = u.ID
}

// UserFromLog folds one user's events, oldest first, each with its commit's
// sequence; nil if they end with its deletion.
func UserFromLog(events []eventlog.Event, seqs []uint64) *User {
	u := new(User)
	for n := range events {
		if _, deleted := events[n].Data.(*eventlog.UserDeleted); deleted {
			return nil
		}
		u.apply(&events[n], seqs[n])
	}
	return u
}
