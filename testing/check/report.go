package check

import (
	"fmt"
	"regexp"
	"strings"
)

// report remembers the first violation and what stood around it, in bounded
// memory.
type report struct {
	seq     uint64
	recent  []string // the last events read, one line each
	first   string   // the first violation
	subject string   // of the event then read
	before  []string // events around it
	after   []string
}

// named finds the record that a violation is about.
var named = regexp.MustCompile(`(sci|run|sts|fun|aut)_[0-9A-Za-z]+`)

// Limits of a report: what a person looks at.
const (
	recentMax = 512
	aroundMax = 6
)

func (r *report) read(c Commit) { r.seq = c.Seq }

func (r *report) reads(e *Event) {
	line := fmt.Sprintf("%6d %s %s revision %d prev %d partition %d %s", e.Seq, e.Source, e.Type+" "+e.Subject, e.Revision, e.Prev, e.Partition, stamp(e.Time))
	if len(r.recent) >= recentMax {
		r.recent = append(r.recent[:0], r.recent[recentMax/2:]...)
	}
	r.recent = append(r.recent, line)
	if r.first == "" {
		r.subject = e.Subject
	} else if len(r.after) < aroundMax && strings.Contains(line, r.subject) {
		r.after = append(r.after, line)
	}
}

func (r *report) broke(text string) {
	if r.first != "" {
		return
	}
	r.first = text
	if id := named.FindString(text); id != "" {
		r.subject = id
	}
	for n := len(r.recent) - 1; n >= 0 && len(r.before) < aroundMax; n-- {
		if r.subject == "" || strings.Contains(r.recent[n], r.subject) {
			r.before = append([]string{r.recent[n]}, r.before...)
		}
	}
}

// First is the first property that broke, "" if none did: the part of the
// violation before its colon.
func (v *Verdict) First() string {
	property, _, _ := strings.Cut(v.report.first, ":")
	return property
}

// Report says what broke first, the events around it, and the line that does it
// again; "" if nothing broke.
func (v *Verdict) Report(reproduction string) string {
	r := &v.report
	if r.first == "" {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.first)
	for _, line := range r.before {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	for _, line := range r.after {
		fmt.Fprintf(&b, "+ %s\n", line)
	}
	if more := len(v.Violations) - 1; more > 0 {
		fmt.Fprintf(&b, "and %d more violations\n", more)
	}
	fmt.Fprintf(&b, "again: %s", reproduction)
	return b.String()
}

// Minimum is how much must have happened for a verdict to mean anything.
type Minimum struct{ Ops, Events, Faults, Ended int }

// Enough is nil if at least that happened, else what there was too little of:
// the verdict is then inconclusive, which is not a pass.
func (v *Verdict) Enough(least Minimum, ops int) error {
	ended := 0
	for _, l := range v.lives {
		if l.Ends > 0 {
			ended++
		}
	}
	for _, of := range []struct {
		what      string
		had, want int
	}{{"operations", ops, least.Ops}, {"events", v.Events, least.Events}, {"faults", len(v.faults), least.Faults}, {"items and runs that ended", ended, least.Ended}} {
		if of.had < of.want {
			return fmt.Errorf("inconclusive: %d %s, at least %d are needed", of.had, of.what, of.want)
		}
	}
	return nil
}
