package check

import (
	"fmt"
	"strings"
	"time"
)

// Bounds of what is kept for reports.
const (
	recentMax  = 4096 // events: so far back the context of a violation reaches
	contextMax = 16   // events before and after a violation
)

// glimpse is an event, as far as a report shows it.
type glimpse struct {
	seq, revision       uint64
	partition, attempt  int
	at                  time.Time
	lane, kind, subject string
	run, executor, more string
}

func (g *glimpse) String() string {
	s := fmt.Sprintf("%6d  %s  lane %s  p%d  %s %s r%d", g.seq, stamp(g.at), g.lane, g.partition, g.kind, g.subject, g.revision)
	if g.run != "" {
		s += fmt.Sprintf("  %s #%d on %q", g.run, g.attempt, g.executor)
	}
	if g.more != "" {
		s += "  " + g.more
	}
	return s
}

// around says that an event belongs to the context of a violation: it is of the
// same entity or partition, or changes who owns it. A gap in the log is of all.
func (g *glimpse) around(x *Violation) bool {
	return g.subject == x.Subject || x.Subject != "" && g.run == x.Subject || g.partition == x.Partition || g.partition == -1 || x.Property == "L3"
}

// ring is the last events.
type ring struct {
	events []glimpse
	next   int // where the next one goes, when it is full
}

// all calls with the events from the oldest to the newest.
func (r *ring) all(yield func(*glimpse) bool) {
	for n := range r.events {
		place := n
		if len(r.events) == recentMax {
			place = (r.next + n) % recentMax
		}
		if !yield(&r.events[place]) {
			return
		}
	}
}

// remember keeps an event for reports, and completes the first one.
func (v *Verdict) remember(e *Event) {
	g := glimpse{
		seq: e.Seq, revision: e.Revision, partition: e.Partition, attempt: e.Data.Attempt, at: e.Time,
		lane: e.lane, kind: e.Type, subject: e.Subject, run: e.Data.Run, executor: e.Data.Executor,
	}
	switch e.Entity {
	case "partitions":
		g.more = fmt.Sprintf("%d partitions from %q to %q", len(e.Data.Partitions), e.Data.From, e.Data.To)
		if len(e.Data.Partitions) <= partitions/4 {
			g.more += fmt.Sprint(" ", e.Data.Partitions)
		}
	case "trigger":
		g.more = e.Data.From
	}
	if len(v.recent.events) < recentMax {
		v.recent.events = append(v.recent.events, g)
	} else {
		v.recent.events[v.recent.next] = g
		v.recent.next = (v.recent.next + 1) % recentMax
	}
	if r := v.first; r != nil && g.around(&r.Violation) {
		r.take(&g)
	}
}

// Report is the first violation and what stands around it in the log: events of
// its entity, of its partition, and of who owns what.
type Report struct {
	Violation
	Before, At, After []string
	Further           int    // violations besides it
	Reproduce         string // a line that lets it happen again, "" if unknown
}

// take puts an event into the context.
func (r *Report) take(g *glimpse) {
	switch {
	case g.seq == r.Seq:
		if len(r.At) < contextMax {
			r.At = append(r.At, g.String())
		}
	case g.seq < r.Seq || r.Seq == 0:
		if r.Before = append(r.Before, g.String()); len(r.Before) > contextMax {
			r.Before = r.Before[1:]
		}
	case len(r.After) < contextMax:
		r.After = append(r.After, g.String())
	}
}

// witness keeps the context of a violation if it is the first one by sequence.
func (v *Verdict) witness(x Violation) {
	if v.first != nil && !x.before(v.first.Violation) {
		return
	}
	r := &Report{Violation: x}
	for g := range v.recent.all {
		if g.around(&x) {
			r.take(g)
		}
	}
	v.first = r
}

// First is the violation with the lowest sequence, with up to so many events
// before and after it; nil if there is none. Its context reaches back recentMax
// events from where it was found.
func (v *Verdict) First(context int) *Report {
	if v.first == nil {
		return nil
	}
	r := *v.first
	r.Further, r.Reproduce = len(v.Violations)+v.Unsaid-1, v.Reproduce
	r.Before = r.Before[max(0, len(r.Before)-context):]
	r.After = r.After[:min(context, len(r.After))]
	return &r
}

// Report is First in words, with the line that lets it happen again; "" if
// nothing was found.
func (v *Verdict) Report(reproduce string) string {
	r := v.First(contextMax / 2)
	if r == nil {
		return ""
	}
	r.Reproduce = reproduce
	return r.String()
}

// String is the report as people read it.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s does not hold: %s\n", r.Property, r.Text)
	for _, part := range []struct {
		mark  string
		lines []string
	}{{"  ", r.Before}, {"> ", r.At}, {"  ", r.After}} {
		for _, line := range part.lines {
			fmt.Fprintf(&b, "%s%s\n", part.mark, line)
		}
	}
	if r.Further > 0 {
		fmt.Fprintf(&b, "and %d more violations\n", r.Further)
	}
	if r.Reproduce != "" {
		fmt.Fprintf(&b, "again: %s\n", r.Reproduce)
	}
	return b.String()
}
