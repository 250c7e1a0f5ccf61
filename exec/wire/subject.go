package wire

import (
	"strconv"
	"strings"
)

// Subjects of owner-to-executor messages besides runs: belfry.exec.<executor>.<verb>.
const (
	VerbAsk    = "ask"
	VerbDemand = "demand"
	VerbStored = "stored"
	VerbCancel = "cancel"
	VerbCheck  = "check"
	VerbTaken  = "taken"
	// VerbScheduled answers a Schedule.
	VerbScheduled = "scheduled"
)

// Prefix is the first token of every subject of one Belfry. The zero value is
// DefaultPrefix.
type Prefix string

// DefaultPrefix is that of a Belfry which was given no other.
const DefaultPrefix Prefix = "belfry"

// String is the token itself.
func (p Prefix) String() string {
	if p == "" {
		return string(DefaultPrefix)
	}
	return string(p)
}

// AnnounceAll is all signs of life. It and the next are patterns that owners subscribe.
func (p Prefix) AnnounceAll() string { return p.String() + ".announce.*" }

// ReportAll is all that executors report.
func (p Prefix) ReportAll() string { return p.String() + ".result.*.*" }

// ScheduleAll is all that runs ask to be scheduled.
func (p Prefix) ScheduleAll() string { return p.String() + ".schedule.*.*" }

// LogsAll is all output that does not travel with a report.
func (p Prefix) LogsAll() string { return p.String() + ".logs.>" }

// RunSubject is where an executor receives its runs.
func (p Prefix) RunSubject(pool, executor string) string {
	return p.String() + ".run." + pool + "." + executor
}

// AnnounceSubject is where an executor publishes its signs of life.
func (p Prefix) AnnounceSubject(executor string) string { return p.String() + ".announce." + executor }

// ReportSubject is where an executor publishes the reports of a partition's runs.
func (p Prefix) ReportSubject(executor string, partition int) string {
	return p.String() + ".result." + executor + "." + strconv.Itoa(partition)
}

// ScheduleSubject is where an executor asks for what a partition's runs schedule.
func (p Prefix) ScheduleSubject(executor string, partition int) string {
	return p.String() + ".schedule." + executor + "." + strconv.Itoa(partition)
}

// ExecSubject is where an executor listens for a verb of its owners.
func (p Prefix) ExecSubject(executor, verb string) string {
	return p.String() + ".exec." + executor + "." + verb
}

// LogsSubject is where an executor publishes the output that does not travel
// with the report, and, while the run goes on, what was printed so far.
func (p Prefix) LogsSubject(executor, run string, attempt int) string {
	return p.String() + ".logs." + executor + "." + run + "." + strconv.Itoa(attempt)
}

// Sender is the executor that published a message, read from its subject: NATS
// permissions pin that token, the body proves nothing. It is "" for a subject
// that is no announcement, report or Schedule.
func Sender(subject string) string {
	token := strings.Split(subject, ".")
	switch {
	case len(token) == 3 && token[1] == "announce":
		return token[2]
	case len(token) == 4 && (token[1] == "result" || token[1] == "schedule"):
		return token[2]
	}
	return ""
}
