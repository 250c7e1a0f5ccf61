package service

import (
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
)

func split(name string) (entity, action string) {
	entity, action, _ = strings.Cut(name, ".")
	return entity, action
}

// by stamps a command with who asks, when and under which request.
func (r *request) by() command.By {
	return command.By{User: r.user, Now: eventlog.TimeOf(time.Now()), Cause: r.cause, CauseIndex: -1}
}

// once says whether a repetition of the request must be recognised.
func (r *request) once() bool { return r.id != "" }

// decode reads a request: a JSON object without unknown fields. No body at all
// is an empty object.
func decode[T any](body []byte) (T, *api.Error) {
	return decodeWith[T](body, json.RejectUnknownMembers(true))
}

// decodeOpen is decode for what may have further fields.
func decodeOpen[T any](body []byte) (T, *api.Error) { return decodeWith[T](body) }

func decodeWith[T any](body []byte, options ...json.Options) (T, *api.Error) {
	var to T
	if len(body) == 0 {
		return to, nil
	}
	if kind := jsontext.Value(body).Kind(); kind != jsontext.KindBeginObject && kind != jsontext.KindInvalid {
		return to, api.Errorf(api.Invalid, "", "a request is a JSON object, such as {}")
	}
	return to, jsonError(json.Unmarshal(body, &to, options...))
}

// jsonError says where JSON is not what it should be.
func jsonError(err error) *api.Error {
	if err == nil {
		return nil
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return api.Errorf(api.Invalid, pathOf(syntax.JSONPointer), "the request is not JSON: %v at byte %d", syntax.Err, syntax.ByteOffset)
	}
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return api.Errorf(api.Invalid, "", "the request cannot be read: %v", err)
	}
	field := pathOf(semantic.JSONPointer)
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return api.Errorf(api.Invalid, field, "there is no field %q here: take it out", field)
	case semantic.Err != nil && semantic.JSONKind == 0:
		return api.Errorf(api.Invalid, field, "%v", semantic.Err)
	case semantic.GoType != nil:
		return api.Errorf(api.Invalid, field, "%s must be %s, not %s", nameOf(field), kindOf(semantic.GoType.String()), semantic.JSONKind)
	}
	return api.Errorf(api.Invalid, field, "%s cannot be read: %v", nameOf(field), err)
}

func nameOf(field string) string {
	if field == "" {
		return "the request"
	}
	return field
}

// pathOf writes /retry/backoff as retry.backoff.
func pathOf(p jsontext.Pointer) string {
	var path []string
	for token := range p.Tokens() {
		path = append(path, token)
	}
	return strings.Join(path, ".")
}

// kindOf is a Go type in the words of JSON.
func kindOf(goType string) string {
	switch strings.TrimLeft(goType, "*") {
	case "string", "api.Status":
		return "a string"
	case "bool":
		return "true or false"
	case "int", "uint64", "float64":
		return "a number"
	case "api.RefInput":
		return `an id, a name, or {"id": "…"}`
	}
	if strings.HasPrefix(goType, "[]") {
		return "a list"
	}
	return "an object"
}

// anew is the request without its id, which only looked like another's.
func (r *request) anew() *request {
	again := *r
	again.id = ""
	return &again
}
