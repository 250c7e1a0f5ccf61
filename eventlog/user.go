package eventlog

import "github.com/go-json-experiment/json/jsontext"

// UserFields are a user's fields besides id and name, by field name: those of
// the contract and any further ones.
type UserFields map[string]jsontext.Value

// UserCreated holds the whole record.
type UserCreated struct {
	Name   string     `json:"name"`
	Fields UserFields `json:"fields"`
}

// UserUpdated holds the fields that changed; a null takes a field away.
type UserUpdated struct {
	Name   *string    `json:"name,omitzero"`
	Fields UserFields `json:"fields,omitzero"`
}

// UserDeleted ends a user; what runs as them fails from then on.
type UserDeleted struct {
	Name string `json:"name"`
}

func (*UserCreated) eventType() Type { return TypeUserCreated }
func (*UserUpdated) eventType() Type { return TypeUserUpdated }
func (*UserDeleted) eventType() Type { return TypeUserDeleted }
