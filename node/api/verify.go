package api

import "time"

// AuditVerify asks for the whole log to be judged, or, with the ID of an answer,
// how far that is. Wait is a duration: the answer comes when the end is reached,
// or when that is over.
type AuditVerify struct {
	ID     string `json:"id,omitzero"`
	Wait   string `json:"wait,omitzero"`
	Strong bool   `json:"strong,omitzero"`
}

// Patience is how long the answer may wait; 0 if Wait is none.
func (v AuditVerify) Patience() time.Duration { return patience(v.Wait) }

// States of a verification.
const (
	VerifyRunning = "running"
	VerifyClean   = "clean"
	VerifyBroken  = "broken" // something in the log, or in the node, must not be
)

// ViolationsMax bounds the violations that an answer holds: the first ones.
const ViolationsMax = 100

// AuditVerdict is the answer. While it runs, only what counts is there.
type AuditVerdict struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	// Checked is the sequence that was reached, FirstSeq and LastSeq what the
	// verification goes from and to: the last one is that of the request.
	Checked  uint64 `json:"checked"`
	FirstSeq uint64 `json:"first_seq"`
	LastSeq  uint64 `json:"last_seq"`
	Commits  int    `json:"commits"`
	Events   int    `json:"events"`
	// Items, Runs (of triggers and calls) and Triggers are counted by status.
	Items    map[string]int `json:"items,omitzero"`
	Runs     map[string]int `json:"runs,omitzero"`
	Triggers map[string]int `json:"triggers,omitzero"`
	// Properties are the codes of what was judged.
	Properties []string `json:"properties,omitzero"`
	// Compared is how many of Sections, the parts of the node's state, were
	// compared with a fold of the log.
	Compared       int         `json:"compared"`
	Sections       int         `json:"sections"`
	Violations     []Violation `json:"violations"`
	ViolationCount int         `json:"violation_count"`
	Around         *Around     `json:"around,omitzero"` // of the first one
	TookMS         int64       `json:"took_ms"`
}

// Violation is something that must not be. Seq is the commit that shows it, 0 if
// no single one does.
type Violation struct {
	Property string `json:"property"`
	Seq      uint64 `json:"seq"`
	Subject  string `json:"subject,omitzero"` // the entity concerned, if it is one
	Text     string `json:"text"`
}

// Around is what stands around a violation in the log, an event a line: those of
// its entity, of its partition, and of who owns what.
type Around struct {
	Before []string `json:"before,omitzero"`
	At     []string `json:"at,omitzero"`
	After  []string `json:"after,omitzero"`
}
