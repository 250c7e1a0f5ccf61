package cluster_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/testing/check"
)

// started is how late a run began.
type started struct {
	due  time.Time
	late time.Duration
}

// lateness is that of each item of the load whose line is there, in the order in
// which they were due: its first line, less its due time.
func (l *load) lateness(lines []check.Line) (all []started) {
	first := map[string]time.Time{}
	for _, x := range lines {
		id := "sci_" + strings.TrimPrefix(x.ID, "run_")
		if at, known := first[id]; !known || x.Start.Before(at) {
			first[id] = x.Start
		}
	}
	for id, due := range l.due {
		if at, ran := first[id]; ran {
			all = append(all, started{due, at.Sub(due)})
		}
	}
	slices.SortFunc(all, func(a, b started) int { return a.due.Compare(b.due) })
	return all
}

// between are those due from one moment to another.
func between(all []started, from, to time.Time) []started {
	byDue := func(s started, at time.Time) int { return s.due.Compare(at) }
	begin, _ := slices.BinarySearchFunc(all, from, byDue)
	end, _ := slices.BinarySearchFunc(all, to, byDue)
	return all[begin:max(begin, end)]
}

func median(all []started) time.Duration {
	if len(all) == 0 {
		return 0
	}
	late := make([]time.Duration, 0, len(all))
	for _, s := range all {
		late = append(late, s.late)
	}
	slices.Sort(late)
	return late[len(late)/2]
}

func latest(all []started) (most time.Duration) {
	for _, s := range all {
		most = max(most, s.late)
	}
	return most
}

// normalBelow is up to which median a second is as if nothing had happened,
// beside that of the quiet time before the first fault.
const normalBelow = 50 * time.Millisecond

// row is what one fault did.
type row struct {
	fault          check.Fault
	runs           int
	most, p50      time.Duration
	normal         time.Duration // from the fault's begin to the last second with another median
	create         time.Duration // the longest at a node that was not hit
	calls, notDone int
}

// begun is how long before a fault a run that fell due may have been on its way.
const begun = 250 * time.Millisecond

// rows measures each fault over the runs due, and the calls made, from it to the
// next one; the first of all rows is of the quiet time before.
func (l *load) rows(faults []check.Fault, end time.Time) (rows []row) {
	all := l.lateness(l.lines())
	begin := all[0].due
	quiet := check.Fault{Kind: "nothing", From: begin, To: begin}
	usual := median(between(all, begin, faults[0].From))
	for n, f := range slices.Insert(slices.Clone(faults), 0, quiet) {
		until := end
		if n < len(faults) {
			until = faults[n].From
		}
		hit := between(all, f.From.Add(-begun), until.Add(-begun))
		r := row{fault: f, runs: len(hit), most: latest(hit), p50: median(hit)}
		for at := f.From; at.Before(until); at = at.Add(time.Second) {
			if s := between(hit, at, at.Add(time.Second)); len(s) > 0 && median(s) > usual+normalBelow {
				r.normal = at.Add(time.Second).Sub(f.From)
			}
		}
		for k := range l.ops {
			o := &l.ops[k]
			if o.Returned.Before(f.From) || !o.Returned.Before(until) || o.Client == "feeder" { // the next fault's, or the last one's
				continue
			}
			r.calls++
			if o.Outcome != check.Acknowledged {
				r.notDone++
			}
			if o.Verb == "item.create" && o.Node != f.Node && o.Node != "all" {
				took := o.Returned.Sub(o.Invoked)
				r.create = max(r.create, took)
				if took > time.Second {
					l.t.Logf("%s %s: %s of %s, from %s on, took %s", f.Kind, f.Node, o.Verb, o.Client, o.Invoked.Format("15:04:05.000"), took.Round(time.Millisecond))
				}
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// table is the rows by kind of fault, the worst of each.
func table(rows []row) string {
	var kinds []string
	of := map[string][]row{}
	for _, r := range rows {
		if of[r.fault.Kind] == nil {
			kinds = append(kinds, r.fault.Kind)
		}
		of[r.fault.Kind] = append(of[r.fault.Kind], r)
	}
	var b strings.Builder
	b.WriteString("| fault | times | runs due | latest (each) | median | usual again after | longest create at the others | calls, not done |\n|---|---|---|---|---|---|---|---|\n")
	for _, kind := range kinds {
		var sum row
		var each []string
		for _, r := range of[kind] {
			each = append(each, seconds(r.most))
			sum.runs, sum.calls, sum.notDone = sum.runs+r.runs, sum.calls+r.calls, sum.notDone+r.notDone
			sum.p50, sum.normal, sum.create = max(sum.p50, r.p50), max(sum.normal, r.normal), max(sum.create, r.create)
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %v | %v | %v | %d, %d |\n", kind, len(each), sum.runs, strings.Join(each, " "),
			sum.p50.Round(time.Millisecond), sum.normal.Round(time.Second), sum.create.Round(10*time.Millisecond), sum.calls, sum.notDone)
	}
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
