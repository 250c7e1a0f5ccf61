package api

import (
	"fmt"
	"strings"
)

// Code is a kind of refusal. The code is the interface; the wording is not.
type Code string

// The catalogue (contract 3).
const (
	Invalid           Code = "invalid"
	InvalidCron       Code = "invalid_cron"
	InvalidTime       Code = "invalid_time"
	InvalidCode       Code = "invalid_code"
	UnknownUser       Code = "unknown_user"
	Forbidden         Code = "forbidden"
	NotFound          Code = "not_found"
	AlreadyExists     Code = "already_exists"
	Ambiguous         Code = "ambiguous"
	Conflict          Code = "conflict"
	InUse             Code = "in_use"
	IllegalTransition Code = "illegal_transition"
	TooLarge          Code = "too_large"
	// Unavailable: try again; nothing was stored.
	Unavailable Code = "unavailable"
	// Timeout: the outcome is unknown; repeat the request with the same id.
	Timeout Code = "timeout"
	// Internal is a defect of Belfry's; nothing was stored.
	Internal Code = "internal"
)

// Codes lists the catalogue.
func Codes() []Code {
	return []Code{
		Invalid, InvalidCron, InvalidTime, InvalidCode, UnknownUser, Forbidden, NotFound,
		AlreadyExists, Ambiguous, Conflict, InUse, IllegalTransition, TooLarge, Internal, Unavailable, Timeout,
	}
}

// Status is the HTTP status number of a code.
func (c Code) Status() int {
	switch c {
	case Invalid, InvalidCron, InvalidTime, InvalidCode:
		return 400
	case UnknownUser:
		return 401
	case Forbidden:
		return 403
	case NotFound:
		return 404
	case AlreadyExists, Ambiguous, Conflict, InUse, IllegalTransition:
		return 409
	case TooLarge:
		return 413
	case Internal:
		return 500
	case Unavailable:
		return 503
	case Timeout:
		return 504
	}
	return 500
}

// Error is a refusal: what was wrong, and what to do.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Field is the path of the field at fault, "" when it is none: data,
	// retry.backoff, items.3.name.
	Field string `json:"field,omitzero"`
	// Entity is the id of the record that stands in the way, for
	// AlreadyExists; not sent.
	Entity string `json:"-"`
	// Owner is the node that decides this, as far as is known, for an Unavailable
	// of one that does not; not sent to callers.
	Owner string `json:"-"`
}

// ErrorBody is the body of a reply that refuses.
type ErrorBody struct {
	Error *Error `json:"error"`
}

func (e *Error) Error() string {
	if e.Field == "" || strings.Contains(e.Message, e.Field) {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s: %s", e.Code, e.Field, e.Message)
}

// Errorf makes a refusal.
func Errorf(code Code, field, format string, args ...any) *Error {
	return &Error{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}
