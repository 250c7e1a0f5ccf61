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

// Patterns that owners subscribe.
const (
	AnnounceAll = "belfry.announce.*"
	ReportAll   = "belfry.result.*.*"
	ScheduleAll = "belfry.schedule.*.*"
)

// RunSubject is where an executor receives its runs.
func RunSubject(pool, executor string) string { return "belfry.run." + pool + "." + executor }

// AnnounceSubject is where an executor publishes its signs of life.
func AnnounceSubject(executor string) string { return "belfry.announce." + executor }

// ReportSubject is where an executor publishes the reports of a partition's runs.
func ReportSubject(executor string, partition int) string {
	return "belfry.result." + executor + "." + strconv.Itoa(partition)
}

// ScheduleSubject is where an executor asks for what a partition's runs schedule.
func ScheduleSubject(executor string, partition int) string {
	return "belfry.schedule." + executor + "." + strconv.Itoa(partition)
}

// ExecSubject is where an executor listens for a verb of its owners.
func ExecSubject(executor, verb string) string { return "belfry.exec." + executor + "." + verb }

// LogsSubject is where an executor publishes the output that does not travel
// with the report, and, while the run goes on, what was printed so far.
func LogsSubject(executor, run string, attempt int) string {
	return "belfry.logs." + executor + "." + run + "." + strconv.Itoa(attempt)
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
