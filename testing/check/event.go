package check

import (
	"encoding/json"
	"strings"
	"time"
)

// Commit is one message of the stream.
type Commit struct {
	Seq     uint64
	Subject string // <prefix>.events.<node>, belfry by default
	Body    []byte
}

// lane is the node in whose lane the commit stands, whatever the prefix.
func (c *Commit) lane() string {
	_, lane, _ := strings.Cut(c.Subject, ".events.")
	return lane
}

// Event is a CloudEvent of the stream, as far as it is judged.
type Event struct {
	ID         string    `json:"id"`
	Source     string    `json:"source"`
	Type       string    `json:"type"`
	Subject    string    `json:"subject"`
	Time       time.Time `json:"time"`
	Entity     string    `json:"entity"`
	Revision   uint64    `json:"revision"`
	Prev       uint64    `json:"prev"`
	Partition  int       `json:"partition"`
	Actor      string    `json:"actor"`
	Cause      string    `json:"cause"`
	CauseIndex *int      `json:"causeindex"`
	Data       Facts     `json:"data"`

	Seq  uint64 `json:"-"`
	lane string
	verb string
}

// Facts are what the data of all events say, as far as it is judged. Fields
// that an update may leave out are pointers.
type Facts struct {
	Run             string    `json:"run"`
	Attempt         int       `json:"attempt"`
	ScheduledFor    time.Time `json:"scheduled_for"`
	Executor        string    `json:"executor"`
	Incarnation     string    `json:"incarnation"`
	Started         time.Time `json:"started_date"`
	FunctionVersion int       `json:"function_version"`
	RunDateTime     time.Time `json:"run_date_time"`
	RetryAt         time.Time `json:"retry_at"`
	Reason          string    `json:"reason"`
	ScheduledBy     string    `json:"scheduled_by"`

	Name          *string         `json:"name"`
	Function      *Reference      `json:"function"`
	Automation    *Reference      `json:"automation"`
	Data          json.RawMessage `json:"data"`
	Retry         json.RawMessage `json:"retry"`
	RunningUser   *string         `json:"running_user"`
	CronSchedule  *string         `json:"cron_schedule"`
	Active        bool            `json:"active"`
	Overlap       *string         `json:"overlap"`
	CatchUp       *string         `json:"catch_up"`
	CatchUpWindow *string         `json:"catch_up_window"`
	Jitter        *string         `json:"jitter"`
	StartsAt      *time.Time      `json:"starts_at"`
	EndsAt        *time.Time      `json:"ends_at"`
	Anchor        *time.Time      `json:"anchor"`
	NextRun       *time.Time      `json:"next_run"`

	Due    time.Time `json:"due"`
	Manual bool      `json:"manual"`
	Missed *Span     `json:"missed"`
	Span             // of skipped; of moved, where From and To are nodes

	Partitions []int           `json:"partitions"`
	Stream     string          `json:"stream"`
	Process    string          `json:"process"`
	Version    json.RawMessage `json:"version"` // of a function a number, of a node a name
}

// Reference names another entity.
type Reference struct {
	ID string `json:"id"`
}

// Span is occurrences from the first to the last.
type Span struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Count int    `json:"count"`
}

func (s Span) outcome(seq uint64) outcome {
	return outcome{from: moment(s.From), to: moment(s.To), count: s.Count, seq: seq}
}

// target is the id of what an event says is run; "" if it says nothing.
func (d *Facts) target() string {
	target := ""
	if d.Function != nil {
		target = d.Function.ID
	}
	if d.Automation != nil {
		target += d.Automation.ID
	}
	return target
}

func (d *Facts) version() int {
	n := 0
	for _, digit := range d.Version {
		if digit < '0' || digit > '9' {
			return 0
		}
		n = 10*n + int(digit-'0')
	}
	return n
}

func (e *Event) place() place { return place{e.Seq, e.Subject, e.Partition} }

// asked says that a caller wanted it.
func (e *Event) asked() bool { return e.Actor != system && e.Cause != "" }

// system is the actor of what nobody asked for; generated begins the causes
// that no caller chose.
const (
	system    = "belfry"
	generated = '~'
)

func moment(text string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, text) // what is none is zero
	return t
}

// length is a duration in Go's words.
func length(text *string) time.Duration {
	if text == nil {
		return 0
	}
	d, _ := time.ParseDuration(*text)
	return d
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
