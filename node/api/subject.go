package api

import (
	"regexp"
	"strings"
)

// SubjectPrefix is the first token of every subject of one Belfry, so that several can
// share a NATS. The zero value is DefaultPrefix.
type SubjectPrefix string

// DefaultPrefix is that of a Belfry which was given no other.
const DefaultPrefix SubjectPrefix = "belfry"

// Service is the name under which NATS micro knows the API.
func (p SubjectPrefix) Service() string {
	if p == "" {
		return string(DefaultPrefix)
	}
	return string(p)
}

var prefixPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Valid says whether p may be a prefix: one plain token, as names of nodes are.
func (p SubjectPrefix) Valid() bool { return prefixPattern.MatchString(p.Service()) }

// Headers of requests and replies.
const (
	// HeaderRequestID makes a request repeatable: the same id within ten
	// minutes answers with what it did, and does nothing again.
	HeaderRequestID = "Belfry-Request-Id"
	// HeaderError and HeaderErrorCode mark a refusal, as NATS micro does.
	HeaderError     = "Nats-Service-Error"
	HeaderErrorCode = "Nats-Service-Error-Code"
)

// Limits of requests, each with its reason.
const (
	// RequestBytesMax is NATS's own: larger messages close the connection.
	RequestBytesMax = 1 << 20
	// DataBytesMax bounds the data of an item (contract): it travels with
	// each attempt and lives in an event.
	DataBytesMax = 256 << 10
	// CodeBytesMax bounds a function's source, for the same reason.
	CodeBytesMax = 256 << 10
	// UserBytesMax bounds a user's record: it travels with every run.
	UserBytesMax = 64 << 10
	// NameLengthMax bounds names, in characters (contract).
	NameLengthMax = 200
	// DescriptionLengthMax and ReasonLengthMax bound what people write.
	DescriptionLengthMax = 10_000
	ReasonLengthMax      = 1_000
	// RequestIDLengthMax bounds request ids.
	RequestIDLengthMax = 128
	// ManyMax is how many items one create_many may bring (contract).
	ManyMax = 1000
	// PageDefault, PageMax and PageBytesMax bound a page (contract).
	PageDefault  = 100
	PageMax      = 1000
	PageBytesMax = 512 << 10
)

// Admin is the user that exists from the start.
const Admin = "admin"

// Subject is where user asks for a verb.
func (p SubjectPrefix) Subject(user, entity, verb string) string {
	return p.Service() + ".api." + user + "." + entity + "." + verb
}

// LocalSubject is where a node that is one of several hears what is asked at its
// own NATS server, which sends it there. It begins as Subject does, since who may
// ask for a user there may do so here.
func (p SubjectPrefix) LocalSubject(node, user, entity, verb string) string {
	return p.Subject(user, entity, verb) + "." + node
}

// UserOf is the caller named by a request's subject, of either kind.
func UserOf(subject string) string {
	token := strings.SplitN(subject, ".", 4)
	if len(token) < 4 {
		return ""
	}
	return token[2]
}

var userID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// ValidUserID says whether s may be the id of a user.
func ValidUserID(s string) bool { return userID.MatchString(s) }

// Verbs lists the verbs of each entity that this version answers.
func Verbs() map[string][]string {
	return map[string][]string{
		"function":   {"create", "get", "list", "update", "delete", "versions", "run"},
		"trigger":    {"create", "get", "list", "update", "delete", "pause", "resume", "run", "preview"},
		"item":       {"create", "create_many", "get", "list", "update", "cancel"},
		"automation": {"create", "get", "list", "update", "delete", "run"},
		"user":       {"create", "get", "list", "update", "delete"},
		"run":        {"get", "list", "logs", "cancel"},
		"cluster":    {"status", "remove", "transfer"},
		"audit":      {"events", "at", "verify"},
	}
}
